/**
 * From the matrices of an adapter to what they add to those of a model.
 *
 * A model may keep several projections in one stored matrix, and rows of queries and
 * keys in the order in which its rotation wants them:
 *
 * ```text
 *  B of qkv_proj   | rows of q | rows of k | rows of v |     one module each, A the same
 *
 *  a head, "halves"        0   1   2  …  h   h+1 …           i turns with i + h
 *  a head, "neighbours"    0   h   1  h+1  2 …               2i turns with 2i + 1
 * ```
 *
 * @module
 */
import type { AdapterModule } from "../../core/adapters.ts";
import { ModelError } from "../../core/errors.ts";
import type { LayerSpec, ModelSpec, RopeSpec } from "../../core/model.ts";
import { quote } from "../gguf/walk.ts";
import { matrixOf, type StoredMatrix } from "./stored.ts";

/** A projection of a layer. */
export type Part = "q" | "k" | "v" | "attnOut" | "gate" | "up" | "down";

/** What a pair of matrices adds to. */
export interface Target {
  /** As the file calls it, for messages. */
  readonly name: string;
  /** Undefined for the output. */
  readonly layer: number | undefined;
  /** Whose rows follow one another in B; none for the output. */
  readonly parts: readonly Part[];
}

/** A pair of matrices. */
export interface Pair {
  readonly target: Target;
  readonly a: StoredMatrix;
  readonly b: StoredMatrix;
  readonly factor: number;
}

/**
 * The modules of a pair. `style`: the order that rows of queries and keys have in the
 * file.
 *
 * @throws {ModelError} where the model has no such matrix, or one of another shape.
 */
export function fit(
  path: string,
  spec: ModelSpec,
  { target, a, b, factor }: Pair,
  style: RopeSpec["style"],
): readonly AdapterModule[] {
  const fail = (problem: string): never => {
    throw new ModelError(path, `${quote(target.name)} ${problem}`);
  };
  const tensors = tensorsOf(spec, target, fail);
  const rank = a.rows;
  if (rank !== b.columns) {
    fail(
      `has an A of rank ${rank} and a B of rank ${b.columns}: wanted the same`,
    );
  }
  if (!Number.isFinite(factor)) {
    fail(`is multiplied by ${factor}, a finite number is wanted`);
  }
  const shapes = tensors.map((name) => spec.tensors.get(name)!);
  const { inputs } = shapes[0]!;
  const outputs = shapes.reduce((sum, t) => sum + t.outputs, 0);
  if (a.columns !== inputs || b.rows !== outputs) {
    fail(
      `takes ${a.columns} inputs and gives ${b.rows} outputs, the model's ` +
        `matrix has ${inputs} and ${outputs}: is it an adapter of another model?`,
    );
  }
  let from = 0;
  return tensors.map((tensor, i) => {
    const count = shapes[i]!.outputs, first = from;
    from += count;
    const order = rowOrder(spec, target, i, first, count, style, fail);
    const whole = order === undefined && tensors.length === 1;
    return {
      tensor,
      rank,
      factor,
      a: matrixOf(a),
      b: whole ? matrixOf(b) : matrixOf(
        b,
        order ?? Int32Array.from({ length: count }, (_, r) => first + r),
      ),
    };
  });
}

function tensorsOf(
  spec: ModelSpec,
  { layer: index, parts }: Target,
  fail: (problem: string) => never,
): readonly string[] {
  if (index === undefined) return [spec.output];
  const layer = spec.layers[index] ??
    fail(
      `is of layer ${index}, the model has layers 0 to ${
        spec.layers.length - 1
      }`,
    );
  return parts.map((part) =>
    partOf(layer, part) ??
      fail("is of a layer with experts, which take no adapters here")
  );
}

/** The model's matrix. */
export function partOf(layer: LayerSpec, part: Part): string | undefined {
  const { tensors: t, mlp } = layer;
  switch (part) {
    case "q":
    case "k":
    case "v":
    case "attnOut":
      return t[part];
    default:
      return mlp?.[part];
  }
}

/** Which rows of B are those of a part, where they are not simply as they are. */
function rowOrder(
  spec: ModelSpec,
  { layer: index, parts }: Target,
  i: number,
  first: number,
  count: number,
  style: RopeSpec["style"],
  fail: (problem: string) => never,
): Int32Array | undefined {
  const part = parts[i];
  if (index === undefined || (part !== "q" && part !== "k")) return undefined;
  const { headDim, rope } = spec.layers[index]!;
  if (rope.style === style) return undefined;
  if (rope.dims !== headDim) {
    fail(
      `is of a model that turns ${rope.dims} of ${headDim} values of a head: ` +
        `how its rows would have to be reordered is not known`,
    );
  }
  const half = headDim / 2;
  return Int32Array.from({ length: count }, (_, row) => {
    const at = row % headDim;
    const from = rope.style === "neighbours"
      ? (at >> 1) + (at & 1) * half
      : 2 * (at % half) + Math.floor(at / half);
    return first + row - at + from;
  });
}
