/**
 * The experts of a layer: what its metadata says of them, and where their matrices are.
 *
 * ```text
 *  blk.N.ffn_gate_exps.weight    [inputs, outputs, experts]    all of them in one tensor
 *  blk.N.ffn_gate.E.weight       [inputs, outputs]             one each, as older files do
 *  blk.N.ffn_gate_shexp.weight   [inputs, outputs]             of one that all rows take
 * ```
 *
 * @module
 */
import type { ExpertsSpec, MlpSpec } from "../../core/model.ts";
import type { Architecture } from "./architecture.ts";
import { type Metadata, show } from "./metadata.ts";
import type { TensorChecker } from "./shapes.ts";

/** Most experts in a layer: beyond what anyone has trained. */
const MAX_EXPERTS = 1024;

/** Keys that would change how experts are chosen or weighed. */
const REFUSES = [
  "expert_group_count",
  "expert_weights_scale",
  "leading_dense_block_count",
  "interleave_moe_layer_step",
];

/** Softmax, of the functions that `expert_gating_func` may name. */
const SOFTMAX = 1;

/** How many experts there are and how many a row takes; the same in all layers. */
export interface ExpertCounts {
  readonly count: number;
  readonly used: number;
  /** Width of one, and of the shared one. */
  readonly ffn: number;
  readonly shared: number;
}

/**
 * Reads the counts; undefined for a model without experts. Throws a ModelError for
 * what makes no sense, or is not supported.
 */
export function expertCounts(
  arch: Architecture,
  meta: Metadata,
): ExpertCounts | undefined {
  const key = "expert_count", usedKey = "expert_used_count";
  if (arch.experts === undefined || !meta.isSet(key)) return undefined;
  const count = meta.count(key), used = meta.count(usedKey);
  if (count > MAX_EXPERTS) {
    meta.fail(
      `"${meta.key(key)}" is ${count}, wanted at most ${MAX_EXPERTS}`,
    );
  }
  if (used > count) {
    meta.fail(
      `"${meta.key(usedKey)}" is ${used}, wanted at most ` +
        `"${meta.key(key)}", which is ${count}`,
    );
  }
  for (const key of REFUSES) {
    const value = meta.get(key);
    if (!meta.isSet(key) || key === "expert_weights_scale" && value === 1) {
      continue;
    }
    meta.fail(
      `"${meta.key(key)}" is ${show(value)}, which is not supported for ` +
        `the architecture "${arch.name}"; wanted it absent`,
    );
  }
  const gating = meta.get("expert_gating_func") ?? SOFTMAX;
  if (gating !== 0 && gating !== SOFTMAX) {
    meta.fail(
      `"${meta.key("expert_gating_func")}" is ${show(gating)}, wanted ` +
        `${SOFTMAX}, a softmax`,
    );
  }
  const width = (own: string): number =>
    meta.isSet(own) ? meta.count(own) : meta.count("feed_forward_length");
  return {
    count,
    used,
    ffn: width("expert_feed_forward_length"),
    shared: arch.experts.shared
      ? width("expert_shared_feed_forward_length")
      : 0,
  };
}

/** Finds the tensors of a layer's experts. */
export function expertsOf(
  arch: Architecture,
  tensors: TensorChecker,
  layer: number,
  hidden: number,
  { count, used, ffn, shared }: ExpertCounts,
): ExpertsSpec {
  const name = (part: string) => `blk.${layer}.${part}.weight`;
  const all = (part: string, inputs: number, outputs: number): string[] => {
    const why = "expert's inputs × outputs × experts";
    const stacked = name(`${part}_exps`);
    if (tensors.has(stacked) || !tensors.has(name(`${part}.0`))) {
      return tensors.stack(stacked, inputs, outputs, count, why);
    }
    return Array.from(
      { length: count },
      (_, i) => tensors.matrix(name(`${part}.${i}`), inputs, outputs, why),
    );
  };
  const gates = all("ffn_gate", hidden, ffn);
  const ups = all("ffn_up", hidden, ffn);
  const downs = all("ffn_down", ffn, hidden);
  return {
    router: tensors.matrix(
      name("ffn_gate_inp"),
      hidden,
      count,
      "hidden × experts",
    ),
    used,
    normalised: arch.experts!.normalised,
    each: gates.map((gate, i): MlpSpec => ({
      ffn,
      gate,
      up: ups[i]!,
      down: downs[i]!,
    })),
    ...(shared > 0 && {
      shared: {
        mlp: sharedOf(tensors, name, hidden, shared),
        gate: tensors.vector(name("ffn_gate_inp_shexp"), hidden, "hidden"),
      },
    }),
  };
}

function sharedOf(
  tensors: TensorChecker,
  name: (part: string) => string,
  hidden: number,
  ffn: number,
): MlpSpec {
  const matrix = (part: string, inputs: number, outputs: number) =>
    tensors.matrix(name(part), inputs, outputs, "the shared expert's");
  return {
    ffn,
    gate: matrix("ffn_gate_shexp", hidden, ffn),
    up: matrix("ffn_up_shexp", hidden, ffn),
    down: matrix("ffn_down_shexp", ffn, hidden),
  };
}
