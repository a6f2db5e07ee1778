/**
 * A folder as a place for blocks: those of requests that give way, and full ones by
 * what they hold, which later processes find again.
 *
 * ```text
 *  folder/
 *    lock           of the process that writes
 *    index.log      which slot has the block of which key
 *    0-104.seg …    slots of 104 pages of 4 KiB, a block in each
 * ```
 * Whatever happens to the files, a block is whole or it is lost. What is on disk is
 * as much as the prompts it was computed from can tell: keep the folder to those who
 * may read them.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";
import type { ContentStore } from "../core/slots.ts";
import { startHand } from "./disk/hand.ts";
import { DiskStore } from "./disk/store.ts";
import type { DiskStat } from "./disk/store_types.ts";
import { diskTier } from "./disk/tier.ts";

export type { DiskStat } from "./disk/store_types.ts";

/** Least of `bytes`. */
const LEAST = 1 << 20;
/** Most bytes that wait to be written. */
const QUEUE = 1 << 27;
/** Milliseconds until a read is lost, and until closing does not wait any more. */
const PATIENCE = 10_000;

/** Settings of `diskOffload()`. */
export interface DiskOffloadOptions {
  /** Where; made if there is none. For one engine that writes at a time. */
  readonly folder: string;
  /** Bytes that all files in it may have, 1 MiB or more. */
  readonly bytes: number;
  /** Place in the order of tiers, 1 or more. Default 2. */
  readonly rank?: number;
  /**
   * When blocks are written by content: as soon as they are full, the default, or
   * when the device gives them up.
   */
  readonly write?: ContentStore["when"];
  /**
   * Whether writes are to outlast a power cut, default true. Without, blocks may be
   * lost then, and none is wrong.
   */
  readonly sync?: boolean;
  /** Hears what goes wrong and is got over: that another process writes, that writing failed. */
  readonly onNote?: (note: string) => void;
}

/** The plugin, and what it has done. */
export interface DiskOffload extends Plugin {
  /** Of the engine that was set up last; undefined before. */
  stat(): DiskStat | undefined;
  /** Resolves when all that was given so far is on disk, or forgotten. */
  idle(): Promise<void>;
}

/**
 * Keeps blocks in files.
 *
 * ```ts ignore
 * await load("smollm2", {
 *   plugins: [
 *     pagedAttention(),
 *     prefixCache(),
 *     diskOffload({ folder: "./cache", bytes: 10 * 2 ** 30 }),
 *   ],
 * });
 * ```
 * Needs `--allow-read` and `--allow-write` of the folder. A folder that cannot be
 * used is an error when the engine is loaded. An engine that finds another writing
 * there reads what that has, and keeps nothing by itself.
 *
 * @throws {RangeError} for `bytes` that are no whole number of 1 MiB or more.
 * @throws {TypeError} for an empty `folder`.
 */
export function diskOffload(options: DiskOffloadOptions): DiskOffload {
  const { folder, bytes } = options;
  if (!Number.isSafeInteger(bytes) || bytes < LEAST) {
    throw new RangeError(
      `Cannot offload to "bytes" ${bytes} of disk: a whole number of ${LEAST} or more is wanted`,
    );
  }
  if (typeof folder !== "string" || folder === "") {
    throw new TypeError(
      `Cannot offload to folder "${folder}": the path of a folder is wanted`,
    );
  }
  let store: DiskStore | undefined;
  return {
    name: "disk-offload",
    async setup(host) {
      store = await openStore(options);
      const opened = store;
      host.onClose(() => opened.close());
      host.provide(
        "tier",
        diskTier(store, options.rank ?? 2, options.write ?? "full"),
      );
    },
    stat: () => store?.stat(),
    idle: () => store?.idle() ?? Promise.resolve(),
  };
}

async function openStore(options: DiskOffloadOptions): Promise<DiskStore> {
  const { folder, bytes, sync = true, onNote = () => {} } = options;
  const [writer, ...readers] = await Promise.all(
    ["write", "read-0", "read-1"].map((of) => startHand(`quire-disk-${of}`)),
  );
  try {
    return await DiskStore.open({
      folder,
      bytes,
      sync,
      queue: Math.min(QUEUE, bytes),
      by: `process ${Deno.pid} since ${new Date().toISOString()}`,
      patience: PATIENCE,
      onNote,
      writer: writer!,
      readers,
    });
  } catch (cause) {
    await Promise.all([writer!, ...readers].map((hand) => hand.close()));
    throw new Error(
      `Cannot offload to folder "${folder}": ${
        (cause as Error).message
      }; a folder to read and to write is wanted, with --allow-read and --allow-write of it`,
      { cause },
    );
  }
}
