/**
 * What weights and working memory will take, before there is any memory: the same
 * steps as a backend goes, over empty books.
 *
 * @module
 */
import type { Adapter } from "../core/adapters.ts";
import type { BoundGroup } from "../core/backend.ts";
import { heap } from "../core/heap.ts";
import type { ModelSpec } from "../core/model.ts";
import type { WeightSizes } from "../core/weight_plan.ts";
import { lines } from "./kernels.ts";
import { type LimitOptions, wasmLimits } from "./limits.ts";
import { placeAdapters, takeLora } from "./lora.ts";
import { type Books, placeWeights } from "./load.ts";
import { placeRopes, takePlaces } from "./places.ts";
import { programBytes } from "./program.ts";
import { takeFeeding } from "./read_weights.ts";
import { extentOf, Space } from "./space.ts";
import { weightBytes } from "./weight_list.ts";
import { CONTROL_BYTES } from "./workers.ts";

/** What a backend will be made of; see `WasmOptions`. */
export interface SizeOptions extends LimitOptions {
  readonly spec: ModelSpec;
  readonly context: number;
  readonly threads: number;
  readonly exact: boolean;
  /** Its groups and tables, as `bind()` will get them. */
  readonly groups: readonly BoundGroup[];
  readonly tableStride: number;
  /** Layers before which hidden states are wanted. Default 0. */
  readonly boundaries?: number;
  readonly adapters?: readonly Adapter[] | undefined;
}

/** The sizes of a backend whose steps have up to each of `rows` rows; none of K and V. */
export function weightSizes(
  options: SizeOptions,
  rows: readonly number[],
): Omit<WeightSizes, "leastKv" | "contextKv"> {
  const { spec, exact, adapters = [] } = options;
  const { experts, ...bytes } = weightBytes(spec, exact);
  const streaming = (experts: boolean) => streamingBytes(spec, exact, experts);
  const space = new Space(books());
  placeAdapters(adapters, space);
  return {
    budget: wasmLimits(options).bytes,
    ...bytes,
    fixed: bytes.fixed + total(space),
    steps: rows.map((rows) => ({ rows, bytes: stepBytes(options, rows) })),
    streaming: streaming(false),
    ...experts && { experts: { ...experts, streaming: streaming(true) } },
  };
}

/** Books of a memory that no model is too large for. */
function books(): Books {
  return heap(2 ** 36, 64);
}

function stepBytes(options: SizeOptions, rows: number): number {
  const { spec, context, threads, groups, tableStride } = options;
  const limits = wasmLimits({ ...options, rows });
  const extent = extentOf(spec, limits, context);
  const space = new Space(books()), scratch = 0;
  const parts = { spec, space, limits, extent, scratch, threads };
  const work = (bytes: number): void =>
    void space.take("workspace", "other", bytes);
  work(CONTROL_BYTES);
  work(extent.scratch * threads);
  takePlaces(parts, groups, tableStride, options.boundaries);
  placeRopes(parts, context);
  work(programBytes(spec, options.adapters?.length ?? 0));
  const adapters = placeAdapters(options.adapters ?? [], new Space(books()));
  takeLora(adapters, spec, space, limits, extent);
  for (const { fused, layers } of groups) {
    for (const layer of layers) {
      const centre = fused?.centre?.(layer);
      if (centre !== undefined) work(centre.length * 4);
    }
  }
  return total(space);
}

function total(space: Space): number {
  return space.entries().reduce((sum, e) => sum + e.bytes, 0);
}

/** As if all layers were streamed, or all experts. */
function streamingBytes(
  spec: ModelSpec,
  exact: boolean,
  one: boolean,
): WeightSizes["streaming"] {
  const all = spec.layers.map((_, i) => i);
  const { layers, experts } = weightBytes(spec, exact);
  const slots = { slots: experts?.items ?? 0, slotBytes: 64 };
  const weights = placeWeights(spec, books(), exact, {
    ...{ from: "disk", rows: 1, notes: [] },
    streamed: one ? [] : all,
    depth: one ? 0 : all.length,
    slotBytes: Math.max(64, ...layers),
    ...one && { experts: slots },
  });
  const bytes = (from: "disk" | "host"): number => {
    const space = new Space(books()), ring = weights.ring;
    if (ring === undefined) return 0;
    takeFeeding(space, { ...weights, ring: { ...ring, from } });
    return space.entries().reduce((sum, e) => sum + lines(e.bytes), 0);
  };
  return { disk: bytes("disk"), host: bytes("host") };
}
