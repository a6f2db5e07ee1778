/**
 * A block that the disk has, or is to have.
 *
 * @module
 */
import type { LogRecord } from "./log.ts";

/** Slots of one size in one file. */
export interface Segment {
  readonly name: string;
  readonly number: number;
  /** Of a slot. */
  readonly pages: number;
  /** What is in each slot that was ever used; its length counts for the quota. */
  readonly slots: (Block | undefined)[];
  /** How many of them have a block. */
  taken: number;
}

/** A block, on disk or on its way. */
export interface Block {
  /** 64 hexadecimal digits. */
  readonly key: string;
  /** Of the plan; the same form. */
  readonly print: string;
  readonly length: number;
  /** Whether it is found by its key, in later processes too. */
  readonly keyed: boolean;
  /** Its bytes, until they are on disk. */
  bytes: Uint8Array | undefined;
  /** Its place; from when it is written on. */
  segment: Segment | undefined;
  slot: number;
  /** Whether it is on disk, whole as far as is known. */
  stored: boolean;
  /** Nobody will ask for it any more. */
  gone: boolean;
}

/** Makes a block that is nowhere yet. */
export function block(
  fields: Pick<Block, "key" | "print" | "length" | "keyed" | "bytes">,
): Block {
  return {
    ...fields,
    segment: undefined,
    slot: -1,
    stored: false,
    gone: false,
  };
}

/** The record that names a stored block. */
export function recordOf({ key, segment, slot, length }: Block): LogRecord {
  const { number, pages } = segment!;
  return { key, place: { segment: number, pages, slot, length } };
}
