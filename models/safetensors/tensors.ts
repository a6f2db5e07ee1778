/**
 * Stored tensors as the tensors of a model: under GGUF's names, in the files where
 * they are.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import type { TensorInfo, WeightType } from "../../core/model.ts";
import { matrixOf, rowsOf } from "../arch/views.ts";
import { quote } from "../gguf/walk.ts";
import { kindOf } from "./json.ts";
import type { Described } from "./metadata.ts";
import { ggufName } from "./names.ts";
import type { PlacedTensor, Shards } from "./shards.ts";

/** Types that weights may have. */
const TYPES: ReadonlyMap<string, WeightType> = new Map([
  ["F32", "F32"],
  ["F16", "F16"],
  ["BF16", "BF16"],
]);

/**
 * Names every tensor.
 *
 * @throws {ModelError} for one that is not known, of a type that is not read, or of
 * more dimensions than a matrix has.
 */
export function tensorsOf(
  { files, tensors }: Shards,
  model: Described,
): Map<string, TensorInfo> {
  const out = new Map<string, TensorInfo>();
  const from = new Map<string, string>();
  const add = (stored: PlacedTensor, info: TensorInfo): void => {
    const before = from.get(info.name);
    if (before !== undefined) {
      throw new ModelError(
        files[stored.file]!.path,
        `tensors ${quote(before)} and ${
          quote(stored.name)
        } are the same part ` +
          `of the model, wanted one of them`,
      );
    }
    from.set(info.name, stored.name);
    out.set(info.name, info);
  };
  for (const stored of tensors.values()) {
    const fail = (problem: string): never => {
      throw new ModelError(
        files[stored.file]!.path,
        `tensor ${quote(stored.name)} ${problem}`,
      );
    };
    const name = ggufName(stored.name, model.family, model.tied);
    if (name === undefined) {
      return fail(
        `is not part of the architecture "${model.family.architecture}" as it ` +
          `is supported`,
      );
    }
    if (name.kind === "ignored") continue;
    const type = TYPES.get(stored.dtype);
    if (type === undefined) {
      return fail(
        `has the dtype ${stored.dtype}, wanted F32, F16 or BF16: get the ` +
          `model in one of them, or as GGUF`,
      );
    }
    if (name.kind === "one") {
      const info = infoOf(stored, type, name.name, 2, fail);
      const { normsLessOne = false } = model.family;
      add(stored, name.norm && normsLessOne ? { ...info, plus: 1 } : info);
      continue;
    }
    const all = infoOf(stored, type, stored.name, 3, fail);
    const parts = name.names.length;
    if (all.stack !== model.experts || all.outputs % parts !== 0) {
      fail(
        `has the shape ${stored.shape.join(" × ")}, wanted ${model.experts} ` +
          `experts of ${parts === 1 ? "rows" : "an even number of rows"}`,
      );
    }
    for (let expert = 0; expert < all.stack; expert++) {
      const matrix = matrixOf(all, expert), rows = all.outputs / parts;
      name.names.forEach((nameOf, i) =>
        add(stored, {
          ...rowsOf(matrix, i * rows, rows),
          name: nameOf(expert),
        })
      );
    }
  }
  checkBiases(out, model, files[0]!.path);
  return out;
}

function infoOf(
  { shape, file, offset, bytes }: PlacedTensor,
  type: WeightType,
  name: string,
  most: number,
  fail: (problem: string) => never,
): TensorInfo {
  if (shape.length < 1 || shape.length > most || shape.includes(0)) {
    fail(
      `has the shape ${
        shape.length === 0 ? "of one number" : shape.join(" × ")
      }, ` +
        `wanted 1 to ${most} dimensions and none of them 0`,
    );
  }
  const [inputs, outputs = 1, stack = 1] = shape.toReversed() as [
    number,
    number?,
    number?,
  ];
  return { name, type, inputs, outputs, stack, file, offset, bytes };
}

/** What the config says of biases and what there is must be the same. */
function checkBiases(
  tensors: ReadonlyMap<string, TensorInfo>,
  { biases }: Described,
  path: string,
): void {
  const found = tensors.has("blk.0.attn_q.bias");
  if (biases === undefined || biases === found) return;
  throw new ModelError(
    path,
    `"attention_bias" in config.json is ${kindOf(biases)}, but there are ` +
      `${found ? "biases" : "none"} of queries`,
  );
}
