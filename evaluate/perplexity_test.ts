import assert from "node:assert/strict";
import { cutChunks, Mean, Perplexity } from "./perplexity.ts";

/** A tokenizer with a token for each letter; 99 begins a sequence. */
function tokenizer(addBos: boolean) {
  return {
    bos: 99,
    addBos,
    encode: (text: string, { bos = false } = {}) => [
      ...(bos ? [99] : []),
      ...[...text].map((c) => c.charCodeAt(0) - 97),
    ],
  };
}

Deno.test("cutChunks() cuts the text in one piece and leaves the rest out", () => {
  const { chunks, whole } = cutChunks(tokenizer(false), "abcdefghij", 4);
  assert.equal(whole, 2);
  assert.deepEqual(chunks, [
    { ids: [0, 1, 2, 3], from: 2 },
    { ids: [4, 5, 6, 7], from: 2 },
  ]);
});

Deno.test("cutChunks() puts BOS in front of the text and over each chunk's first token", () => {
  const { chunks } = cutChunks(tokenizer(true), "abcdefgh", 4, 2);
  assert.deepEqual(chunks.map((c) => c.ids), [[99, 0, 1, 2], [99, 4, 5, 6]]);
});

Deno.test("cutChunks() gives no more chunks than asked for, and says how many there are", () => {
  const { chunks, whole } = cutChunks(tokenizer(false), "a".repeat(25), 5, 2);
  assert.deepEqual([chunks.length, whole], [2, 5]);
  assert.equal(chunks[0]!.from, 2);
});

Deno.test("cutChunks() refuses a text shorter than a chunk, and chunks of nothing", () => {
  assert.throws(
    () => cutChunks(tokenizer(false), "abc", 4),
    /text of 3 tokens into chunks of 4/,
  );
  for (const size of [0, 3, 4.5, NaN]) {
    assert.throws(
      () => cutChunks(tokenizer(false), "abcdef", size),
      RangeError,
    );
  }
});

Deno.test("Mean gives mean and standard error, far from zero too", () => {
  for (const base of [0, 1e9]) {
    const mean = new Mean();
    for (const x of [2, 4, 4, 4, 5, 5, 7, 9]) mean.add(base + x);
    assert.equal(mean.count, 8);
    assert.equal(mean.estimate.value, base + 5);
    // Σ (x - 5)² = 32: variance 32/7, error √(32/7/8).
    assert.ok(Math.abs(mean.estimate.error - Math.sqrt(32 / 56)) < 1e-6);
  }
  assert.ok(Number.isNaN(new Mean().estimate.value));
});

Deno.test("Perplexity is the number of equal choices that would be as hard", () => {
  const perplexity = new Perplexity();
  for (let i = 0; i < 10; i++) perplexity.add(Math.log(1 / 8));
  assert.ok(Math.abs(perplexity.estimate.value - 8) < 1e-9);
  assert.ok(perplexity.estimate.error < 1e-6);
  assert.equal(perplexity.count, 10);
  perplexity.add(Math.log(1 / 800));
  assert.ok(perplexity.estimate.error > 1);
});
