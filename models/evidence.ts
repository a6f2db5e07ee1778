/**
 * Pieces of a file's weights, by which two trainings of one shape are told apart.
 *
 * @module
 */
import type { TensorInfo } from "../core/model.ts";
import type { HeaderSource } from "./gguf/source.ts";

const SAMPLES = 64;
const SAMPLE_BYTES = 4096;
const TENSOR_BYTES = 1024;

/** Pieces of the bytes from `start` on, evenly spread: two trainings of one shape differ. */
export function sampleData(src: HeaderSource, start: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const step = Math.max(SAMPLE_BYTES, Math.floor((src.size - start) / SAMPLES));
  for (let at = start; at < src.size; at += step) {
    const piece = new Uint8Array(Math.min(SAMPLE_BYTES, src.size - at));
    src.readAt(at, piece);
    pieces.push(piece);
  }
  return pieces;
}

/** The middle of a tensor: one that alone was trained further differs there. */
export function sampleTensor(
  src: HeaderSource,
  { offset, bytes }: Pick<TensorInfo, "offset" | "bytes">,
): Uint8Array {
  const piece = new Uint8Array(Math.min(TENSOR_BYTES, bytes));
  src.readAt(offset + Math.floor((bytes - piece.length) / 2), piece);
  return piece;
}

/** SHA-256 in hex over the lengths of files and pieces of what is in them. */
export async function fingerprintOf(
  lengths: readonly number[],
  evidence: readonly Uint8Array[],
): Promise<string> {
  const sizes = new TextEncoder().encode(lengths.join(","));
  const whole = await new Blob([sizes, ...evidence] as BlobPart[])
    .arrayBuffer();
  return new Uint8Array(await crypto.subtle.digest("SHA-256", whole)).toHex();
}
