/**
 * What every backend must keep, as tests.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Backend } from "../backend.ts";
import type { Codec } from "../slots.ts";
import { stepEnd } from "../step_end.ts";
import type { MaybePromise } from "../types.ts";
import { Driver, type DriverOptions, windowGroups } from "./drive.ts";
import { type RandomModel, randomModel } from "./random_model.ts";

const VOCAB = 96;

const HEADS = { qHeads: 4, kvHeads: 2, headDim: 32, ffn: 96 };

/**
 * Layers with and without a window, so two groups; norms, biases, caps,
 * scales, shared heads, both activations and both ropes. Widths are multiples of 32, as packed weights want
 * them.
 */
const MODEL = randomModel({
  vocab: VOCAB,
  hidden: 64,
  norms: true,
  biases: true,
  tied: true,
  embeddingScale: 5,
  logitScale: 2,
  logitCap: 9,
  layers: [
    { ...HEADS, window: 6, activation: "gelu", attnCap: 3 },
    { ...HEADS, residualScale: 0.7 },
    {
      ...HEADS,
      window: 6,
      rope: {
        ...{ style: "neighbours", base: 300, divide: 1, dims: 20 },
        factors: [1, 1.5, 1, 2, 1, 1, 3, 4, 4, 4],
        magnitude: 1.2,
      },
    },
  ],
});

/** The same with experts: alone, beside an MLP, and with one that all rows take. */
export const EXPERTS: RandomModel = randomModel({
  seed: 2,
  vocab: VOCAB,
  hidden: 64,
  norms: true,
  layers: [
    { ...HEADS, window: 6, ffn: 0, experts: { count: 5, used: 2, ffn: 32 } },
    {
      ...HEADS,
      activation: "gelu",
      experts: { count: 3, used: 1, ffn: 96, normalised: false },
    },
    {
      ...HEADS,
      window: 6,
      ffn: 0,
      experts: { count: 12, used: 4, ffn: 64, shared: 96, normalised: false },
    },
  ],
});

const BLOCKS: DriverOptions = { tokens: 8, blocks: 5 };

/**
 * Registers the laws of steps under `name`. `make` gives a backend for a model
 * with limits of 40 rows and wanted rows, 4 sequences, a top of 5 or more and
 * 1 MiB for blocks; each is closed after its test. `codecs`: lossy ones that take
 * blocks of 8 and of 16 tokens, for the laws of what is sealed. `model`: another one of
 * the same vocabulary, windows and heads.
 */
