import assert from "node:assert/strict";
import { decodeArray } from "./arrays.ts";
import { VALUE } from "./value_types.ts";

/** An array of strings given as bytes, with junk before it. */
function strings(values: readonly Uint8Array[]): string[] {
  const lead = 5;
  const size = values.reduce((sum, v) => sum + 8 + v.length, lead);
  const header = new Uint8Array(size).fill(0xee);
  const view = new DataView(header.buffer);
  let at = lead;
  for (const value of values) {
    view.setBigUint64(at, BigInt(value.length), true);
    header.set(value, at + 8);
    at += 8 + value.length;
  }
  return decodeArray(header, {
    kind: VALUE.STRING,
    count: values.length,
    start: 0,
    values: lead,
    end: size,
  }) as string[];
}

const utf8 = (text: string) => new TextEncoder().encode(text);

Deno.test("decodeArray() cuts strings of every width where they end", () => {
  const texts = ["", "a", "é▁", "", "👋🏽", "\uFEFF", "x".repeat(300), "\0", "ÿ"];
  assert.deepEqual(strings(texts.map(utf8)), texts);
  assert.deepEqual(strings([]), []);
});

Deno.test("decodeArray() replaces what is no UTF-8, in its own string only", () => {
  assert.deepEqual(
    strings([utf8("é"), Uint8Array.of(0xc3), utf8("▁"), utf8("b")]),
    ["é", "\uFFFD", "▁", "b"],
  );
});

Deno.test("decodeArray() does not join a character across two strings", () => {
  assert.deepEqual(
    strings([Uint8Array.of(0x61, 0xc3), Uint8Array.of(0xa9, 0x62)]),
    ["a\uFFFD", "\uFFFDb"],
  );
});

Deno.test("decodeArray() reads numbers at odd offsets in their own kind", () => {
  const header = new Uint8Array(11);
  new DataView(header.buffer).setFloat32(3, -1.5, true);
  new DataView(header.buffer).setFloat32(7, 2, true);
  const range = { count: 2, start: 0, values: 3, end: 11 };
  assert.deepEqual(
    decodeArray(header, { ...range, kind: VALUE.F32 }),
    Float32Array.of(-1.5, 2),
  );
  assert.ok(
    decodeArray(header, { ...range, kind: VALUE.BOOL }) instanceof Uint8Array,
  );
});
