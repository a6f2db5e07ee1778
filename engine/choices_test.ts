import assert from "node:assert/strict";
import { choicesOf } from "./choices.ts";
import type { Engine } from "./engine.ts";
import { logTotal } from "./log_total.ts";
import type { GenerateOptions, GeneratePart } from "./options.ts";
import { collect, tinyEngine } from "./testing/tiny_engine.ts";

/** The parts of every answer put together, by index. */
async function collectAll(
  parts: AsyncIterable<GeneratePart>,
): Promise<{ index: number; tokens: number[]; last: GeneratePart }[]> {
  const all = new Map<number, number[]>();
  const last = new Map<number, GeneratePart>();
  for await (const part of parts) {
    const tokens = all.get(part.index) ?? [];
    tokens.push(...part.tokens);
    all.set(part.index, tokens);
    if (part.finish !== undefined) last.set(part.index, part);
  }
  return [...all].sort(([a], [b]) => a - b)
    .map(([index, tokens]) => ({ index, tokens, last: last.get(index)! }));
}

const WILD: GenerateOptions = {
  tokens: [2, 3, 4, 5, 6, 7, 2, 3, 4],
  maxTokens: 20,
  temperature: 1.2,
  topK: 0,
  topP: 1,
  minP: 0,
  seed: 7,
  ignoreEos: true,
};

Deno.test("Engine.generate() gives n answers, each what its seed gives alone", async () => {
  for (const options of [{}, { chunk: 4 }, { parallel: 2 }, { plugins: [] }]) {
    await using engine = await tinyEngine(options);
    const alone: number[][] = [];
    for (let i = 0; i < 5; i++) {
      const { tokens } = await collect(
        engine.generate({ ...WILD, seed: 7 + i }),
      );
      alone.push(tokens);
    }
    engine.cache.evictIdle();
    const { forks } = engine.cache.stat();
    const answers = await collectAll(engine.generate({ ...WILD, n: 5 }));
    assert.deepEqual(answers.map((a) => a.tokens), alone);
    assert.equal(new Set(alone.map((t) => t.join())).size, 5);
    // Whoever did not wait for room began as a fork of the first.
    assert.ok(engine.cache.stat().forks - forks >= 1);
    assert.equal(answers[1]!.last.usage!.cachedTokens, 8);
  }
});

Deno.test("Engine.generate() computes the prompt of n answers once", async () => {
  await using engine = await tinyEngine({ plugins: [] });
  const before = engine.scheduler.stat().rows;
  await collectAll(engine.generate({ ...WILD, n: 4 }));
  // The prompt, its last row for the three others, and all tokens but the last.
  assert.equal(engine.scheduler.stat().rows - before, 9 + 3 + 4 * 19);
});

Deno.test("Engine.generate() gives the likeliest of bestOf, best first", async () => {
  await using engine = await tinyEngine();
  const mean = async (tokens: readonly number[]): Promise<number> => {
    const prompt = WILD.tokens!, { vocab } = engine.spec;
    const all = [...prompt, ...tokens];
    const logits = await engine.logits(all, { rows: "all" });
    let sum = 0;
    for (const [i, token] of tokens.entries()) {
      const row = logits.subarray(
        (prompt.length - 1 + i) * vocab,
        (prompt.length + i) * vocab,
      );
      sum += row[token]! - logTotal(row);
    }
    return sum / tokens.length;
  };
  const every = await collectAll(engine.generate({ ...WILD, n: 6 }));
  const scores = await Promise.all(every.map((a) => mean(a.tokens)));
  const want = every.map((a, i) => ({ tokens: a.tokens, score: scores[i]! }))
    .sort((a, b) => b.score - a.score).map((a) => a.tokens);
  const best = await collectAll(engine.generate({ ...WILD, n: 2, bestOf: 6 }));
  assert.deepEqual(best.map((a) => a.tokens), want.slice(0, 2));
});

Deno.test("Engine.generate() with n ends all answers when its reader leaves", async () => {
  await using engine = await tinyEngine({ plugins: [] });
  for await (const _ of engine.generate({ ...WILD, maxTokens: 40, n: 5 })) {
    break;
  }
  while (!engine.scheduler.idle) await new Promise((r) => setTimeout(r, 1));
  engine.check();
  assert.equal(engine.cache.stat().sequences, 0);
  const { blocks } = engine.cache.stat();
  assert.deepEqual(blocks, { open: 0, sealed: 0, idle: 0 });
});

/** Every sequence up to `length` tokens, with the sum of its log-probabilities. */
async function everySequence(
  engine: Engine,
  prompt: readonly number[],
  length: number,
): Promise<{ tokens: number[]; sum: number; ended: boolean }[]> {
  const { vocab } = engine.spec, { eog } = engine.tokenizer;
  let live = [{ tokens: [] as number[], sum: 0, ended: false }];
  const ended: typeof live = [];
  for (let step = 0; step < length; step++) {
    const next: typeof live = [];
    for (const { tokens, sum } of live) {
      const row = await engine.logits([...prompt, ...tokens]);
      const total = logTotal(row);
      for (let token = 0; token < vocab; token++) {
        const grown = {
          tokens: [...tokens, token],
          sum: sum + row[token]! - total,
          ended: eog.has(token),
        };
        (grown.ended ? ended : next).push(grown);
      }
    }
    live = next;
  }
  return [...ended, ...live];
}