export function backendLaws(
  name: string,
  make: (model: RandomModel) => MaybePromise<Backend>,
  codecs: readonly Codec[] = [],
  model: RandomModel = MODEL,
): void {
  const law = (
    criterion: string,
    check: (
      start: (options?: DriverOptions) => Promise<Started>,
    ) => Promise<void>,
  ) =>
    Deno.test(`${name} ${criterion}`, async () => {
      await using open = new AsyncDisposableStack();
      await check(async (options = BLOCKS) => {
        const backend = open.use(await make(model));
        return { backend, driver: new Driver(backend, model.spec, options) };
      });
    });

  law("gives the same bits for every way to cut a prompt", async (start) => {
    const want = await alone(await start(), ids(30));
    assert.ok(want.every(Number.isFinite));
    for (const chunk of [1, 3, 7, 29]) {
      const { driver } = await start();
      for (let from = 0; from < 30; from += chunk) {
        const part = ids(30).slice(from, from + chunk);
        const { logits } = await driver.step([{ seq: 0, from, ids: part }]);
        const rows = want.slice(from * VOCAB, (from + part.length) * VOCAB);
        assert.deepEqual(logits, rows, `chunks of ${chunk}`);
      }
    }
  });

  law("gives the same bits whatever else is in the batch", async (start) => {
    const a = ids(12, 1);
    const b = ids(9, 2);
    const wantA = await alone(await start(), a);
    const wantB = await alone(await start(), b);
    const { driver } = await start();
    const first = await driver.step([
      { seq: 2, from: 0, ids: a.slice(0, 11) },
      { seq: 0, from: 0, ids: b },
    ]);
    assert.deepEqual(row(first.logits, 0, 11), row(wantA, 0, 11));
    assert.deepEqual(row(first.logits, 11, 20), wantB);
    const second = await driver.step([
      { seq: 2, from: 11, ids: a.slice(11) },
      { seq: 1, from: 0, ids: b },
    ]);
    assert.deepEqual(row(second.logits, 0), row(wantA, 11));
    assert.deepEqual(row(second.logits, 1, 10), wantB);
  });

  law(
    "computes the same K and V from the hidden states it kept",
    async (start) => {
      const all = ids(30);
      const want = await alone(await start(), all);
      for (const boundaries of [[1], [2], [1, 2]]) {
        const { backend, driver } = await start({ ...BLOCKS, boundaries });
        const { hidden } = backend.batch;
        assert.ok(backend.hidden && hidden, "has none");
        assert.deepEqual(hidden.boundaries, boundaries);
        const { width } = hidden;
        const kept = boundaries.map(() => new Float32Array(30 * width));
        for (let from = 0; from < 30; from += 7) {
          const part = all.slice(from, from + 7);
          hidden.mode = "keep";
          const { logits } = await driver.step([{ seq: 0, from, ids: part }]);
          const end = from + part.length;
          assert.deepEqual(
            logits,
            row(want, from, end),
            "keeping changes bits",
          );
          kept.forEach((rows, k) => {
            const now = hidden.rows[k]!.subarray(0, part.length * width);
            rows.set(now, from * width);
          });
        }
        // Two sequences at once, cut in other places.
        for (const [from, end] of [[0, 11], [11, 13], [13, 24]] as const) {
          hidden.mode = "inject";
          kept.forEach((rows, k) => {
            const now = rows.subarray(from * width, end * width);
            hidden.rows[k]!.set(now);
            hidden.rows[k]!.set(now, now.length);
          });
          const part = all.slice(from, end);
          await driver.step([1, 2].map((seq) => ({ seq, from, ids: part })));
        }
        hidden.mode = "none";
        for (const seq of [2, 1]) {
          const rest = { seq, from: 24, ids: all.slice(24) };
          const { logits } = await driver.step([rest]);
          assert.deepEqual(logits, row(want, 24, 30), `layers ${boundaries}`);
        }
      }
    },
  );

  law("gives the same bits however layers are grouped", async (start) => {
    const want = await alone(await start(), ids(30));
    const groups = [1, 0, 2].map((layer) => {
      const group = windowGroups(model.spec, BLOCKS.tokens)
        .find((g) => g.layers.includes(layer))!;
      const shape = { ...group.shape, layers: 1 };
      return { ...group, layers: [layer], shape };
    });
    assert.deepEqual(
      await alone(await start({ ...BLOCKS, groups }), ids(30)),
      want,
    );
  });

  law("reads blocks two sequences share", async (start) => {
    const prompt = ids(8, 3);
    const one = await alone(await start(), [...prompt, 1]);
    const two = await alone(await start(), [...prompt, 2]);
    const { driver } = await start();
    await driver.step([{ seq: 0, from: 0, ids: prompt }]);
    driver.share(0, 3);
    const { logits } = await driver.step([
      { seq: 0, from: 8, ids: [1] },
      { seq: 3, from: 8, ids: [2] },
    ]);
    assert.deepEqual(row(logits, 0), row(one, 8));
    assert.deepEqual(row(logits, 1), row(two, 8));
  });

  law("goes on seeing sinks", async (start) => {
    const plain = await alone(await start(), ids(30, 4));
    const { driver } = await start({ ...BLOCKS, sink: 3 });
    for (let from = 0; from < 30; from += 5) {
      const part = ids(30, 4).slice(from, from + 5);
      const { logits } = await driver.step([{ seq: 0, from, ids: part }]);
      assert.ok(logits.every(Number.isFinite));
      // Up to the window's length everything is visible either way.
      const rows = row(plain, from, from + 5);
      if (from === 0) assert.deepEqual(logits, rows);
      else if (from >= 10) assert.notDeepEqual(row(logits, 4), row(rows, 4));
    }
  });

  law("sees sinks as from its reach", async (start) => {
    const tokens = ids(38, 5), sink = 3;
    const run = async (chunk: number, reach?: number) => {
      const options = reach === undefined ? { sink } : { sink, reach };
      const { driver } = await start({ ...BLOCKS, ...options });
      const out = new Float32Array(tokens.length * VOCAB);
      for (let from = 0; from < tokens.length; from += chunk) {
        const part = tokens.slice(from, from + chunk);
        const { logits } = await driver.step([{ seq: 0, from, ids: part }]);
        out.set(logits, from * VOCAB);
      }
      return out;
    };
    const far = await run(5), near = await run(5, 20);
    assert.ok(near.every(Number.isFinite));
    assert.deepEqual(await run(5, tokens.length), far, "within reach");
    assert.deepEqual(row(near, 0, 20), row(far, 0, 20));
    for (let p = 20; p < tokens.length; p++) {
      assert.notDeepEqual(row(near, p), row(far, p), `position ${p}`);
    }
    for (const chunk of [1, 7, 18, 38]) {
      assert.deepEqual(await run(chunk, 20), near, `chunks of ${chunk}`);
    }
    // Rows that are turned back and rows that are not, in one step.
    const { driver } = await start({ ...BLOCKS, sink, reach: 20 });
    await driver.step([{ seq: 2, from: 0, ids: tokens.slice(0, 37) }]);
    const { logits } = await driver.step([
      { seq: 0, from: 0, ids: tokens.slice(0, 22) },
      { seq: 2, from: 37, ids: tokens.slice(37) },
    ]);
    assert.deepEqual(row(logits, 0, 22), row(near, 0, 22));
    assert.deepEqual(row(logits, 22), row(near, 37));
  });

  for (const codec of codecs) {
    for (const [keepFirst, tokens] of [[0, 8], [2, 8], [0, 16]] as const) {
      const kept = keepFirst * tokens;
      const options = { tokens, blocks: 5, codec: { ...codec, keepFirst } };
      const what = `"${codec.id}", ${keepFirst} blocks of ${tokens} kept`;
      law(
        `reads its own block open and earlier ones sealed, ${what}`,
        async (start) => {
          const open = await start({ tokens, blocks: 5 });
          const plain = await alone(open, ids(38, 6));
          const all: Float32Array[] = [];
          for (const chunk of [1, 5, tokens, 38]) {
            const { driver } = await start(options);
            const out = new Float32Array(38 * VOCAB);
            for (let from = 0; from < 38;) {
              const end = Math.min(
                38,
                from + chunk,
                stepEnd(from, driver.stepTokens),
              );
              const part = ids(38, 6).slice(from, end);
              const { logits } = await driver.step([{
                seq: 1,
                from,
                ids: part,
              }]);
              out.set(logits, from * VOCAB);
              from = end;
            }
            all.push(out);
          }
          for (const out of all) assert.deepEqual(out, all[0]);
          const sealed = Math.max(tokens, kept + tokens);
          assert.deepEqual(row(all[0]!, 0, sealed), row(plain, 0, sealed));
          for (let p = sealed; p < 38; p++) {
            assert.notDeepEqual(
              row(all[0]!, p),
              row(plain, p),
              `position ${p}`,
            );
          }
        },
      );
    }
  }

  law("gives wanted rows alone, and their largest logits", async (start) => {
    const { driver, backend } = await start();
    const work = [{ seq: 0, from: 0, ids: ids(6) }];
    const { logits, topIds, topLogits } = await driver.step(work, 5);
    for (let i = 0; i < 6; i++) {
      const all = row(logits, i);
      const order = Array.from(all, (_, id) => id)
        .sort((a, b) => all[b]! - all[a]! || a - b).slice(0, 5);
      // A backend may keep room for more than is asked for.
      assert.deepEqual([...topIds[i]!.subarray(0, 5)], order);
      const values = topLogits[i]!.subarray(0, 5);
      assert.deepEqual([...values], order.map((id) => all[id]!));
    }
    backend.batch.wanted = 2;
    backend.batch.wantedRows.set([1, 5]);
    const result = await backend.run();
    assert.deepEqual(result.logits(0).slice(), row(logits, 1));
    assert.deepEqual(result.logits(1).slice(), row(logits, 5));
    backend.batch.wanted = 0;
    await backend.run();
  });

  law("owns up to every byte it takes", async (start) => {
    const { backend } = await start();
    backend.memory.check();
    const sum = backend.lines().reduce((bytes, line) => bytes + line.bytes, 0);
    assert.equal(sum, backend.memory.stat().used);
  });
}

interface Started {
  readonly backend: Backend;
  readonly driver: Driver;
}

function ids(length: number, seed = 0): number[] {
  return Array.from(
    { length },
    (_, i) => (i * i * 7 + i * 3 + seed * 11) % VOCAB,
  );
}

/** Logits of rows `from` up to, not including, `to`. */
function row(logits: Float32Array, from: number, to = from + 1): Float32Array {
  return logits.slice(from * VOCAB, to * VOCAB);
}

/** Logits of all of `tokens` in one step by themselves. */
async function alone(
  { driver }: Started,
  tokens: readonly number[],
): Promise<Float32Array> {
  return (await driver.step([{ seq: 0, from: 0, ids: tokens }])).logits;
}
