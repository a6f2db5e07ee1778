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

/** Bytes of each layer's matrices, of what stays, and of the output matrix. */
export function weightBytes(
  spec: ModelSpec,
  exact: boolean,
): { layers: number[]; fixed: number; output: number } {
  const layers = spec.layers.map(() => 0);
  let fixed = 0, output = 0;
  for (const { name, layer, bytes } of weightList(spec, exact)) {
    if (layer === undefined) fixed += bytes;
    else layers[layer]! += bytes;
    if (name === spec.output) output = bytes;
  }
  return { layers, fixed, output };
}
