import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { frame, HEADER, unframe } from "./frame.ts";

const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 });

/** What `unframe` says, and that it wrote nothing unless all was right. */
function open(name: string, value: Uint8Array, length: number) {
  const out = new Uint8Array(length).fill(0xa5);
  const found = unframe(name, value, out);
  if (found !== "ok") assert.ok(out.every((b) => b === 0xa5), "it was written");
  return found === "ok" ? out : found;
}

Deno.test("unframe() gives what frame() was given", () => {
  fc.assert(fc.property(fc.string(), bytes, (name, block) => {
    const value = frame(name, block);
    assert.equal(value.length, HEADER + block.length);
    assert.deepEqual(open(name, value, block.length), block);
  }));
  assert.deepEqual(open("", frame("", new Uint8Array()), 0), new Uint8Array());
});

Deno.test("unframe() takes no value with a bit flipped, anywhere", () => {
  const block = Uint8Array.from({ length: 40 }, (_, i) => i * 7);
  const value = frame("name", block);
  for (let bit = 0; bit < value.length * 8; bit++) {
    value[bit >> 3]! ^= 1 << (bit & 7);
    const version = bit >= 32 && bit < 64;
    assert.equal(open("name", value, 40), version ? "other" : "broken");
    value[bit >> 3]! ^= 1 << (bit & 7);
  }
  assert.deepEqual(open("name", value, 40), block);
});

Deno.test("unframe() takes no value that is cut or longer, at any length", () => {
  const value = frame("name", new Uint8Array(40).fill(1));
  for (let length = 0; length < value.length; length++) {
    assert.equal(open("name", value.subarray(0, length), 40), "broken");
  }
  const longer = new Uint8Array(value.length + 1);
  longer.set(value);
  assert.equal(open("name", longer, 40), "broken");
});

Deno.test("unframe() takes no value of another name, or for another length", () => {
  const value = frame("model:salt:key", new Uint8Array(40));
  assert.equal(open("other:salt:key", value, 40), "broken");
  assert.equal(open("model:salt:key", value, 39), "other");
  assert.equal(open("model:salt:key", value, 41), "other");
});

Deno.test("unframe() takes no random bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (value) => {
    assert.equal(open("name", value, 40), "broken");
  }));
});
