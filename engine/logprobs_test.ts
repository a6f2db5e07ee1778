import assert from "node:assert/strict";
import { promptLookup } from "../plugins/prompt_lookup.ts";
import { prefixCache } from "../plugins/prefix_cache.ts";
import { withFile } from "../models/testing/files.ts";
import { tinyLlama } from "../models/testing/tiny_llama.ts";
import type { Engine } from "./engine.ts";
import { load } from "./load.ts";
import { logTotal } from "./log_total.ts";
import type { GenerateOptions, GeneratePart } from "./options.ts";
import { tinyEngine } from "./testing/tiny_engine.ts";

const PROMPT = [2, 3, 4, 5, 2, 3, 4, 5, 2, 3];

const WILD: GenerateOptions = {
  tokens: PROMPT,
  maxTokens: 12,
  temperature: 1.5,
  topK: 0,
  topP: 1,
  minP: 0,
  seed: 3,
  ignoreEos: true,
};

async function parts(
  engine: Engine,
  options: GenerateOptions,
): Promise<GeneratePart[]> {
  return await Array.fromAsync(engine.generate(options));
}

/** What the definition says of each token of an answer. */
async function plain(
  engine: Engine,
  tokens: readonly number[],
): Promise<Float64Array[]> {
  const rows: Float64Array[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const logits = await engine.logits([...PROMPT, ...tokens.slice(0, i)]);
    const total = logTotal(logits);
    rows.push(Float64Array.from(logits, (x) => x - total));
  }
  return rows;
}

const CHANGES: readonly GenerateOptions[] = [
  {},
  { temperature: 0 },
  { repetitionPenalty: 1.8, logitBias: { 3: 4, 5: -Infinity } },
  { stop: "ab" },
  { topK: 2 },
];

/** Every change's answer with what the definition says of it. */
async function checkPlain(engine: Engine): Promise<void> {
  for (const change of CHANGES) {
    const got = await parts(engine, { ...WILD, ...change, logprobs: 3 });
    const tokens = got.flatMap((p) => p.tokens);
    const bare = await parts(engine, { ...WILD, ...change });
    assert.deepEqual(tokens, bare.flatMap((p) => p.tokens));
    assert.ok(bare.every((p) => !("logprobs" in p)));
    for (const { tokens, logprobs } of got) {
      assert.deepEqual(logprobs!.map((l) => l.token), tokens);
    }
    const rows = await plain(engine, tokens);
    got.flatMap((p) => p.logprobs!).forEach(({ token, logprob, top }, i) => {
      const row = rows[i]!;
      assert.ok(Math.abs(logprob - row[token]!) < 1e-4);
      const best = [...row.keys()].sort((a, b) => row[b]! - row[a]! || a - b);
      assert.deepEqual(top.map((t) => t.token), best.slice(0, 3));
      for (const t of top) {
        assert.ok(Math.abs(t.logprob - row[t.token]!) < 1e-4);
      }
    });
  }
}

Deno.test("Engine.generate() with logprobs says how likely each token was to the model", async () => {
  const plugins = [promptLookup(), prefixCache()];
  for (const backend of ["wasm", "reference"] as const) {
    await withFile(tinyLlama(), async (path) => {
      await using engine = await load(path, { backend, plugins, threads: 2 });
      await checkPlain(engine);
    });
  }
});

Deno.test("Engine.generate() gives logprobs of a vocabulary's every token, and of none", async () => {
  await using engine = await tinyEngine();
  const all = await parts(engine, { ...WILD, logprobs: 20 });
  for (const { top } of all.flatMap((p) => p.logprobs!)) {
    assert.equal(top.length, engine.spec.vocab);
    const sum = top.reduce((s, { logprob }) => s + Math.exp(logprob), 0);
    assert.ok(Math.abs(sum - 1) < 1e-5);
  }
  const none = await parts(engine, { ...WILD, logprobs: 0 });
  const given = none.flatMap((p) => p.logprobs!);
  assert.equal(given.length, 12);
  assert.ok(given.every((l) => l.top.length === 0 && l.logprob < 0));
});

Deno.test("Engine.generate() gives logprobs of each of n answers, of the best, and of none that ended it", async () => {
  await using engine = await tinyEngine();
  for (const many of [{ n: 3 }, { n: 2, bestOf: 4 }]) {
    const got = await parts(engine, { ...WILD, ...many, logprobs: 1 });
    assert.equal(new Set(got.map((p) => p.index)).size, many.n);
    for (const { tokens, logprobs } of got) {
      assert.deepEqual(logprobs!.map((l) => l.token), tokens);
    }
  }
  // Its end-of-text token is none of the answer's.
  const bias = { [engine.tokenizer.eos!]: 100 };
  const [ended] = await parts(engine, {
    tokens: PROMPT,
    logitBias: bias,
    logprobs: 2,
  });
  assert.equal(ended!.finish, "stop");
  assert.deepEqual([ended!.tokens, ended!.logprobs], [[], []]);
});

Deno.test("Engine.generate() refuses logprobs out of bounds and beside beams", async () => {
  await using engine = await tinyEngine();
  for (const logprobs of [-1, 21, 1.5, NaN]) {
    await assert.rejects(
      parts(engine, { ...WILD, logprobs }),
      /"logprobs" .*: a whole number from 0 to 20 is wanted/,
    );
  }
  await assert.rejects(
    parts(engine, { tokens: PROMPT, beams: 2, logprobs: 0 }),
    TypeError,
  );
});
