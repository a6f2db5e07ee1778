/**
 * A model's weights as the CPU backend keeps them: what each takes, and which may
 * be streamed.
 *
 * @module
 */
import {
  type ModelSpec,
  routersOf,
  type TensorInfo,
  tensorsOf,
} from "../core/model.ts";
import { expertItems, mostExperts } from "./expert_cache.ts";
import {
  type LaneLayout,
  layoutOf,
  lines,
  panelBytes,
  panelsOf,
} from "./kernels.ts";

/** One tensor. */
export interface Weight {
  readonly name: string;
  readonly tensor: TensorInfo;
  readonly layout: LaneLayout;
  /** Eight outputs of a matrix; see kernels.ts. */
  readonly panels: number;
  readonly panelBytes: number;
  /** Kept as f32 values instead of in lanes. */
  readonly vector: boolean;
  /** Decoded to f32. */
  readonly exact: boolean;
  /** In memory, whole cache lines. */
  readonly bytes: number;
  /** The one layer it is a matrix of; undefined where it always stays. */
  readonly layer: number | undefined;
}

/** Every tensor that the model names, once, in the order of use. */
export function weightList(spec: ModelSpec, exact: boolean): readonly Weight[] {
  const list = new Map<string, Weight>();
  // Near ties between experts are decided by little, and routers are small.
  const routers = new Set(spec.layers.flatMap(routersOf));
  const add = (name: string, layer?: number): void => {
    const tensor = spec.tensors.get(name)!, router = routers.has(name);
    const vector = tensor.outputs === 1 && !router, decoded = exact || router;
    const layout = layoutOf(tensor, decoded), panels = panelsOf(tensor.outputs);
    const each = panelBytes(layout, tensor.inputs);
    list.set(name, {
      name,
      tensor,
      layout,
      panels,
      panelBytes: each,
      vector,
      exact: decoded,
      bytes: lines(vector ? tensor.inputs * 4 : each * panels),
      // What several layers name belongs to none; norms are small, and few reads.
      layer: vector || list.has(name) ? undefined : layer,
    });
  };
  add(spec.embedding);
  spec.layers.forEach((layer, i) => {
    for (const name of tensorsOf(layer)) add(name, i);
  });
  add(spec.outputNorm);
  add(spec.output);
  return [...list.values()];
}

/**
 * Bytes of each layer's matrices, of what stays, and of the output matrix; and what
 * experts are of the former.
 */
export function weightBytes(
  spec: ModelSpec,
  exact: boolean,
): {
  layers: number[];
  fixed: number;
  output: number;
  experts?: { items: number; most: number; bytes: number; slotBytes: number };
} {
  const layers = spec.layers.map(() => 0);
  const items = expertItems(spec), each = items.map(() => 0);
  const itemOf = new Map(items.flatMap((e, i) => e.names.map((n) => [n, i])));
  let fixed = 0, output = 0;
  for (const { name, layer, bytes } of weightList(spec, exact)) {
    const item = itemOf.get(name);
    if (item !== undefined) each[item]! += bytes;
    if (layer === undefined) fixed += bytes;
    else layers[layer]! += bytes;
    if (name === spec.output) output = bytes;
  }
  if (items.length === 0) return { layers, fixed, output };
  const bytes = each.reduce((sum, b) => sum + b, 0);
  const slotBytes = each.reduce((most, b) => Math.max(most, b), 0);
  const experts = { items: items.length, most: mostExperts(spec), bytes };
  return { layers, fixed, output, experts: { ...experts, slotBytes } };
}
