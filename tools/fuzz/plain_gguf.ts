/**
 * A second reader of GGUF, as simple as it can be: it knows nothing of the first,
 * takes no care of speed, and is what accepted files are held against. It writes
 * what it has read too, so that files can be bent by their structure.
 *
 * @module
 */
import type { Field } from "./bytes.ts";

/** An entry; `raw` is its value as it stands in the file. */
export interface PlainEntry {
  key: string;
  kind: number;
  /** Kind of an array's values. */
  of: number | undefined;
  /** A value, or an array's values. Whole numbers of 64 bits are bigint. */
  value: unknown;
  raw: Uint8Array;
}

/** A tensor's description. */
export interface PlainTensor {
  name: string;
  dims: bigint[];
  type: number;
  offset: bigint;
}

/** All of a file. */
export interface PlainGguf {
  version: number;
  entries: PlainEntry[];
  tensors: PlainTensor[];
  /** Where data begins, if alignment says something. */
  dataStart: number;
  /** What stands there. */
  data: Uint8Array;
  /** Numbers a reader goes by. */
  fields: Field[];
}

const SIZES = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
const STRING = 8, ARRAY = 9;

/** Reads a file; throws a RangeError where it ends early, an Error for other nonsense. */
export function readPlain(bytes: Uint8Array): PlainGguf {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const fields: Field[] = [];
  let at = 0;
  const u32 = (): number => {
    fields.push({ at, bytes: 4 });
    at += 4;
    return view.getUint32(at - 4, true);
  };
  const u64 = (): bigint => {
    fields.push({ at, bytes: 8 });
    at += 8;
    return view.getBigUint64(at - 8, true);
  };
  const take = (length: bigint): Uint8Array => {
    const end = BigInt(at) + length;
    if (end > BigInt(bytes.length)) throw new RangeError("it ends in a string");
    const from = at;
    at = Number(end);
    return bytes.subarray(from, at);
  };
  const text = (): string =>
    new TextDecoder("utf-8", { ignoreBOM: true }).decode(take(u64()));
  const scalar = (kind: number): unknown => {
    if (kind === STRING) return text();
    const size = SIZES[kind];
    if (size === undefined || size === 0) throw new Error(`kind ${kind}`);
    const from = at;
    at += size;
    if (at > bytes.length) throw new RangeError("it ends in a value");
    const read = [
      () => view.getUint8(from),
      () => view.getInt8(from),
      () => view.getUint16(from, true),
      () => view.getInt16(from, true),
      () => view.getUint32(from, true),
      () => view.getInt32(from, true),
      () => view.getFloat32(from, true),
      () => view.getUint8(from) !== 0,
      undefined,
      undefined,
      () => view.getBigUint64(from, true),
      () => view.getBigInt64(from, true),
      () => view.getFloat64(from, true),
    ];
    return read[kind]!();
  };
  if (view.getUint32(0, true) !== 0x46554747) throw new Error("no GGUF");
  at = 4;
  const version = u32(), tensorCount = u64(), entryCount = u64();
  const entries: PlainEntry[] = [];
  for (let i = 0n; i < entryCount; i++) {
    const key = text(), kind = u32(), from = at;
    let of: number | undefined, value: unknown;
    if (kind === ARRAY) {
      of = u32();
      const count = u64(), values: unknown[] = [];
      for (let k = 0n; k < count; k++) {
        const last = fields.length;
        values.push(scalar(of));
        // Some of a vocabulary's lengths are enough to bend.
        if (k > 3n) fields.length = last;
      }
      value = values;
    } else {
      if (SIZES[kind]! > 0) fields.push({ at, bytes: SIZES[kind] as 1 });
      value = scalar(kind);
    }
    entries.push({ key, kind, of, value, raw: bytes.slice(from, at) });
  }
  const tensors: PlainTensor[] = [];
  for (let i = 0n; i < tensorCount; i++) {
    const name = text(), dims: bigint[] = [];
    for (let n = u32(); n > 0; n--) dims.push(u64());
    tensors.push({ name, dims, type: u32(), offset: u64() });
  }
  const dataStart = Number(roundUp(BigInt(at), alignmentOf(entries)));
  const data = bytes.subarray(dataStart);
  return { version, entries, tensors, dataStart, data, fields };
}

/** What data is aligned to. */
export function alignmentOf(entries: readonly PlainEntry[]): bigint {
  const said = entries.find((e) => e.key === "general.alignment")?.value ?? 32;
  return typeof said === "number" && said >= 1 ? BigInt(Math.floor(said)) : 32n;
}

function roundUp(n: bigint, to: bigint): bigint {
  return (n + to - 1n) / to * to;
}

/** Writes it; counts may be given that are not its own. */
export function writePlain(
  { version, entries, tensors, data }: PlainGguf,
): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder(), parts: Uint8Array[] = [];
  let length = 0;
  const put = (bytes: Uint8Array): void => {
    parts.push(bytes);
    length += bytes.length;
  };
  const u32 = (n: number): void =>
    put(new Uint8Array(Uint32Array.of(n).buffer));
  const u64 = (n: bigint): void =>
    put(new Uint8Array(BigUint64Array.of(n).buffer));
  const text = (s: string): void => {
    const bytes = encoder.encode(s);
    u64(BigInt(bytes.length));
    put(bytes);
  };
  put(encoder.encode("GGUF"));
  u32(version);
  u64(BigInt(tensors.length));
  u64(BigInt(entries.length));
  for (const { key, kind, raw } of entries) {
    text(key);
    u32(kind);
    put(raw);
  }
  for (const { name, dims, type, offset } of tensors) {
    text(name);
    u32(dims.length);
    dims.forEach(u64);
    u32(type);
    u64(offset);
  }
  const alignment = alignmentOf(entries);
  const start = Number(
    roundUp(BigInt(length), alignment > 4096n ? 32n : alignment),
  );
  const out = new Uint8Array(start + data.length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  out.set(data, start);
  return out;
}

/** A value as it stands in a file. */
export function rawValue(
  kind: number,
  value: number | bigint | string,
): Uint8Array {
  if (kind === STRING) {
    const text = new TextEncoder().encode(String(value));
    const out = new Uint8Array(8 + text.length);
    new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
    out.set(text, 8);
    return out;
  }
  const out = new Uint8Array(8), view = new DataView(out.buffer);
  if (kind === 6) view.setFloat32(0, Number(value), true);
  else if (kind === 12) view.setFloat64(0, Number(value), true);
  else if (typeof value === "bigint") {
    view.setBigUint64(0, BigInt.asUintN(64, value), true);
  } else {view.setBigInt64(
      0,
      BigInt(Math.trunc(Number.isFinite(Number(value)) ? Number(value) : 0)),
      true,
    );}
  return out.slice(0, SIZES[kind] ?? 4);
}

/** An array as it stands in a file. */
export function rawArray(
  of: number,
  values: readonly (number | bigint | string)[],
): Uint8Array {
  const parts = values.map((v) => rawValue(of, v));
  const out = new Uint8Array(12 + parts.reduce((sum, p) => sum + p.length, 0));
  const view = new DataView(out.buffer);
  view.setUint32(0, of, true);
  view.setBigUint64(4, BigInt(values.length), true);
  let at = 12;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
