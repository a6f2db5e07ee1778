import assert from "node:assert/strict";
import { tinyEngine } from "../engine/testing/tiny_engine.ts";
import {
  agreementOf,
  compareGreedy,
  type Continues,
  cutPrompts,
} from "./agreement.ts";

/** A tokenizer with a token for each letter; 99 begins a sequence. */
function tokenizer(addBos: boolean) {
  return {
    bos: 99,
    addBos,
    encode: (text: string) => [...text].map((c) => c.charCodeAt(0) - 97),
  };
}

Deno.test("cutPrompts() spreads prompts over the text, BOS first where it is wanted", () => {
  const text = "abcdefghijklm";
  const plain = cutPrompts(tokenizer(false), text, 3, 3);
  assert.deepEqual(plain, [[0, 1, 2], [4, 5, 6], [8, 9, 10]]);
  const begun = cutPrompts(tokenizer(true), text, 2, 4);
  assert.deepEqual(begun, [[99, 1, 2, 3], [99, 7, 8, 9]]);
  assert.throws(
    () => cutPrompts(tokenizer(false), text, 3, 5),
    /text of 13 tokens into 3 prompts of 5/,
  );
});

Deno.test("agreementOf() counts tokens up to the first that differs", () => {
  const wanted = [[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]];
  const got = [[1, 2, 3, 4], [9, 2, 3, 4], [1, 2, 9, 4], [1, 2, 9, 9]];
  const { lengths, mean, median, never, prompts, most } = agreementOf(
    wanted,
    got,
    4,
  );
  assert.deepEqual([prompts, most], [4, 4]);
  assert.deepEqual(lengths, [4, 0, 2, 2]);
  assert.equal(mean.value, 2);
  // Σ (x - 2)² = 8: variance 8/3, error √(8/3/4).
  assert.ok(Math.abs(mean.error - Math.sqrt(2 / 3)) < 1e-12);
  assert.equal(median, 2);
  assert.equal(never.value, 0.25);
  assert.ok(Math.abs(never.error - Math.sqrt(0.25 * 0.75 / 3)) < 1e-12);
});

Deno.test("agreementOf() of a text that ends early differs there", () => {
  assert.deepEqual(agreementOf([[1, 2, 3]], [[1, 2]], 3).lengths, [2]);
});

Deno.test("compareGreedy() runs the reference once, and finds an engine equal to itself", async () => {
  await using engine = await tinyEngine();
  let asked = 0;
  const reference: Continues = {
    generate: (options) => {
      asked++;
      return engine.generate(options);
    },
  };
  /** Says something else from its fourth token on. */
  const other: Continues = {
    async *generate(options) {
      let made = 0;
      for await (const part of engine.generate(options)) {
        const tokens = part.tokens.map((t) => made++ < 3 ? t : t + 1);
        yield { ...part, tokens };
      }
    },
  };
  const runs: [number, number][] = [];
  const [same, differs] = await compareGreedy(reference, [engine, other], {
    prompts: [[2, 3, 4], [5, 6], [7]],
    most: 9,
    onRun: (...run) => runs.push(run),
  });
  assert.equal(asked, 3);
  assert.deepEqual(runs, [[1, 3], [2, 3], [3, 3]]);
  assert.deepEqual(same!.lengths, [9, 9, 9]);
  assert.deepEqual(same!.never, { value: 1, error: 0 });
  assert.deepEqual(differs!.lengths, [3, 3, 3]);
  assert.equal(differs!.never.value, 0);
});
