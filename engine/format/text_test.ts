import assert from "node:assert/strict";
import { seeded } from "../random.ts";
import { ALL_PIECES, pieceTokenizer } from "../testing/piece_tokenizer.ts";
import { Text } from "./text.ts";
import { treeOf } from "./token_tree.ts";

/** Whether the terminal reads all of it and is at its end then. */
function readsText(text: Text, bytes: Iterable<number>): boolean {
  let state = 0;
  for (const byte of bytes) {
    if (text.isLast(state)) return false;
    state = text.step(state, byte);
    if (state < 0) return false;
  }
  return text.tag(state) === 0;
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

const BYTES = [...'"""\\\\u0dDc89aAb/n ', "\x1f", "\x7f"].map((c) =>
  c.charCodeAt(0)
).concat([0x80, 0xbf, 0xc1, 0xc3, 0xe0, 0xed, 0xa0, 0x9f, 0xf0, 0x90, 0xf4]);

Deno.test("Text reads strings as JSON does, but for escaped surrogates", () => {
  const random = seeded(3), any = new Text(0, Infinity);
  let valid = 0;
  for (let i = 0; i < 30_000; i++) {
    const length = Math.floor(random() * 8);
    const inner = Array.from(
      { length },
      () => BYTES[Math.floor(random() * BYTES.length)]!,
    );
    const bytes = Uint8Array.of(0x22, ...inner, 0x22);
    const value = parsed(bytes);
    const is = typeof value === "string" && value.isWellFormed() &&
      !/\\ud[89a-f]/i.test(new TextDecoder().decode(bytes));
    valid += Number(is);
    assert.equal(readsText(any, bytes), is, JSON.stringify([...bytes]));
  }
  assert.ok(valid > 300);
});

Deno.test("Text counts characters, not bytes or units", () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const two = new Text(2, 3);
  for (
    const [text, is] of [
      ...[['"a"', false], ['"ab"', true], ['"é日"', true], ['"😀😀😀"', true]],
      ...[['"abcd"', false], ['"\\n\\u0041"', true], [
        '"\\\\\\\\\\\\\\""',
        false,
      ]],
      ...[['""', false], ['"ab', false], ['"ab"x', false]],
    ] as const
  ) assert.equal(readsText(two, bytes(text as string)), is, text as string);
});

Deno.test("Text.rests() is the fewest single bytes to the end, from every state", () => {
  const tree = treeOf(pieceTokenizer(ALL_PIECES));
  for (const [low, high] of [[0, Infinity], [3, Infinity], [2, 4]] as const) {
    const text = new Text(low, high), rest = text.rests([5], tree);
    // Breadth first from the start: every state that is reached is one step from
    // another whose rest is one less, and from none that is nearer.
    const seen = new Set([0]), queue = [0];
    for (let s = queue.pop(); s !== undefined; s = queue.pop()) {
      if (text.isLast(s)) {
        assert.equal(rest(s), 5);
        continue;
      }
      let best = Infinity;
      for (let byte = 0; byte < 256; byte++) {
        const to = text.step(s, byte);
        if (to < 0) continue;
        best = Math.min(best, rest(to) + 1);
        if (!seen.has(to)) queue.push(to);
        seen.add(to);
      }
      assert.equal(rest(s), best, `state ${s} of ${low} to ${high}`);
    }
  }
});

Deno.test("Text.rests() finds no end where the vocabulary lacks bytes", () => {
  const without = (c: string) =>
    treeOf(pieceTokenizer(ALL_PIECES.filter((p) => p !== c)));
  const text = new Text(0, Infinity);
  assert.equal(text.rests([0], without('"'))(0), Infinity);
  const noTail = treeOf(
    pieceTokenizer(ALL_PIECES.filter((p) => p < "\x80" || p.length > 1)),
  );
  const rest = text.rests([0], noTail);
  const begun = text.step(text.step(0, 0x22), 0xc3);
  assert.equal(rest(0), 2);
  assert.equal(rest(begun), Infinity);
});
