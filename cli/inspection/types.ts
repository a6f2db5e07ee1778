/**
 * Weights by their format: in the file, and in memory here.
 *
 * @module
 */
import type { TensorInfo } from "../../core/model.ts";
import type { ModelFile } from "../../models/model_file.ts";
import { KERNELS, layoutOf } from "../../wasm/kernels.ts";

/** Tensors of one weight format. */
export interface TypeShare {
  readonly type: string;
  readonly tensors: number;
  readonly parameters: number;
  /** In the file. */
  readonly bytes: number;
  /** The same by parameter, bits. */
  readonly bits: number;
  /** Of a matrix in memory; null where it cannot be read. */
  readonly memory: {
    /** By parameter, bits. */
    readonly bits: number;
    /** Why it is not what the file has, where that is so; null: nothing changes. */
    readonly note: string | null;
  } | null;
}

/** Every format of a file, largest share first. `model`: its tensors as they are used. */
export function typesOf(
  file: ModelFile,
  exact: boolean,
  model: ReadonlyMap<string, TensorInfo> = file.tensors,
): TypeShare[] {
  interface Sum {
    tensors: number;
    parameters: number;
    bytes: number;
    of: TensorInfo | undefined;
  }
  const sums = new Map<string, Sum>();
  const add = (
    type: string,
    parameters: number,
    bytes: number,
    of?: TensorInfo,
  ): void => {
    const sum = sums.get(type) ?? { tensors: 0, parameters: 0, bytes: 0, of };
    sum.tensors++;
    sum.parameters += parameters;
    sum.bytes += bytes;
    // Only matrices are rounded on request.
    if (of?.as !== undefined) sum.of = of;
    sums.set(type, sum);
  };
  // Of fused ones and of experts there are views, "NAME[…]".
  const rounded = new Map(
    [...model.values()].filter((t) => t.as !== undefined)
      .map((t) => [t.name.replace(/\[[\d:]+\]$/, ""), t]),
  );
  for (const t of file.tensors.values()) {
    const of = rounded.get(t.name) ?? t;
    add(t.type, t.inputs * t.outputs * t.stack, t.bytes, of);
  }
  for (const t of file.unread ?? []) add(t.type, t.values, t.bytes);
  return [...sums].map(([type, { of, ...sum }]) => ({
    type,
    ...sum,
    bits: shortly(8 * sum.bytes / sum.parameters),
    memory: of === undefined ? null : inMemory(of, exact),
  })).sort((a, b) => b.bytes - a.bytes);
}

function inMemory(of: TensorInfo, exact: boolean): TypeShare["memory"] {
  const { bytes, inputs } = layoutOf(of, exact);
  // A panel is eight outputs, so its bytes are the bits of one.
  const bits = shortly(bytes / inputs), note = noteOf(of, exact);
  return { bits, note };
}

function noteOf({ type, as }: TensorInfo, exact: boolean): string | null {
  if (exact) return type === "F32" ? null : "as f32, for --precision exact";
  return as === undefined ? KERNELS[type].note ?? null : `rounded to ${as}`;
}

function shortly(bits: number): number {
  return Math.round(bits * 1000) / 1000;
}

/** Parameters of all tensors, and of those that compute one token. */
export function parametersOf(
  file: ModelFile,
  experts: { readonly count: number; readonly used: number } | null,
): { parameters: number; active: number } {
  let parameters = 0, active = 0;
  const share = experts === null ? 1 : experts.used / experts.count;
  const add = (name: string, values: number): void => {
    parameters += values;
    active += /_exps\b/.test(name) ? values * share : values;
  };
  for (const t of file.tensors.values()) {
    add(t.name, t.inputs * t.outputs * t.stack);
  }
  for (const t of file.unread ?? []) add(t.name, t.values);
  return { parameters, active: Math.round(active) };
}
