/**
 * Where the tensors of one file lie, checked against its size.
 *
 * @module
 */
import type { GGUFTensorInfo } from "npm:@huggingface/gguf@0.4.6";
import { ModelError } from "../../core/errors.ts";
import type { TensorInfo } from "../../core/model.ts";
import {
  bytesOf,
  TENSOR_TYPES,
  typeLabel,
  weightTypeOf,
} from "../tensor_types.ts";
import type { UnreadTensor } from "../model_file.ts";
import { quote } from "./walk.ts";

/** What the checks need to know of a file. */
export interface TensorFile {
  readonly path: string;
  /** Length of the file, bytes. */
  readonly size: number;
  /** First byte of the tensor data. */
  readonly dataStart: number;
  readonly alignment: number;
  /** Index of this file among a split model's. */
  readonly index: number;
}

/**
 * Turns raw tensor infos into checked ones with absolute offsets.
 *
 * @throws {ModelError} for an unknown or unread type, a row that is not whole
 * blocks, an unaligned offset, data outside the file or two tensors that overlap.
 */
export function placeTensors(
  file: TensorFile,
  infos: readonly GGUFTensorInfo[],
): TensorInfo[] {
  const tensors = infos.map((info) => placeTensor(file, info));
  checkOverlap(file, tensors);
  return tensors;
}

/** Whether a tensor's type is one that is not read. */
export function isUnread(info: GGUFTensorInfo): boolean {
  return weightTypeOf(info.dtype) === undefined;
}

/** Describes those of `infos` whose types are not read. */
export function unreadTensors(
  file: TensorFile,
  infos: readonly GGUFTensorInfo[],
): UnreadTensor[] {
  const end = file.size - file.dataStart;
  const starts = infos.map((info) => Number(info.offset))
    .sort((a, b) => a - b);
  return infos.filter(isUnread).map((info) => {
    const from = Number(info.offset);
    const next = starts.find((start) => start > from) ?? end;
    return {
      name: info.name,
      type: typeLabel(info.dtype),
      values: info.shape.reduce((n, d) => n * Number(d), 1),
      bytes: Math.max(0, Math.min(next, end) - from),
      file: file.index,
    };
  });
}

function placeTensor(file: TensorFile, info: GGUFTensorInfo): TensorInfo {
  const fail = (problem: string): never => {
    throw new ModelError(file.path, `tensor ${quote(info.name)} ${problem}`);
  };
  const type = weightTypeOf(info.dtype);
  if (type === undefined) {
    return fail(
      `has type ${typeLabel(info.dtype)}, which cannot be read; ` +
        `wanted one of ${Object.keys(TENSOR_TYPES).join(", ")}`,
    );
  }
  const shape = [1, 1, 1, 1];
  info.shape.forEach((length, i) => shape[i] = Number(length));
  const [inputs, outputs, third, fourth] = shape as [
    number,
    number,
    number,
    number,
  ];
  const block = TENSOR_TYPES[type].values;
  if (inputs % block !== 0) {
    fail(
      `has rows of ${inputs} values, wanted a multiple of ${type}'s ${block}`,
    );
  }
  const bytes = bytesOf(type, inputs) * outputs * third * fourth;
  if (info.offset % BigInt(file.alignment) !== 0n) {
    fail(
      `has data offset ${info.offset}, wanted a multiple of the alignment ` +
        `${file.alignment}`,
    );
  }
  const offset = file.dataStart + Number(info.offset);
  if (offset + bytes > file.size) {
    fail(
      `needs bytes ${offset} to ${offset + bytes} (shape ${
        shape.slice(0, Math.max(1, info.n_dims)).join(" × ")
      }, ${type}), the file has ${file.size}: it is cut short or broken, ` +
        `get it again`,
    );
  }
  return {
    name: info.name,
    type,
    inputs,
    outputs,
    stack: third * fourth,
    file: file.index,
    offset,
    bytes,
  };
}

function checkOverlap(file: TensorFile, tensors: readonly TensorInfo[]): void {
  const sorted = [...tensors].sort((a, b) => a.offset - b.offset);
  for (let i = 1; i < sorted.length; i++) {
    const before = sorted[i - 1]!, after = sorted[i]!;
    if (before.offset + before.bytes > after.offset) {
      throw new ModelError(
        file.path,
        `tensors ${quote(before.name)} and ${quote(after.name)} overlap: ` +
          `one ends at byte ${before.offset + before.bytes}, the other ` +
          `starts at byte ${after.offset}`,
      );
    }
  }
}
