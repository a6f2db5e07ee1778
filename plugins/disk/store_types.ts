/**
 * What a store is made with, and what it tells of itself.
 *
 * @module
 */
import type { Hand } from "./hand.ts";

/** How a folder is opened. */
export interface StoreOptions {
  readonly folder: string;
  /** Of all files in it. */
  readonly bytes: number;
  readonly sync: boolean;
  /** Bytes of blocks that may wait to be written. */
  readonly queue: number;
  /** Says who writes, to others who would like to. */
  readonly by: string;
  /** Milliseconds until a read is given up, and until closing is. */
  readonly patience: number;
  readonly onNote: (note: string) => void;
  /** The one that writes. */
  readonly writer: Hand;
  /** Those that read. */
  readonly readers: readonly Hand[];
}

/** What a store has done and has. */
export interface DiskStat {
  /** "reader": another process writes, nothing is kept by this one. */
  readonly role: "writer" | "reader";
  /** Blocks that can be found by key. */
  readonly blocks: number;
  /** On disk, in files of blocks and the log. */
  readonly bytes: number;
  /** Blocks read, and their bytes. */
  readonly reads: number;
  /** Bytes of them. */
  readonly readBytes: number;
  /** Bytes of blocks written. */
  readonly writtenBytes: number;
  /** Blocks that made room for others. */
  readonly evicted: number;
  /** Blocks that were not whole, or not there, when they were read. */
  readonly lost: number;
  /** Blocks not written: no room on disk or in the queue, or an error. */
  readonly forgotten: number;
  /** Errors of the file system while writing. */
  readonly errors: number;
}