Deno.test("Engine.generate() with beams finds what trying everything finds", async () => {
  const prompt = [2, 3, 4, 5, 6];
  for (const lengthPenalty of [0, 1, 2]) {
    await using engine = await tinyEngine({ parallel: 64 });
    const all = await everySequence(engine, prompt, 3);
    const score = (s: typeof all[number]): number =>
      s.sum / s.tokens.length ** lengthPenalty;
    const want = all.toSorted((a, b) => score(b) - score(a)).slice(0, 4);
    const found = await collectAll(engine.generate({
      tokens: prompt,
      maxTokens: 3,
      n: 4,
      // All hypotheses of two tokens live side by side.
      beams: 64,
      lengthPenalty,
      earlyStopping: "never",
    }));
    assert.deepEqual(
      found.map((f) => f.tokens),
      want.map(({ tokens, ended }) => ended ? tokens.slice(0, -1) : tokens),
    );
    found.forEach(({ last }, i) => {
      assert.ok(Math.abs(last.score! - score(want[i]!)) < 1e-5);
      assert.equal(last.finish, want[i]!.ended ? "stop" : "length");
      assert.equal(last.usage!.completionTokens, want[i]!.tokens.length);
    });
    engine.check();
  }
});

Deno.test("Engine.generate() gives the same beams however little memory there is", async () => {
  let base = 0;
  const search: GenerateOptions = {
    tokens: Array.from({ length: 20 }, (_, i) => 2 + i % 5),
    maxTokens: 14,
    beams: 4,
    n: 4,
    ignoreEos: true,
  };
  const found = async (engine: Engine) =>
    (await collectAll(engine.generate(search)))
      .map(({ tokens, last }) => [tokens, last.score]);
  let want: unknown;
  {
    await using engine = await tinyEngine({ plugins: [] });
    base = engine.memory().tiers.device!.used;
    want = await found(engine);
    assert.ok(engine.cache.stat().copies > 0, "no block was copied");
    assert.equal(engine.cache.stat().blocks.open, 0);
  }
  for (const options of [{}, { chunk: 4, parallel: 4 }, { threads: 1 }]) {
    await using engine = await tinyEngine(options);
    assert.deepEqual(await found(engine), want, JSON.stringify(options));
  }
  // Others run beside it, and blocks are scarce.
  await using engine = await tinyEngine({ budget: base + 16 * 2048 });
  const others = [3, 4, 5, 6].map((t) =>
    collect(engine.generate({ tokens: [t], maxTokens: 50, ignoreEos: true }))
  );
  assert.deepEqual(await found(engine), want);
  await Promise.all(others);
  engine.check();
});

Deno.test("Engine.generate() refuses beams that do not fit together", async () => {
  let base = 0;
  {
    await using engine = await tinyEngine();
    base = engine.memory().tiers.device!.used;
  }
  await using engine = await tinyEngine({ budget: base + 8 * 2048 });
  const options = { tokens: [2, 3], maxTokens: 60, ignoreEos: true };
  await assert.rejects(
    collect(engine.generate({ ...options, beams: 30 })),
    /^RangeError: Cannot search with 30 beams for 60 tokens after 2: their K\/V take up to \d+ bytes, the budget leaves \d+/,
  );
  await assert.rejects(
    collect(engine.generate({ ...options, beams: 40 })),
    /40 beams: 32 run together/,
  );
  assert.equal(engine.scheduler.stat().steps, 0, "something ran");
});

Deno.test("Engine.generate() with beams ends with the signal's reason, and frees everything", async () => {
  await using engine = await tinyEngine({ plugins: [] });
  const search = { tokens: [2, 3, 4], beams: 3, ignoreEos: true };
  for (let after = 0; after < 12; after++) {
    const controller = new AbortController();
    const { signal } = controller;
    const run = collect(engine.generate({ ...search, maxTokens: 60, signal }));
    const ended = assert.rejects(run, /enough/);
    const { steps } = engine.scheduler.stat();
    while (engine.scheduler.stat().steps < steps + after) {
      await new Promise((r) => setTimeout(r));
    }
    controller.abort(new Error("enough"));
    await ended;
    while (!engine.scheduler.idle) await new Promise((r) => setTimeout(r, 1));
    assert.deepEqual(
      engine.cache.stat().blocks,
      { open: 0, sealed: 0, idle: 0 },
    );
  }
});

Deno.test("choicesOf() refuses what makes no sense, by name", () => {
  const cases: readonly [GenerateOptions, RegExp][] = [
    [{ n: 0 }, /"n" 0/],
    [{ n: 65 }, /"n" 65/],
    [{ n: 1.5 }, /"n" 1.5/],
    [{ n: 3, bestOf: 2 }, /"bestOf" 2: a whole number from 3/],
    [{ beams: 0 }, /"beams" 0/],
    [{ beams: 2, n: 3 }, /"beams" 2: a whole number from 3/],
    [{ beams: 2, temperature: 0.5 }, /"beams" and "temperature"/],
    [{ beams: 2, stop: "x" }, /"beams" and "stop"/],
    [{ lengthPenalty: 2 }, /"lengthPenalty" alone/],
    [{ earlyStopping: true }, /"earlyStopping" alone/],
  ];
  for (const [options, message] of cases) {
    assert.throws(() => choicesOf(options), message);
  }
  assert.deepEqual(choicesOf({}), { n: 1, made: 1, beams: 0 });
  assert.deepEqual(choicesOf({ beams: 4, n: 2 }), { n: 2, made: 2, beams: 4 });
});
