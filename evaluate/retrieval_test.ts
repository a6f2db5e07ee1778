import assert from "node:assert/strict";
import type { GeneratePart } from "../engine/options.ts";
import { load } from "../engine/load.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import { withFile } from "../models/testing/files.ts";
import { tinyChat } from "../models/testing/tiny_chat.ts";
import { PASSKEY } from "./haystack.ts";
import { type Asked, compareRetrieval } from "./retrieval.ts";

const VOCAB = 128;

/** A token for each character. */
const tokenizer = {
  addBos: false,
  bos: undefined,
  encode: (text: string) => [...text].map((c) => c.charCodeAt(0)),
} as unknown as Tokenizer;

/** The right next token has the logit `sure`, all others 0; `says` is what it generates. */
function fake(sure: number, says: (ids: readonly number[]) => string): Asked {
  return {
    tokenizer,
    eachLogits(ids, visit, { from = 0 } = {}) {
      // Digits of the key, found where it first stands.
      const text = String.fromCharCode(...ids);
      const key = /key is (\d{5})/.exec(text)![1]!;
      for (let p = from; p < ids.length; p++) {
        const row = new Float32Array(VOCAB);
        row[` ${key}`.charCodeAt(p - from)] = sure;
        visit(p, row);
      }
      return Promise.resolve();
    },
    async *generate({ tokens }) {
      yield { text: await Promise.resolve(says(tokens!)) } as GeneratePart;
    },
  };
}

function keyIn(ids: readonly number[]): string {
  return /key is (\d{5})/.exec(String.fromCharCode(...ids))![1]!;
}

const OPTIONS = {
  filler: PASSKEY,
  lengths: [400, 600],
  depths: [0, 1],
  keys: 3,
  seed: 1,
};

/** Log-probability of one token of logit x among zeros. */
function logP(x: number): number {
  return x - Math.log(Math.exp(x) + VOCAB - 1);
}

Deno.test("compareRetrieval() sums the key's log-probabilities and takes the reference's away", async () => {
  const runs: [number, number][] = [];
  const never = () => "I do not know";
  const [reference, candidate] = await compareRetrieval(
    fake(3, never),
    [fake(2, never)],
    { ...OPTIONS, onRun: (...run) => runs.push(run) },
  );
  // A blank and five digits.
  const near = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-5);
  near(reference!.logProbability.value, 6 * logP(3));
  near(candidate!.logProbability.value, 6 * logP(2));
  near(candidate!.difference.value, 6 * (logP(2) - logP(3)));
  near(candidate!.difference.error, 0);
  assert.deepEqual(reference!.difference, { value: 0, error: 0 });
  assert.equal(candidate!.cells.length, 4);
  assert.deepEqual(
    candidate!.cells.map((c) => [c.length, c.depth, c.keys]),
    [[400, 0, 3], [400, 1, 3], [600, 0, 3], [600, 1, 3]],
  );
  assert.equal(candidate!.task, "passkey");
  // Each token of the key is the likeliest: nothing has to be generated.
  assert.equal(candidate!.found.value, 1);
  assert.deepEqual([runs.length, runs.at(-1)], [24, [24, 24]]);
});

Deno.test("compareRetrieval() reads the greedy answer where the key is not the likeliest", async () => {
  const right = fake(-1, (ids) => `: it is ${keyIn(ids)}.`);
  const wrong = fake(-1, (ids) => keyIn(ids).slice(0, 4));
  const [first, second] = await compareRetrieval(right, [wrong], OPTIONS);
  assert.equal(first!.found.value, 1);
  assert.equal(second!.found.value, 0);
  assert.ok(second!.cells.every((c) => c.found === 0));
  assert.equal(second!.difference.value, 0);
});

Deno.test("compareRetrieval() refuses an empty grid and a length without room", async () => {
  const one = fake(1, () => "");
  for (const empty of [{ lengths: [] }, { depths: [] }, { keys: 0 }]) {
    await assert.rejects(
      () => compareRetrieval(one, [], { ...OPTIONS, ...empty }),
      RangeError,
    );
  }
  await assert.rejects(
    () => compareRetrieval(one, [], { ...OPTIONS, lengths: [50] }),
    /Cannot hide a key in 50 tokens/,
  );
});

Deno.test("compareRetrieval() asks an engine, which is as good as itself", async () => {
  await withFile(tinyChat(), async (path) => {
    await using engine = await load(path, { threads: 1, check: true });
    // Too small a context for the task: a tokenizer of words stands for bytes.
    const seen = new Map<string, number>();
    const asked: Asked = {
      tokenizer: {
        addBos: false,
        bos: undefined,
        encode: (text: string) =>
          (text.match(/ ?\d| ?[^ \d]+/g) ?? []).map((word) => {
            if (!seen.has(word)) seen.set(word, seen.size % 250);
            return seen.get(word)!;
          }),
      } as unknown as Tokenizer,
      eachLogits: (...args) => engine.eachLogits(...args),
      generate: (options) => engine.generate(options),
    };
    const options = { ...OPTIONS, lengths: [150], keys: 1 };
    const [a, b] = await compareRetrieval(asked, [asked], options);
    assert.deepEqual(a, b);
    assert.ok(a!.logProbability.value < 0);
    assert.equal(a!.found.value, 0);
  });
});
