/**
 * Small GGUF files for tests, right or wrong on purpose.
 *
 * @module
 */
import { VALUE, VALUE_BYTES } from "../gguf/value_types.ts";

/** A metadata entry: a kind from `VALUE`, and a value or, for arrays, values. */
export type Entry =
  | readonly [key: string, kind: number, value: unknown]
  | readonly [key: string, kind: 9, of: number, values: readonly unknown[]];

/** A tensor info, and the bytes to put at its offset. */
export interface WrittenTensor {
  readonly name: string;
  readonly dims: readonly (number | bigint)[];
  readonly type: number;
  /** From the start of the data; default: after the one before, aligned. */
  readonly offset?: number | bigint;
  readonly bytes: Uint8Array;
}

/** What to write. */
export interface WrittenFile {
  readonly magic?: string;
  readonly version?: number;
  readonly entries?: readonly Entry[];
  readonly tensors?: readonly WrittenTensor[];
  /** Counts as the file should claim them; default: as they are. */
  readonly entryCount?: bigint;
  readonly tensorCount?: bigint;
  /** Where tensor data is laid out; default 32. */
  readonly alignment?: number;
}

/** A GGUF file of these entries and tensors. */
export function writeGguf(file: WrittenFile): Uint8Array<ArrayBuffer> {
  const { entries = [], tensors = [], alignment = 32 } = file;
  const out: number[] = [...new TextEncoder().encode(file.magic ?? "GGUF")];
  u32(out, file.version ?? 3);
  u64(out, file.tensorCount ?? BigInt(tensors.length));
  u64(out, file.entryCount ?? BigInt(entries.length));
  for (const entry of entries) {
    string(out, entry[0]);
    u32(out, entry[1]);
    if (entry[1] === VALUE.ARRAY && entry.length === 4) {
      u32(out, entry[2] as number);
      u64(out, BigInt(entry[3].length));
      for (const value of entry[3]) scalar(out, entry[2] as number, value);
    } else scalar(out, entry[1], entry[2]);
  }
  let offset = 0;
  const placed = tensors.map((tensor) => {
    const at = Number(tensor.offset ?? offset);
    offset = align(at + tensor.bytes.length, alignment);
    return at;
  });
  tensors.forEach((tensor, i) => {
    string(out, tensor.name);
    u32(out, tensor.dims.length);
    for (const dim of tensor.dims) u64(out, BigInt(dim));
    u32(out, tensor.type);
    u64(out, BigInt(tensor.offset ?? placed[i]!));
  });
  const start = align(out.length, alignment);
  const end = Math.max(
    out.length,
    ...tensors.map((t, i) => start + placed[i]! + t.bytes.length)
      .filter((n) => n < 1 << 24),
  );
  const bytes = new Uint8Array(end);
  bytes.set(out);
  tensors.forEach((tensor, i) => {
    if (start + placed[i]! + tensor.bytes.length <= end) {
      bytes.set(tensor.bytes, start + placed[i]!);
    }
  });
  return bytes;
}

function align(n: number, to: number): number {
  return Math.ceil(n / to) * to;
}

function u32(out: number[], value: number): void {
  for (let shift = 0; shift < 32; shift += 8) out.push(value >>> shift & 255);
}

function u64(out: number[], value: bigint): void {
  for (let i = 0n; i < 64n; i += 8n) out.push(Number(value >> i & 255n));
}

function string(out: number[], text: string): void {
  const bytes = new TextEncoder().encode(text);
  u64(out, BigInt(bytes.length));
  for (const byte of bytes) out.push(byte);
}

function scalar(out: number[], kind: number, value: unknown): void {
  if (kind === VALUE.STRING) return string(out, value as string);
  const view = new DataView(new ArrayBuffer(8));
  if (kind === VALUE.F32) view.setFloat32(0, value as number, true);
  else if (kind === VALUE.F64) view.setFloat64(0, value as number, true);
  else view.setBigInt64(0, BigInt(value as number | bigint | boolean), true);
  for (let i = 0; i < (VALUE_BYTES[kind] ?? 4); i++) out.push(view.getUint8(i));
}
