/**
 * What an I/O worker can be asked, and what it answers.
 *
 * @module
 */
import type { Shared } from "./memories.ts";

/** Where messages come from and go to. */
export interface Port {
  listen(hear: (message: Asked) => void): void;
  post(message: Answered): void;
}

/** A request, numbered. */
export interface Asked {
  readonly id: number;
  readonly request: IoRequest;
}

/** The answer to the request of that number. */
export interface Answered {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: { readonly name: string; readonly message: string };
}

/** What a worker can be asked for. */
export type IoRequest =
  | { readonly type: "open"; readonly folder: string; readonly by: string }
  | { readonly type: "attach"; readonly folder: string }
  | ReadRequest
  | WriteRequest
  /** Another log in the place of the one there is. */
  | { readonly type: "log"; readonly bytes: Uint8Array; readonly sync: boolean }
  /** What was appended to a log that begins with `head`, else all there is now. */
  | { readonly type: "tail"; readonly head: Uint8Array; readonly from: number }
  /** Segments that are not there any more, or are to be opened anew: all. */
  | { readonly type: "forget"; readonly segments: readonly string[] | "all" }
  | { readonly type: "close" };

/** What "open" found. */
export interface Opened {
  /** Whether this is the one that may write. */
  readonly writer: boolean;
  /** What the one that may has said of itself. */
  readonly holder: string;
  readonly log: Uint8Array;
  readonly segments: readonly {
    readonly name: string;
    readonly bytes: number;
  }[];
}

/** What "tail" found; `from`: where in the log the bytes begin. */
export interface Tail {
  readonly from: number;
  readonly bytes: Uint8Array;
}

/** Where a block is and what it has to be. */
export interface SlotJob {
  readonly segment: string;
  readonly number: number;
  readonly pages: number;
  readonly slot: number;
  readonly length: number;
  readonly key: string;
  readonly print: string;
  /** Number of the memory that both sides share. */
  readonly memory: number;
  /** Where in it: of the bytes read, or of the slot to write. */
  readonly at: number;
}

/** A block, or `bytes` of it from `from` on. */
export interface ReadJob extends SlotJob {
  readonly from: number;
  readonly bytes: number;
}

/**
 * Answered by a byte for each job: 1 where it is in its memory, 0 where it is not
 * whole, 2 where that holds for all of its segment.
 */
export interface ReadRequest {
  readonly type: "read";
  readonly shared: Shared;
  readonly jobs: readonly ReadJob[];
}

/** Carried out in this order: trims, blocks, sync of those to keep, log. */
export interface WriteRequest {
  readonly type: "write";
  readonly shared: Shared;
  /** A segment ends earlier from now on; 0: it is not there any more. */
  readonly trims: readonly {
    readonly segment: string;
    readonly bytes: number;
  }[];
  /** `keep`: it is to outlast this process. */
  readonly jobs: readonly (SlotJob & { readonly keep: boolean })[];
  readonly log: Uint8Array;
  readonly sync: boolean;
}
