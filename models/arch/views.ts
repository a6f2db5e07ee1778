/**
 * Parts of stored tensors as tensors of their own: rows are stored one after another,
 * so some of them are a tensor with another offset.
 *
 * @module
 */
import type { TensorInfo } from "../../core/model.ts";

/**
 * Rows [from, from + count) of a matrix, named `NAME[from:to]`; for projections that a
 * file fuses. Throws a RangeError where there are no such rows.
 */
export function rowsOf(
  tensor: TensorInfo,
  from: number,
  count: number,
): TensorInfo {
  const { name, outputs, stack, bytes } = tensor, to = from + count;
  if (stack !== 1 || from < 0 || count < 1 || to > outputs) {
    throw new RangeError(
      `Cannot take rows ${from} to ${to} of tensor "${name}": it has ${outputs} of them in each of ${stack} matrices`,
    );
  }
  const row = bytes / outputs;
  return {
    ...tensor,
    name: `${name}[${from}:${to}]`,
    outputs: count,
    offset: tensor.offset + from * row,
    bytes: count * row,
  };
}

/**
 * Matrix `i` of those stacked in a tensor, named `NAME[i]`; for experts. Throws a
 * RangeError where there is no such matrix.
 */
export function matrixOf(tensor: TensorInfo, i: number): TensorInfo {
  const { name, stack } = tensor, bytes = tensor.bytes / stack;
  if (i < 0 || i >= stack) {
    throw new RangeError(
      `Cannot take matrix ${i} of tensor "${name}": it has ${stack}`,
    );
  }
  return {
    ...tensor,
    name: `${name}[${i}]`,
    stack: 1,
    offset: tensor.offset + i * bytes,
    bytes,
  };
}
