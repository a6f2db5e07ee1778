/**
 * What every backend must keep where requests add adapters to the model, as tests.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Adapter } from "../adapters.ts";
import type { Backend } from "../backend.ts";
import type { MaybePromise } from "../types.ts";
import { maxAbsDiff } from "./compare.ts";
import { Driver, type DriverOptions, type DriveWork } from "./drive.ts";
import { adaptable, merged, randomAdapter } from "./random_adapters.ts";
import { type RandomModel, randomModel } from "./random_model.ts";

const VOCAB = 83, CUT = { tokens: 8, blocks: 6 };

const HEADS = { qHeads: 4, kvHeads: 2, headDim: 16, ffn: 72 };

/** An output of its own, whose rows are no whole panels; widths with rests. */
const OWN = randomModel({
  vocab: VOCAB,
  hidden: 40,
  layers: [HEADS, { ...HEADS, kvHeads: 1, activation: "gelu" }],
});

/** Norms after each half, so that what is added to x is normed first; tied. */
const TIED = randomModel({
  vocab: VOCAB,
  hidden: 64,
  norms: true,
  tied: true,
  layers: [{ ...HEADS, window: 7 }, HEADS, HEADS],
});

/** With experts, alone and beside an MLP. */
const EXPERTS = randomModel({
  vocab: VOCAB,
  hidden: 32,
  layers: [
    { ...HEADS, ffn: 0, experts: { count: 5, used: 2, ffn: 32 } },
    { ...HEADS, experts: { count: 3, used: 1, ffn: 24, shared: 40 } },
  ],
});

/** All matrices; some of one layer only; of another rank and type each. */
function adaptersOf({ spec }: RandomModel): readonly Adapter[] {
  const some = adaptable(spec).filter((_, i) => i % 3 === 1);
  return [
    randomAdapter(spec, { seed: 1 }),
    randomAdapter(spec, { seed: 2, rank: 11, type: "F16", tensors: some }),
    randomAdapter(spec, { seed: 3, rank: 16, type: "BF16" }),
  ];
}

const MODELS: Readonly<Record<string, RandomModel>> = {
  "own output": OWN,
  "tied output": TIED,
  "experts": EXPERTS,
};

/** By sequence, the scale of each adapter. */
type Use = Readonly<Record<number, readonly number[]>>;

const NONE: Use = {};

/**
 * Registers the laws under `name`. `make` gives a backend for a model with limits of
 * 40 rows and wanted rows, 4 sequences and 1 MiB for blocks. `bound`: how far from
 * the merged model logits may be.
 */
