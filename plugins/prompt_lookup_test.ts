import assert from "node:assert/strict";
import { drafterSuite } from "../core/testing/suites/drafter_suite.ts";
import { provided } from "../core/testing/suites/suite.ts";
import { promptLookup, type PromptLookupOptions } from "./prompt_lookup.ts";

drafterSuite("promptLookup()", () => provided(promptLookup(), "draft"));
drafterSuite(
  "promptLookup({ ngram: 1, most: 63 })",
  () => provided(promptLookup({ ngram: 1, most: 63 }), "draft"),
);

/** What is guessed behind a text. */
async function guess(
  text: readonly number[],
  options: PromptLookupOptions = {},
  room = 63,
): Promise<number[]> {
  const drafter = await provided(promptLookup(options), "draft");
  const tokens = new Int32Array(text.length + 70).fill(-1);
  tokens.set(text);
  const count = drafter.propose(tokens, text.length, room);
  return [...tokens.subarray(text.length, text.length + count)];
}

Deno.test("promptLookup() guesses what followed the last tokens before", async () => {
  const text = [10, 11, 12, 13, 14, 15, 16, 17, 90, 10, 11, 12];
  assert.deepEqual(await guess(text), [13, 14, 15]);
});

Deno.test("promptLookup() guesses nothing where fewer than `ngram` tokens occurred before", async () => {
  const text = [10, 11, 12, 13, 90, 11, 12];
  assert.deepEqual(await guess(text), []);
  assert.deepEqual(await guess(text, { ngram: 2 }), [13, 90]);
  assert.deepEqual(await guess(text, { ngram: 1 }), [13, 90]);
  assert.deepEqual(await guess([1]), []);
  assert.deepEqual(await guess([1, 2], { ngram: 1 }), []);
  assert.deepEqual(await guess([1, 1], { ngram: 1 }), [1]);
});

Deno.test("promptLookup() takes the longest match, and the latest of equal ones", async () => {
  const text = [
    ...[1, 2, 3, 4, 50],
    ...[9, 2, 3, 4, 60],
    ...[8, 2, 3, 4, 70],
    ...[1, 2, 3, 4],
  ];
  assert.deepEqual((await guess(text))[0], 50, "four tokens match");
  const even = [7, 2, 3, 4, 50, 8, 2, 3, 4, 60, 9, 2, 3, 4];
  assert.deepEqual((await guess(even))[0], 60, "the latest");
});

Deno.test("promptLookup() guesses as many as match, at most `most` and the room", async () => {
  const line = Array.from({ length: 40 }, (_, i) => i);
  const text = [...line, 90, ...line.slice(0, 20)];
  assert.deepEqual(await guess(text), line.slice(20, 35), "most is 15");
  assert.deepEqual(await guess(text, { most: 63 }), line.slice(20, 40));
  assert.deepEqual(await guess(text, { most: 4 }), line.slice(20, 24));
  assert.deepEqual(await guess(text, {}, 2), line.slice(20, 22));
  assert.deepEqual(
    await guess([...line, 90, ...line.slice(0, 5)]),
    line.slice(5, 10),
  );
});

Deno.test("promptLookup() goes on with a repetition that reaches into the guess", async () => {
  const text = Array.from({ length: 17 }, (_, i) => i % 2);
  assert.deepEqual(
    await guess(text),
    Array.from({ length: 15 }, (_, i) => (17 + i) % 2),
  );
  const three = Array.from({ length: 12 }, (_, i) => i % 3);
  assert.deepEqual(await guess(three), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
});

Deno.test("promptLookup() looks no further than 32 tokens back from a match", async () => {
  const line = Array.from({ length: 50 }, (_, i) => i);
  const text = [...line, 90, ...line, 91, ...line];
  assert.deepEqual((await guess(text, { most: 63 })).length, 32);
  assert.deepEqual((await guess(text))[0], 91, "the latest of good ones");
});

Deno.test("promptLookup() refuses options out of bounds", () => {
  for (const ngram of [0, -1, 1.5, 33, NaN]) {
    assert.throws(
      () => promptLookup({ ngram }),
      (e: unknown) =>
        e instanceof RangeError && e.message.includes(`"ngram" ${ngram}`),
    );
  }
  for (const most of [0, -1, 1.5, 64, NaN]) {
    assert.throws(() => promptLookup({ most }), /"most" .*from 1 to 63/);
  }
});
