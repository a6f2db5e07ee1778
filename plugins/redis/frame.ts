/**
 * What a value in the server looks like. It says whose it is, so a value under the
 * wrong name, of another model or cut short is told from the right one.
 *
 * ```text
 *  byte  0   4  "QUKV"
 *        4   4  version, little-endian like all that follows
 *        8   4  length of the block, bytes
 *       12  32  SHA-256 of the value's name: prefix, fingerprint, salt and key
 *       44   4  CRC-32 of all before and of the block
 *       48      the block
 * ```
 *
 * @module
 */
import { crc32 } from "node:zlib";
import { sha256 } from "../../core/sha256.ts";

/** Bytes before the block. */
export const HEADER = 48;

const MAGIC = 0x564b5551;
const VERSION = 1;
const CRC_AT = 44;

/** What a value turned out to be. */
export type Found =
  | "ok"
  /** Right for somebody, not for us: of another version, or another length. */
  | "other"
  /** Nobody can use it. */
  | "broken";

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function checksum(value: Uint8Array): number {
  return crc32(value.subarray(HEADER), crc32(value.subarray(0, CRC_AT)));
}

/** The value that keeps a block under a name. */
export function frame(name: string, block: Uint8Array): Uint8Array {
  const value = new Uint8Array(HEADER + block.length);
  const view = viewOf(value);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, VERSION, true);
  view.setUint32(8, block.length, true);
  value.set(sha256(new TextEncoder().encode(name)), 12);
  value.set(block, HEADER);
  view.setUint32(CRC_AT, checksum(value), true);
  return value;
}

/** The block in a value, a view of it; or why there is none. */
export function opened(
  name: string,
  value: Uint8Array,
): Uint8Array | "other" | "broken" {
  if (value.length < HEADER) return "broken";
  const view = viewOf(value);
  if (view.getUint32(0, true) !== MAGIC) return "broken";
  if (view.getUint32(4, true) !== VERSION) return "other";
  if (view.getUint32(8, true) !== value.length - HEADER) return "broken";
  if (view.getUint32(CRC_AT, true) !== checksum(value)) return "broken";
  const owner = sha256(new TextEncoder().encode(name));
  for (let i = 0; i < 32; i++) if (value[12 + i] !== owner[i]) return "broken";
  return value.subarray(HEADER);
}

/** Takes the block out of a value; `out` is written for "ok" only. */
export function unframe(
  name: string,
  value: Uint8Array,
  out: Uint8Array,
): Found {
  const block = opened(name, value);
  if (!(block instanceof Uint8Array)) return block;
  if (block.length !== out.length) return "other";
  out.set(block);
  return "ok";
}
