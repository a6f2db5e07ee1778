/**
 * Arrays of a GGUF header, decoded fast: a vocabulary has hundreds of thousands
 * of strings, and making a decoder or a copy for each takes seconds.
 *
 * @module
 */
import type { ArrayRange } from "./walk.ts";
import { VALUE } from "./value_types.ts";

/** What an array of the metadata decodes to. */
export type GgufArray =
  | string[]
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array;

/**
 * Decodes one array; the walk has checked that it lies within `header`.
 * Truth values become bytes of 0 and 1.
 */
export function decodeArray(
  header: Uint8Array<ArrayBuffer>,
  range: ArrayRange,
): GgufArray {
  if (range.kind === VALUE.STRING) return decodeStrings(header, range);
  // A copy, because the file does not align its numbers.
  const raw = header.slice(range.values, range.end).buffer;
  switch (range.kind) {
    case VALUE.I8:
      return new Int8Array(raw);
    case VALUE.U16:
      return new Uint16Array(raw);
    case VALUE.I16:
      return new Int16Array(raw);
    case VALUE.U32:
      return new Uint32Array(raw);
    case VALUE.I32:
      return new Int32Array(raw);
    case VALUE.F32:
      return new Float32Array(raw);
    case VALUE.U64:
      return new BigUint64Array(raw);
    case VALUE.I64:
      return new BigInt64Array(raw);
    case VALUE.F64:
      return new Float64Array(raw);
    default:
      return new Uint8Array(raw);
  }
}

/**
 * Puts the bytes of all strings in a row, decodes that once and cuts the text:
 * one call instead of one per string. Where the bytes are not valid UTF-8, or a
 * string starts inside a character, units cannot be counted from bytes and
 * every string is decoded for itself.
 */
function decodeStrings(
  header: Uint8Array<ArrayBuffer>,
  range: ArrayRange,
): string[] {
  const joined = new Uint8Array(range.end - range.values - 8 * range.count);
  // End of each string in UTF-16 units of the joined text.
  const ends = new Uint32Array(range.count);
  const view = new DataView(header.buffer, header.byteOffset);
  let at = range.values, to = 0, units = 0;
  for (let i = 0; i < range.count; i++) {
    const length = view.getUint32(at, true);
    at += 8;
    if (length > 0 && (header[at]! & 0xc0) === 0x80) {
      return decodeEach(header, range);
    }
    for (const end = at + length; at < end; at++) {
      const byte = header[at]!;
      joined[to++] = byte;
      // A continuation byte adds no unit, a four-byte character two.
      if ((byte & 0xc0) !== 0x80) units += byte >= 0xf0 ? 2 : 1;
    }
    ends[i] = units;
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      .decode(joined);
  } catch {
    return decodeEach(header, range);
  }
  const out = new Array<string>(range.count);
  for (let i = 0, start = 0; i < range.count; i++) {
    out[i] = text.slice(start, start = ends[i]!);
  }
  return out;
}

function decodeEach(
  header: Uint8Array<ArrayBuffer>,
  range: ArrayRange,
): string[] {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const view = new DataView(header.buffer, header.byteOffset);
  const out: string[] = [];
  for (let at = range.values; at < range.end;) {
    const start = at + 8;
    at = start + view.getUint32(at, true);
    out.push(decoder.decode(header.subarray(start, at)));
  }
  return out;
}
