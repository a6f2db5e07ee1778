import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { SessionError } from "./session_error.ts";
import {
  encodeHead,
  finishHead,
  FIXED,
  isSound,
  readHead,
  sealRecord,
} from "./session_format.ts";
import { readText, type SessionText, textOf } from "./session_text.ts";

const TEXT: SessionText = {
  model: "m.gguf",
  plan: "wasm",
  prints: { weights: "w", tokenizer: "t", rope: "r", plan: "p", address: "a" },
  messages: [{ role: "user", content: "Größe? 🙂", extra: [1] }],
  past: "[user]",
  sampler: { temperature: 0.5, seed: 2 ** 53, logitBias: { 7: -Infinity } },
  cut: true,
  adapters: [{ name: "sql", id: "ab", scale: -0.5 }],
};
const TOKENS = [1, 2, 2 ** 32 - 1];

function read(bytes: Uint8Array, size = bytes.length) {
  let at = 0;
  return readHead("a.quire", (out) => {
    const whole = at + out.length <= bytes.length;
    out.set(bytes.subarray(at, at + out.length));
    at += out.length;
    return Promise.resolve(whole);
  }, size);
}

function headOf(): Uint8Array {
  const head = encodeHead(TEXT, TOKENS);
  finishHead(head, 2, head.length + 99);
  return head;
}

/** With the checksums that a writer would have given. */
function forged(change: (view: DataView, head: Uint8Array) => void) {
  const head = headOf();
  const view = new DataView(head.buffer);
  change(view, head);
  view.setUint32(36, crc32(head.subarray(FIXED)), true);
  view.setUint32(40, crc32(head.subarray(0, 40)), true);
  return head;
}

Deno.test("readHead() gives back what finishHead() wrote", async () => {
  const head = headOf();
  assert.deepEqual(await read(head), {
    text: TEXT,
    tokens: TOKENS,
    positions: 2,
    at: head.length,
    bytes: head.length + 99,
  });
  const { sampler: _, ...bare } = TEXT;
  const text = { ...bare, sampler: undefined, messages: [] };
  assert.deepEqual(readText("a", textOf(text)), text);
});

Deno.test("readHead() refuses a head with any bit flipped, or its end cut off", async () => {
  const head = headOf();
  for (let at = 0; at < head.length; at++) {
    const bad = head.slice();
    bad[at]! ^= 1 << at % 8;
    await assert.rejects(read(bad), SessionError, `byte ${at}`);
    await assert.rejects(read(head.subarray(0, at)), SessionError, `${at}`);
  }
});

Deno.test("readHead() refuses lengths before it takes memory for them", async () => {
  for (
    const [change, why] of [
      [
        (v) => v.setUint32(16, 2 ** 32 - 1, true),
        /its head \(42949\d+ bytes before K and V, of \d+\) is damaged/,
      ],
      [(v) => v.setUint32(20, 2 ** 32 - 1, true), /is damaged/],
      [(v) => v.setUint32(24, 4, true), /is damaged/],
      [(v) => v.setUint32(8, 2, true), /version 2, version 1 is wanted/],
      [(v) => v.setUint32(12, 1 << 24, true), /another byte order/],
    ] as [(view: DataView) => void, RegExp][]
  ) {
    await assert.rejects(read(forged(change)), (error: Error) => {
      assert.ok(error instanceof SessionError);
      assert.match(error.message, why);
      return true;
    });
  }
  // As large as the file claims to be.
  const huge = forged((v) => v.setUint32(16, 2 ** 31, true));
  await assert.rejects(read(huge, 2 ** 40), /is damaged/);
});

Deno.test("readText() refuses what has another form, whatever its checksum says", () => {
  const all = JSON.parse(textOf(TEXT));
  for (
    const change of [
      null,
      [],
      3,
      { ...all, model: 3 },
      { ...all, prints: {} },
      { ...all, messages: {} },
      { ...all, messages: [{ role: "user" }] },
      { ...all, messages: ["x"] },
      { ...all, past: null },
      { ...all, sampler: 3 },
      { ...all, sampler: { bias: [], temperature: "hot" } },
      { ...all, sampler: { bias: [], seed: -1 } },
      { ...all, sampler: { bias: [["1", "NaN"]] } },
      { ...all, sampler: { bias: [[1, 2]] } },
      { ...all, sampler: {} },
      { ...all, adapters: {} },
      { ...all, adapters: [{ name: "a", id: "b", scale: "1" }] },
      { ...all, adapters: [{ name: "a", scale: 1 }] },
    ]
  ) {
    assert.throws(
      () => readText("a.quire", JSON.stringify(change)),
      SessionError,
      JSON.stringify(change),
    );
  }
  assert.throws(() => readText("a.quire", "{"), SessionError);
});

Deno.test("isSound() is of one block at its place", () => {
  const record = new Uint8Array(100).fill(7);
  sealRecord(record, "abc");
  assert.ok(isSound(record, "abc"));
  assert.ok(!isSound(record, "abd"));
  for (let i = 0; i < record.length; i++) {
    record[i]! ^= 0x10;
    assert.ok(!isSound(record, "abc"), `byte ${i}`);
    record[i]! ^= 0x10;
  }
});
