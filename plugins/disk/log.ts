/**
 * The index log: which slot has the block of which key. Records are appended
 * after the blocks they name are on disk, and replayed when the folder is opened.
 *
 * ```text
 * index.log: records of 64 bytes, u32 words in the machine's own byte order
 *  0 CRC of words 1..15 | 1 what it says | 2..7 see below | 8..15 key
 *
 *  HEAD  2..3 "QUIRELOG" | 4 version | 5 byte order | 8..15 random, new for each file
 *  HAS   2 segment | 3 pages of its slots | 4 slot | 5 bytes of the block
 *  GONE  nothing: the key has no block any more
 * ```
 * The last record of a slot holds. A record that is not whole is left out; with
 * those at the end the log is cut. Blocks that a missing record would have taken
 * away are found and then lost when they are read, since slots say their own keys.
 *
 * @module
 */
import { crc32 } from "node:zlib";

/** Bytes of a record. */
export const RECORD = 64;
/** Name of the file. */
export const LOG_NAME = "index.log";

const VERSION = 1;
const ORDER = 0x01020304;
const HEAD = 1;
const HAS = 2;
const GONE = 3;

/** Where a block is. */
export interface LogPlace {
  readonly segment: number;
  readonly pages: number;
  readonly slot: number;
  readonly length: number;
}

/** What a record says of a key; without a place: it is gone. */
export interface LogRecord {
  readonly key: string;
  readonly place: LogPlace | undefined;
}

/** What a log says. */
export interface Replayed {
  /** Bytes up to the end of the last record that is whole. */
  readonly end: number;
  readonly records: readonly LogRecord[];
}

function sealed(record: Uint8Array): Uint8Array {
  new Uint32Array(record.buffer)[0] = crc32(record.subarray(4));
  return record;
}

function hexOf(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) out += byte.toString(16).padStart(2, "0");
  return out;
}

/** First record of a new log. */
export function logHead(): Uint8Array {
  const record = new Uint8Array(RECORD);
  record.set(new TextEncoder().encode("QUIRELOG"), 8);
  const words = new Uint32Array(record.buffer);
  words[1] = HEAD;
  words[4] = VERSION;
  words[5] = ORDER;
  crypto.getRandomValues(record.subarray(32));
  return sealed(record);
}

/** Writes a record down. `key`: 64 hexadecimal digits. */
export function logRecord({ key, place }: LogRecord): Uint8Array {
  const record = new Uint8Array(RECORD);
  const words = new Uint32Array(record.buffer);
  words[1] = place === undefined ? GONE : HAS;
  if (place !== undefined) {
    words.set([place.segment, place.pages, place.slot, place.length], 2);
  }
  for (let i = 0; i < 32; i++) {
    record[32 + i] = parseInt(key.slice(2 * i, 2 * i + 2), 16);
  }
  return sealed(record);
}

/** Whether a log begins as one that this can read. */
export function isLog(bytes: Uint8Array): boolean {
  if (bytes.length < RECORD) return false;
  const head = bytes.slice(0, RECORD);
  const words = new Uint32Array(head.buffer);
  return words[0] === crc32(head.subarray(4)) && words[1] === HEAD &&
    new TextDecoder().decode(head.subarray(8, 16)) === "QUIRELOG" &&
    words[4] === VERSION && words[5] === ORDER;
}

/** Reads the records from `from` on. */
export function replay(bytes: Uint8Array, from: number = RECORD): Replayed {
  const records: LogRecord[] = [];
  let end = from;
  const record = new Uint8Array(RECORD);
  const words = new Uint32Array(record.buffer);
  for (let at = from; at + RECORD <= bytes.length; at += RECORD) {
    record.set(bytes.subarray(at, at + RECORD));
    if (words[0] !== crc32(record.subarray(4))) continue;
    const [, says, segment, pages, slot, length] = words;
    if (says !== HAS && says !== GONE) continue;
    end = at + RECORD;
    records.push({
      key: hexOf(record.subarray(32)),
      place: says === GONE ? undefined : {
        segment: segment!,
        pages: pages!,
        slot: slot!,
        length: length!,
      },
    });
  }
  return { end, records };
}
