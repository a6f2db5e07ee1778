/**
 * How an architecture turns heads, from a file's metadata.
 *
 * @module
 */
import type { RopeSpec } from "../../core/model.ts";
import type { Architecture } from "./architecture.ts";
import { type Metadata, show } from "./metadata.ts";
import type { TensorChecker } from "./shapes.ts";

const TYPES = ["none", "linear", "yarn", "longrope"];

/** What a rope follows from besides the metadata. */
export interface RopeContext {
  readonly headDim: number;
  /** Most positions that a sequence will have. */
  readonly context: number;
}

/** The rope of an architecture's layers, those with one of their own apart. */
export function ropeOf(
  arch: Architecture,
  meta: Metadata,
  tensors: TensorChecker,
  context: RopeContext,
): RopeSpec {
  const said = ropeByKeys(arch, meta, tensors, context);
  if (meta.rope === undefined) return said;
  const { style, factors, long, magnitude } = meta.rope;
  const values = long !== undefined && context.context > long.beyond
    ? long.factors
    : factors;
  return {
    ...said,
    style,
    ...(values === undefined ? {} : { factors: values }),
    ...(magnitude === undefined ? {} : { magnitude }),
  };
}

function ropeByKeys(
  arch: Architecture,
  meta: Metadata,
  tensors: TensorChecker,
  { headDim, context }: RopeContext,
): RopeSpec {
  const type = meta.get("rope.scaling.type") ?? "linear";
  if (typeof type !== "string" || !TYPES.includes(type)) {
    meta.fail(
      `"${meta.key("rope.scaling.type")}" is ${show(type)}, wanted one of ${
        TYPES.join(", ")
      }`,
    );
  }
  const dims = dimsOf(arch, meta, headDim);
  const plain: RopeSpec = {
    style: arch.ropeStyle,
    base: meta.positive("rope.freq_base", 10_000),
    divide: 1,
    dims,
  };
  // Of training; what a file says of it beside "none" is of no effect.
  const factor = type === "none" ? 1 : scalingFactor(meta);
  const long = longRope(meta, tensors, dims, context);
  if (long !== undefined) return { ...plain, divide: factor, ...long };
  if (type === "longrope") {
    meta.fail(
      `"${meta.key("rope.scaling.type")}" is "longrope", and there is no ` +
        `tensor "${LONG}"`,
    );
  }
  const freqs = "rope_freqs.weight";
  const own = arch.ropeFactors === true && tensors.has(freqs);
  if (type === "yarn" && factor !== 1) {
    if (own) {
      meta.fail(
        `"${meta.key("rope.scaling.type")}" is "yarn", and there is a ` +
          `tensor "${freqs}"; wanted one of them`,
      );
    }
    return { ...plain, ...yarn(meta, plain, factor) };
  }
  const why = "rope.dimension_count / 2";
  return {
    ...plain,
    divide: factor,
    ...(own ? { factors: tensors.vector(freqs, dims / 2, why) } : {}),
  };
}

function dimsOf(arch: Architecture, meta: Metadata, headDim: number): number {
  const dims = meta.count("rope.dimension_count", headDim);
  const { partialRope = false } = arch;
  if (
    dims % 2 !== 0 || dims > headDim || (!partialRope && dims !== headDim)
  ) {
    meta.fail(
      `"${meta.key("rope.dimension_count")}" is ${dims}, wanted ` +
        (partialRope ? "an even number up to " : "the even head size ") +
        headDim,
    );
  }
  return dims;
}

function scalingFactor(meta: Metadata): number {
  const key = meta.get("rope.scaling.factor") === undefined
    ? "rope.scale_linear"
    : "rope.scaling.factor";
  return meta.isSet(key) ? meta.positive(key) : 1;
}

const LONG = "rope_factors_long.weight", SHORT = "rope_factors_short.weight";

/**
 * LongRoPE: two sets of factors. The long ones serve a context beyond that of the
 * first training, for all of its positions: what is cached could not change sets.
 */
function longRope(
  meta: Metadata,
  tensors: TensorChecker,
  dims: number,
  context: number,
): Partial<RopeSpec> | undefined {
  if (!tensors.has(LONG) && !tensors.has(SHORT)) return undefined;
  const [long, short] = [LONG, SHORT].map((name) =>
    tensors.vector(name, dims / 2, "rope.dimension_count / 2")
  ) as [string, string];
  return {
    factors: context > originalContext(meta) ? long : short,
    magnitude: meta.positive("rope.scaling.attn_factor", 1),
  };
}

function originalContext(meta: Metadata): number {
  return meta.count(
    "rope.scaling.original_context_length",
    meta.count("context_length"),
  );
}

/** Between these is YaRN's ramp: turns within the original context. */
const TURNS = [
  ["rope.scaling.yarn_beta_fast", 32],
  ["rope.scaling.yarn_beta_slow", 1],
] as const;

/**
 * YaRN: wavelengths much shorter than the original context stay, those much longer
 * are stretched by `factor`, in between is a ramp over the pairs.
 */
function yarn(
  meta: Metadata,
  { base, dims }: RopeSpec,
  factor: number,
): Pick<RopeSpec, "factors" | "magnitude"> {
  const original = originalContext(meta);
  // The pair that turns so many times within the original context.
  const pair = (turns: number): number =>
    dims * Math.log(original / (turns * 2 * Math.PI)) / (2 * Math.log(base));
  for (const [key, usual] of TURNS) {
    const value = meta.positive(key, usual);
    if (value === usual) continue;
    meta.fail(`"${meta.key(key)}" is ${value}, wanted ${usual} or none`);
  }
  const [[, fast], [, slow]] = TURNS;
  const low = Math.max(0, Math.floor(pair(fast)));
  const high = Math.min(dims - 1, Math.ceil(pair(slow)));
  const factors = Array.from({ length: dims / 2 }, (_, i) => {
    const ramp = (i - low) / Math.max(0.001, high - low);
    const stretched = Math.min(1, Math.max(0, ramp));
    return 1 / (stretched / factor + (1 - stretched));
  });
  const magnitude = factor > 1 ? 1 + 0.1 * Math.log(factor) : 1;
  const trained = meta.positive("rope.scaling.attn_factor", 1);
  return { factors, magnitude: magnitude * trained };
}
