/**
 * Where a step's arrays, activations and tables lie.
 *
 * @module
 */
import type { BackendLimits, BoundGroup } from "../core/backend.ts";
import type { ModelSpec } from "../core/model.ts";
import { fillAngles, FINE, frequencies } from "./angles.ts";
import { partWordBytes } from "./boundaries.ts";
import { takeExperts } from "./experts.ts";
import type { Weights } from "./load.ts";
import type { WasmMemory } from "./memory.ts";
import { type Places, ropeKey, type RopePlace } from "./program.ts";
import { SEALED_BYTES } from "./sealed.ts";
import { type Extent, type Space, SPREAD_ROWS } from "./space.ts";

/** Most logits that a step sorts out for each row. */
export const TOP = 128;

/** What places are taken from. */
export interface PlaceParts {
  readonly spec: ModelSpec;
  readonly memory: WasmMemory;
  readonly space: Space;
  readonly limits: BackendLimits;
  readonly extent: Extent;
  readonly scratch: number;
  readonly threads: number;
}

/** Takes the places of a step's arrays and activations, and of rows at `boundaries`. */
export function takePlaces(
  parts: Omit<PlaceParts, "memory">,
  groups: readonly BoundGroup[],
  tableStride: number,
  boundaries = 0,
): Places {
  const { spec, space, limits, extent, scratch, threads } = parts;
  const work = (what: string, bytes: number): number =>
    space.take("workspace", what, bytes);
  const act = (what: string, bytes: number): number =>
    space.take("activations", what, bytes);
  const { rows, wanted } = extent;
  const dims = spec.layers.map((l) => (l.headDim + 4) * l.qHeads);
  const each = (bytes: number): number[] =>
    groups.map(() => work("batch", bytes));
  const sealed = groups.map((g) => g.fused !== undefined);
  const words = work("batch", 64);
  const tiles = work("batch", rows * 8);
  return {
    tokens: work("batch", rows * 4),
    positions: work("batch", rows * 4),
    seqs: work("batch", rows * 4),
    wantedRows: work("batch", wanted * 4),
    tables: each(limits.seqs * tableStride * 4),
    sealed: sealed.map((is) =>
      is ? work("batch", limits.seqs * tableStride * 4) : 0
    ),
    sealedLayers: sealed.includes(true)
      ? work("batch", spec.layers.length * SEALED_BYTES)
      : 0,
    starts: each(rows * 4),
    sinks: each(rows * 4),
    firsts: each(rows * 4),
    backs: each(rows * 4),
    tiles,
    rows: words,
    wanted: words + 4,
    top: words + 8,
    tileCount: words + 12,
    seals: words + 20,
    parts: work("batch", partWordBytes(spec.layers.length)),
    kept: Array.from(
      { length: boundaries },
      () => act("rows at boundaries", rows * spec.hidden * 4),
    ),
    x: act("residual stream", rows * spec.hidden * 4),
    qkv: act("q, k and v", rows * extent.qkv * 4),
    heads: act("attention output", rows * extent.heads * 4),
    y: act("block output", rows * spec.hidden * 4),
    gate: act("gate and up", rows * extent.ffn * 4),
    up: act("gate and up", rows * extent.ffn * 4),
    logits: act("logits", wanted * extent.vocab * 4),
    shares: work("top logits", wanted * threads * TOP * 8),
    topIds: work("top logits", wanted * TOP * 4),
    topValues: work("top logits", wanted * TOP * 4),
    partial: work(
      "attention parts",
      Math.min(rows, SPREAD_ROWS) * Math.max(...dims) * extent.splits * 4,
    ),
    scratch,
    scratchBytes: extent.scratch,
    first: space.forms(
      "products' inputs",
      Math.max(rows, wanted),
      Math.max(spec.hidden, extent.heads),
    ),
    second: space.forms("products' inputs", rows, extent.ffn),
    experts: takeExperts(spec, space, rows),
  };
}

/** Tables and angles for each kind of rope the model has, filled. */
export function takeRopes(
  parts: PlaceParts,
  weights: Weights,
  context: number,
): RopePlace[] {
  const { memory } = parts;
  return placeRopes(parts, context).map((place) => {
    const { rope, coarse, fine } = place, half = rope.dims / 2;
    const factors = typeof rope.factors === "string"
      ? memory.f32(weights.vectors.get(rope.factors)!, half)
      : rope.factors;
    const f = frequencies(rope, factors), rows = coarseRows(context);
    fillAngles(memory.f64(coarse, rows * half * 2), f, FINE);
    fillAngles(memory.f64(fine, FINE * half * 2), f, 1);
    return place;
  });
}

/** Takes their places. */
export function placeRopes(
  { spec, space, limits }: Pick<PlaceParts, "spec" | "space" | "limits">,
  context: number,
): RopePlace[] {
  const ropes = new Map<string, RopePlace>();
  for (const { rope } of spec.layers) {
    const key = ropeKey(rope);
    if (ropes.has(key)) continue;
    const half = rope.dims / 2;
    const take = (rows: number): number =>
      space.take("workspace", "rope tables", rows * half * 16);
    const coarse = take(coarseRows(context)), fine = take(FINE);
    const turns = space.take(
      "activations",
      "rope angles",
      limits.rows * half * 8,
    );
    ropes.set(key, { rope, coarse, fine, turns, angles: 0 });
  }
  return [...ropes.values()];
}

function coarseRows(context: number): number {
  return Math.ceil(context / FINE) + 1;
}
