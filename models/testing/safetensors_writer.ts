/**
 * Safetensors files for tests, sound unless they are asked to be otherwise.
 *
 * @module
 */
import { toF16Bits } from "../../core/f16.ts";

/** Types that values can be written in. */
export type FloatType = "F32" | "F16" | "BF16";

/** A tensor to be written. */
export interface StoredValues {
  readonly name: string;
  readonly dtype: string;
  /** Slowest dimension first. */
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A file of these tensors, one behind the other, its header padded to 8 bytes. */
export function writeSafetensors(
  tensors: readonly StoredValues[],
): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let at = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    header[name] = {
      dtype,
      shape,
      data_offsets: [at, at += bytes.length],
    };
  }
  return withHeader(JSON.stringify(header), tensors.map((t) => t.bytes));
}

/** A file of a header as it is and what follows it. */
export function withHeader(
  header: string,
  data: readonly Uint8Array[] = [],
): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(header);
  const padded = Math.ceil(text.length / 8) * 8;
  const size = data.reduce((sum, bytes) => sum + bytes.length, 8 + padded);
  const out = new Uint8Array(size).fill(0x20, 8, 8 + padded);
  new DataView(out.buffer).setBigUint64(0, BigInt(padded), true);
  out.set(text, 8);
  let at = 8 + padded;
  for (const bytes of data) {
    out.set(bytes, at);
    at += bytes.length;
  }
  return out;
}

/** Values in a type, each rounded to the nearest (ties to even). */
export function encode(type: FloatType, values: Float32Array): Uint8Array {
  if (type === "F32") return new Uint8Array(values.slice().buffer);
  const out = new Uint16Array(values.length);
  const bits = new Uint32Array(values.slice().buffer);
  for (let i = 0; i < out.length; i++) {
    out[i] = type === "F16" ? toF16Bits(values[i]!) : bfloat(bits[i]!);
  }
  return new Uint8Array(out.buffer);
}

function bfloat(bits: number): number {
  return (bits + 0x7fff + (bits >>> 16 & 1)) >>> 16;
}
