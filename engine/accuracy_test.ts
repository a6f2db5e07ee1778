import assert from "node:assert/strict";
import { argMax } from "../core/testing/compare.ts";
import {
  cachedModel,
  FIXTURES,
  MODELS,
  readJson,
} from "../models/testing/files.ts";
import type { Engine } from "./engine.ts";
import { load } from "./load.ts";

/** Log-probabilities are natural, over the whole vocabulary. */
interface Fixture {
  readonly cases: readonly {
    readonly id: string;
    readonly ids: readonly number[];
    /** The likeliest next tokens after `ids[0 .. prefix_len)`, best first. */
    readonly positions: readonly {
      readonly prefix_len: number;
      readonly ids: readonly number[];
      readonly logprobs: readonly number[];
    }[];
    /** The continuation, with how much likelier each was than the next. */
    readonly greedy: {
      readonly ids: readonly number[];
      readonly margins: readonly number[];
    };
  }[];
}

const NAMES = ["smollm2", "gemma3"] as const;

/** Registers a test with a real model and its fixture, where both are there. */
function accuracyTest(
  name: string,
  model: typeof NAMES[number],
  fn: (path: string, fixture: Fixture) => Promise<void>,
): void {
  const url = new URL(`dev_logits_${model}.json`, FIXTURES);
  const path = cachedModel(MODELS[model]);
  let why = path === undefined ? ` (${MODELS[model]} not in cache)` : "";
  try {
    Deno.statSync(url);
  } catch {
    why ||= ` (no shared/fixtures/dev_logits_${model}.json)`;
  }
  Deno.test({
    name: `load() ${name}, ${model}${why}`,
    ignore: why !== "",
    fn: async () => await fn(path!, await readJson<Fixture>(url)),
  });
}

/**
 * Teacher forced: every likeliest token of the reference that has `margin` is
 * this run's too. `at` sees the rows that the fixture lists.
 */
async function walk(
  engine: Engine,
  { cases }: Fixture,
  margin: number,
  at?: (
    logProbability: (id: number) => number,
    position: Fixture["cases"][0]["positions"][0],
    id: string,
  ) => void,
): Promise<string[]> {
  const wrong: string[] = [];
  for (const { id, ids, positions, greedy } of cases) {
    const wanted = new Map(positions.map((p) => [p.prefix_len - 1, p]));
    const sure = new Map<number, number>();
    for (const [row, p] of wanted) {
      if (p.logprobs[0]! - p.logprobs[1]! > margin) sure.set(row, p.ids[0]!);
    }
    greedy.ids.forEach((token, i) => {
      if (greedy.margins[i]! > margin) sure.set(ids.length - 1 + i, token);
    });
    const all = [...ids, ...greedy.ids.slice(0, -1)];
    await engine.eachLogits(all, (row, logits) => {
      const token = sure.get(row);
      if (token !== undefined) {
        const got = argMax(logits);
        if (got !== token) wrong.push(`${id} at ${row}: ${got} for ${token}`);
      }
      const p = wanted.get(row);
      if (p === undefined || at === undefined) return;
      let max = -Infinity, sum = 0;
      for (const x of logits) max = Math.max(max, x);
      for (const x of logits) sum += Math.exp(x - max);
      const log = max + Math.log(sum);
      at((token) => logits[token]! - log, p, id);
    }, { from: Math.min(...sure.keys(), ...wanted.keys()) });
  }
  return wrong;
}

for (const model of NAMES) {
  accuracyTest(
    "in exact precision gives every log-probability within 2e-3 and the same text",
    model,
    async (path, fixture) => {
      await using engine = await load(path, {
        precision: "exact",
        context: 1024,
        parallel: 1,
      });
      let most = 0;
      const wrong = await walk(engine, fixture, 0.02, (log, p, id) => {
        p.ids.forEach((token, i) => {
          const off = Math.abs(log(token) - p.logprobs[i]!);
          assert.ok(
            off <= 2e-3,
            `${id}, ${p.prefix_len} tokens: off by ${off}`,
          );
          most = Math.max(most, off);
        });
      });
      assert.deepEqual(wrong, []);
      // The same by generating, up to the first close call.
      const { ids, greedy } = fixture.cases[0]!;
      const sure = greedy.margins.findIndex((m) => m <= 0.02);
      const maxTokens = sure < 0 ? greedy.ids.length : sure;
      const made: number[] = [];
      for await (
        const part of engine.generate({
          tokens: ids,
          maxTokens,
          ignoreEos: true,
        })
      ) made.push(...part.tokens);
      assert.deepEqual(made, greedy.ids.slice(0, maxTokens));
      assert.ok(most > 0);
    },
  );

  accuracyTest(
    "by default has the same likeliest token wherever the margin is over 1",
    model,
    async (path, fixture) => {
      await using engine = await load(path, { context: 1024, parallel: 1 });
      assert.deepEqual(await walk(engine, fixture, 1), []);
    },
  );
}
