/**
 * What becomes of a model's weights on the CPU backend, in words.
 *
 * @module
 */
import type { ModelSpec, TensorInfo } from "../core/model.ts";
import { KERNELS, layoutOf, roundingOf } from "./kernels.ts";
import { weightList } from "./weight_list.ts";

/**
 * A line for each format whose matrices are kept otherwise than their file has them,
 * with bits a weight; the most tensors first.
 */
export function weightNotes(
  spec: ModelSpec,
  exact: boolean,
): readonly string[] {
  const counts = new Map<string, number>();
  for (const { tensor, vector, exact: decoded } of weightList(spec, exact)) {
    const what = vector ? undefined : note(tensor, decoded);
    if (what === undefined) continue;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a).map(([what, count]) =>
    `${count} ${count === 1 ? "matrix" : "matrices"} of ${what}`
  );
}

function note(tensor: TensorInfo, exact: boolean): string | undefined {
  const { type } = tensor, row = KERNELS[type];
  const as = roundingOf(tensor, exact), layout = layoutOf(tensor, exact);
  const how = [
    ...as === undefined ? [] : [
      tensor.as === undefined
        ? `rounded to ${as}, no kernel reads them`
        : `rounded to ${as} as asked`,
    ],
    ...exact && type !== "F32"
      ? ["decoded to f32"]
      : as === undefined && row.note !== undefined
      ? [`repacked, ${row.note}`]
      : [],
  ];
  if (how.length === 0) return undefined;
  return `${type}: ${how.join(", ")}; ${
    round(layout.bytes / layout.inputs)
  } bits instead of ${round(row.bytes * 8 / row.values)}`;
}

function round(bits: number): number {
  return Math.round(bits * 100) / 100;
}