export function adapterLaws(
  name: string,
  make: (
    model: RandomModel,
    adapters: readonly Adapter[],
  ) => MaybePromise<Backend>,
  bound: number,
): void {
  const law = (
    criterion: string,
    check: (open: AsyncDisposableStack, model: RandomModel) => Promise<void>,
  ) => {
    for (const [kind, model] of Object.entries(MODELS)) {
      Deno.test(`${name} with adapters ${criterion}, ${kind}`, async () => {
        await using open = new AsyncDisposableStack();
        await check(open, model);
      });
    }
  };
  const start = async (
    open: AsyncDisposableStack,
    model: RandomModel,
    adapters: readonly Adapter[] = adaptersOf(model),
    options: DriverOptions = CUT,
  ) => {
    const backend = open.use(await make(model, adapters));
    const driver = new Driver(backend, model.spec, options);
    const step = async (use: Use, ...work: DriveWork[]) => {
      const { adapters } = backend.batch;
      if (adapters !== undefined) {
        adapters.scales.fill(0);
        adapters.active = false;
        for (const [seq, scales] of Object.entries(use)) {
          adapters.scales.set(scales, Number(seq) * adapters.count);
          adapters.active = true;
        }
      }
      return (await driver.step(work)).logits;
    };
    return { backend, step };
  };

  law("computes what the merged model does", async (open, model) => {
    const adapters = adaptersOf(model), tokens = ids(37);
    const work = { seq: 1, from: 0, ids: tokens };
    const plain = await (await start(open, model)).step(NONE, work);
    for (
      const scales of [[1, 0, 0], [0, -0.5, 0], [0, 0, 1], [0.5, 2, -1]]
    ) {
      const whole = merged(model, adapters.map((a, i) => [a, scales[i]!]));
      const want = await (await start(open, whole, [])).step(NONE, work);
      const got = await (await start(open, model)).step({ 1: scales }, work);
      const most = maxAbsDiff(got, want);
      assert.ok(most <= bound, `${scales}: ${most} above ${bound}`);
      assert.ok(maxAbsDiff(got, plain) > 20 * bound, "it changes little");
    }
  });

  law("leaves the bits of rows without any", async (open, model) => {
    const bare = await start(open, model, []);
    assert.equal(bare.backend.batch.adapters, undefined);
    const loaded = await start(open, model);
    const work = { seq: 2, from: 0, ids: ids(21) };
    const want = await bare.step(NONE, work);
    assert.deepEqual(await loaded.step(NONE, work), want);
    const others = { 0: [1, 1, 1], 3: [0, 1, 0] };
    const got = await (await start(open, model)).step(
      others,
      { seq: 0, from: 0, ids: ids(3) },
      work,
      { seq: 3, from: 0, ids: ids(5) },
    );
    assert.deepEqual(row(got, 3, 24), want);
  });

  law("gives a row its bits in any company and cut", async (open, model) => {
    const use = { 0: [1, 0, 0], 1: [0, 2, 0.5], 3: [0.25, 0, -1] };
    const prompts = [ids(13, 1), ids(9, 2), ids(11, 3), ids(7, 4)];
    const alone = [];
    for (const [seq, prompt] of prompts.entries()) {
      const { step } = await start(open, model);
      const work = { seq, from: 0, ids: prompt };
      alone.push(await step(use, work));
    }
    for (const sizes of [[13, 9, 11, 7], [4, 4, 4, 4], [1, 5, 2, 3]]) {
      const { step } = await start(open, model);
      const at = [0, 0, 0, 0];
      while (at.some((from, seq) => from < prompts[seq]!.length)) {
        const work = prompts.flatMap((prompt, seq) => {
          const from = at[seq]!, part = prompt.slice(from, from + sizes[seq]!);
          return part.length === 0 ? [] : [{ seq, from, ids: part }];
        });
        const got = await step(use, ...work);
        let first = 0;
        for (const { seq, from, ids } of work) {
          const end = first + ids.length;
          const want = row(alone[seq]!, from, from + ids.length);
          assert.deepEqual(row(got, first, end), want, `sequence ${seq}`);
          at[seq]! += ids.length;
          first = end;
        }
      }
    }
  });

  law("computes K and V from hidden states", async (open, model) => {
    const options = { ...CUT, boundaries: [1] }, use = { 0: [1, 0, 1] };
    const work = { seq: 0, from: 0, ids: ids(16) };
    const next = { seq: 0, from: 16, ids: ids(20).slice(16) };
    const { step, backend } = await start(open, model, undefined, options);
    const { hidden } = backend.batch;
    hidden!.mode = "keep";
    await step(use, work);
    const kept = hidden!.rows[0]!.slice();
    hidden!.mode = "none";
    const want = await step(use, next);
    const again = await start(open, model, undefined, options);
    const to = again.backend.batch.hidden!;
    to.mode = "inject";
    to.rows[0]!.set(kept);
    await again.step(use, work);
    to.mode = "none";
    assert.deepEqual(await again.step(use, next), want);
  });

  law("gives wanted rows and no others their logits", async (open, model) => {
    const { step, backend } = await start(open, model);
    const use = { 0: [0, 0, 1], 2: [1, 0, 0] };
    const all = await step(
      use,
      { seq: 0, from: 0, ids: ids(5) },
      { seq: 1, from: 0, ids: ids(5) },
      { seq: 2, from: 0, ids: ids(5) },
    );
    const { batch } = backend, wanted = [1, 7, 9, 12];
    batch.wanted = wanted.length;
    batch.wantedRows.set(wanted);
    const result = await backend.run();
    for (const [i, r] of wanted.entries()) {
      assert.deepEqual(result.logits(i).slice(), row(all, r));
    }
  });

  law("owns up to every byte it takes", async (open, model) => {
    const { backend } = await start(open, model);
    backend.memory.check();
    const lines = backend.lines();
    const sum = lines.reduce((bytes, line) => bytes + line.bytes, 0);
    assert.equal(sum, backend.memory.stat().used);
    for (const { name, modules } of adaptersOf(model)) {
      const own = lines.find((l) => l.component === `adapter "${name}"`);
      let least = 0;
      for (const { a, b } of modules.values()) {
        const size = a.type === "F32" ? 4 : 2;
        least += (a.rows * a.columns + b.rows * b.columns) * size;
      }
      assert.equal(own?.owner, "weights");
      assert.ok(own.bytes >= least);
    }
  });
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
