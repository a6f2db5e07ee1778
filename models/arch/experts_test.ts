import assert from "node:assert/strict";
import { ModelError } from "../../core/errors.ts";
import type { ModelSpec } from "../../core/model.ts";
import { openGguf } from "../gguf.ts";
import { VALUE } from "../gguf/value_types.ts";
import { withFile } from "../testing/files.ts";
import type { WrittenFile } from "../testing/gguf_writer.ts";
import { type Changes, tinyLlama } from "../testing/tiny_llama.ts";
import { modelSpec } from "./mod.ts";

function specOf(file: WrittenFile): Promise<ModelSpec> {
  return withFile(file, async (path) => modelSpec(await openGguf(path)));
}

function set(key: string, kind: number, value: unknown): Changes {
  return { [`llama.${key}`]: [`llama.${key}`, kind, value] };
}

const COUNTS: Changes = {
  ...set("expert_count", VALUE.U32, 3),
  ...set("expert_used_count", VALUE.U32, 2),
};

type Shapes = Record<string, readonly number[] | undefined>;

const NO_MLP: Shapes = {
  "blk.0.ffn_gate.weight": undefined,
  "blk.0.ffn_up.weight": undefined,
  "blk.0.ffn_down.weight": undefined,
  "blk.0.ffn_gate_inp.weight": [32, 3],
};

/** Experts of 8, stacked. */
const STACKED: Shapes = {
  ...NO_MLP,
  "blk.0.ffn_gate_exps.weight": [32, 8, 3],
  "blk.0.ffn_up_exps.weight": [32, 8, 3],
  "blk.0.ffn_down_exps.weight": [8, 32, 3],
};

const WIDTH = set("feed_forward_length", VALUE.U32, 8);

Deno.test("modelSpec() takes experts that are stacked, each a view of its own bytes", async () => {
  const spec = await specOf(tinyLlama({ ...COUNTS, ...WIDTH }, STACKED));
  const { mlp, experts } = spec.layers[0]!;
  assert.equal(mlp, undefined);
  assert.equal(experts!.router, "blk.0.ffn_gate_inp.weight");
  assert.deepEqual([experts!.used, experts!.normalised], [2, true]);
  assert.equal(experts!.each.length, 3);
  const whole = spec.tensors.get("blk.0.ffn_down_exps.weight")!;
  experts!.each.forEach(({ ffn, gate, up, down }, i) => {
    assert.equal(ffn, 8);
    for (const name of [gate, up]) {
      const { inputs, outputs, stack } = spec.tensors.get(name)!;
      assert.deepEqual([inputs, outputs, stack], [32, 8, 1], name);
    }
    const view = spec.tensors.get(down)!;
    assert.deepEqual([view.inputs, view.outputs], [8, 32]);
    assert.equal(view.offset, whole.offset + i * 8 * 32 * 4);
  });
});

Deno.test("modelSpec() takes experts of a tensor each, and a width of their own", async () => {
  const apart: Shapes = { ...NO_MLP };
  for (const i of [0, 1, 2]) {
    apart[`blk.0.ffn_gate.${i}.weight`] = [32, 16];
    apart[`blk.0.ffn_up.${i}.weight`] = [32, 16];
    apart[`blk.0.ffn_down.${i}.weight`] = [16, 32];
  }
  const spec = await specOf(tinyLlama({
    ...COUNTS,
    ...set("expert_feed_forward_length", VALUE.U32, 16),
  }, apart));
  assert.deepEqual(
    spec.layers[0]!.experts!.each.map((m) => [m.ffn, m.gate, m.up, m.down]),
    [0, 1, 2].map((i) => [
      16,
      ...["gate", "up", "down"].map((part) => `blk.0.ffn_${part}.${i}.weight`),
    ]),
  );
});

const REFUSED: readonly [string, Changes, Shapes, RegExp][] = [
  [
    "experts without a count of those taken",
    { ...COUNTS, "llama.expert_used_count": undefined },
    STACKED,
    /"llama\.expert_used_count" is missing/,
  ],
  [
    "more experts taken than there are",
    { ...COUNTS, ...set("expert_used_count", VALUE.U32, 4) },
    STACKED,
    /expert_used_count" is 4, wanted at most "llama\.expert_count", which is 3/,
  ],
  [
    "millions of experts",
    set("expert_count", VALUE.U32, 1 << 24),
    STACKED,
    /expert_used_count" is missing/,
  ],
  [
    "more experts than anyone has",
    { ...COUNTS, ...set("expert_count", VALUE.U32, 1025) },
    STACKED,
    /expert_count" is 1025, wanted at most 1024/,
  ],
  [
    "a router of another size",
    COUNTS,
    { ...STACKED, "blk.0.ffn_gate_inp.weight": [32, 4] },
    /"blk\.0\.ffn_gate_inp\.weight" is 32 × 4, wanted 32 × 3/,
  ],
  [
    "a stack of another height",
    COUNTS,
    { ...STACKED, "blk.0.ffn_up_exps.weight": [32, 8, 2] },
    /"blk\.0\.ffn_up_exps\.weight" is 32 × 8 × 2, wanted 32 × 8 × 3/,
  ],
  [
    "experts that are missing",
    COUNTS,
    {},
    /"blk\.0\.ffn_gate_exps\.weight" is missing, wanted 32 × 8 × 3/,
  ],
  [
    "an MLP beside experts",
    COUNTS,
    { ...STACKED, "blk.0.ffn_up.weight": [32, 8] },
    /"blk\.0\.ffn_up\.weight" is not part of the architecture/,
  ],
  [
    "weights of experts by a sigmoid",
    { ...COUNTS, ...set("expert_gating_func", VALUE.U32, 2) },
    STACKED,
    /expert_gating_func" is 2, wanted 1, a softmax/,
  ],
  [
    "weights that are scaled",
    { ...COUNTS, ...set("expert_weights_scale", VALUE.F32, 2.5) },
    STACKED,
    /expert_weights_scale" is 2\.5, which is not supported/,
  ],
  [
    "experts that all rows take",
    { ...COUNTS, ...set("expert_shared_count", VALUE.U32, 1) },
    STACKED,
    /expert_shared_count" is 1, which is not supported/,
  ],
];

for (const [name, changes, shapes, says] of REFUSED) {
  Deno.test(`modelSpec() refuses ${name}`, async () => {
    const file = tinyLlama({ ...WIDTH, ...changes }, shapes);
    await assert.rejects(specOf(file), (error: Error) => {
      assert.ok(error instanceof ModelError, error.stack);
      assert.match(error.message, says);
      return true;
    });
  });
}
