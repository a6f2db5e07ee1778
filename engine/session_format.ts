/**
 * The file of a session.
 *
 * ```text
 *   0   8  "QUIRESES"
 *   8   4  version
 *  12   4  1, in the byte order of the machine, which K and V are in as well
 *  16   4  bytes of the text T
 *  20   4  tokens N
 *  24   4  positions whose K and V follow, a multiple of every group's block
 *  28   8  bytes of the file
 *  36   4  CRC-32 of text and tokens
 *  40   4  CRC-32 of the 40 bytes before
 *  44   T  who made it and what was said: JSON, UTF-8
 *      4N  tokens
 *          then for each block, in the order of `KeptPrefix.blocks`:
 *       4  CRC-32 of the block's content address and its bytes
 *          its bytes, as many as the plan says
 * ```
 * Numbers are little-endian but for the mark of the byte order. The address in
 * the checksum says plan, model and all tokens up to the block's end, so that a block at
 * another's place counts as damaged. Lengths are compared with the file's before
 * anything is allocated.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import { damaged, unreadable } from "./session_error.ts";
import { readText, type SessionText, textOf } from "./session_text.ts";

const MAGIC = new TextEncoder().encode("QUIRESES");
const VERSION = 1;
/** Bytes of the fixed part. */
export const FIXED = 44;
/** Bytes before a block's own. */
export const BLOCK_HEAD = 4;
/** No conversation has more text; what says so is not looked at further. */
const MOST_TEXT = 1 << 28;

/** All of a session but K and V. */
export interface SessionHead {
  readonly text: SessionText;
  readonly tokens: readonly number[];
  /** Positions whose K and V follow. */
  readonly positions: number;
  /** Where these begin. */
  readonly at: number;
  /** Bytes the file is to have. */
  readonly bytes: number;
}

/** Text and tokens of a session as bytes; the fixed part before them is empty. */
export function encodeHead(
  text: SessionText,
  tokens: readonly number[],
): Uint8Array {
  const json = new TextEncoder().encode(textOf(text));
  const out = new Uint8Array(FIXED + json.length + 4 * tokens.length);
  const view = new DataView(out.buffer);
  view.setUint32(16, json.length, true);
  view.setUint32(20, tokens.length, true);
  out.set(json, FIXED);
  const at = FIXED + json.length;
  tokens.forEach((token, i) => view.setUint32(at + 4 * i, token, true));
  return out;
}

/** Fills in the fixed part, when it is known how much follows. */
export function finishHead(
  head: Uint8Array,
  positions: number,
  bytes: number,
): void {
  const view = new DataView(head.buffer, head.byteOffset, FIXED);
  head.set(MAGIC);
  view.setUint32(8, VERSION, true);
  head.set(byteOrder(), 12);
  view.setUint32(24, positions, true);
  view.setBigUint64(28, BigInt(bytes), true);
  view.setUint32(36, crc32(head.subarray(FIXED)), true);
  view.setUint32(40, crc32(head.subarray(0, 40)), true);
}

/** Reads bytes from where the file stands; false: it ends before. */
export type ReadBytes = (out: Uint8Array) => Promise<boolean>;

/**
 * Reads what stands before the blocks.
 *
 * @throws {SessionError} for what is no session, of another version, or damaged.
 */
export async function readHead(
  path: string,
  read: ReadBytes,
  size: number,
): Promise<SessionHead> {
  const fixed = new Uint8Array(FIXED), view = new DataView(fixed.buffer);
  if (!await read(fixed) || MAGIC.some((byte, i) => fixed[i] !== byte)) {
    throw unreadable(
      path,
      "it is no session of Quire, or its start is damaged",
    );
  }
  if (view.getUint32(40, true) !== crc32(fixed.subarray(0, 40))) {
    throw damaged(path, "its head");
  }
  const version = view.getUint32(8, true);
  if (version !== VERSION) {
    throw unreadable(
      path,
      `it has version ${version}, version ${VERSION} is wanted: another release of Quire wrote it`,
    );
  }
  if (byteOrder().some((byte, i) => fixed[12 + i] !== byte)) {
    throw unreadable(path, "a machine of another byte order wrote it");
  }
  const length = view.getUint32(16, true), count = view.getUint32(20, true);
  const positions = view.getUint32(24, true), at = FIXED + length + 4 * count;
  if (at > size || length > MOST_TEXT || positions > count) {
    throw damaged(path, `its head (${at} bytes before K and V, of ${size})`);
  }
  const rest = new Uint8Array(at - FIXED);
  if (!await read(rest) || view.getUint32(36, true) !== crc32(rest)) {
    throw damaged(path, "its text");
  }
  const numbers = new DataView(rest.buffer, length);
  return {
    text: readText(path, new TextDecoder().decode(rest.subarray(0, length))),
    tokens: Array.from(
      { length: count },
      (_, i) => numbers.getUint32(4 * i, true),
    ),
    positions,
    at,
    bytes: Number(view.getBigUint64(28, true)),
  };
}

/** Writes a block's head to `record`, whose bytes follow it. */
export function sealRecord(record: Uint8Array, content: string): void {
  const sum = crc32(record.subarray(BLOCK_HEAD), crc32(content));
  new DataView(record.buffer, record.byteOffset).setUint32(0, sum, true);
}

/** Whether a block is as it was written. */
export function isSound(record: Uint8Array, content: string): boolean {
  const view = new DataView(record.buffer, record.byteOffset);
  return view.getUint32(0, true) ===
    crc32(record.subarray(BLOCK_HEAD), crc32(content));
}

function byteOrder(): Uint8Array {
  return new Uint8Array(new Uint32Array([1]).buffer);
}
