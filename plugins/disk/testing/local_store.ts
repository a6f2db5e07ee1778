/**
 * Stores without workers, over any files, and blocks to put into them.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import type { Files } from "../files.ts";
import { type Hand, Questions } from "../hand.ts";
import { ioMain } from "../io.ts";
import type { Asked } from "../io_types.ts";
import { slotFormat } from "../slot.ts";
import { DiskStore } from "../store.ts";
import type { StoreOptions } from "../store_types.ts";

/** A hand of this thread. */
export function localHand(files: Files): Hand {
  const questions = new Questions();
  let hear: (asked: Asked) => void = () => {};
  ioMain(
    {
      listen: (fn) => hear = fn,
      post: (answer) => queueMicrotask(() => questions.hear(answer)),
    },
    files,
    slotFormat(crc32),
  );
  return {
    ask: (request) =>
      questions.ask(request, (asked) => queueMicrotask(() => hear(asked))),
    close: () => {
      questions.fail(new Error("closed"));
      return Promise.resolve();
    },
  };
}

/** Opens the folder "/f" of these files. */
export function localStore(
  files: Files,
  options: Partial<StoreOptions> = {},
): Promise<DiskStore> {
  return DiskStore.open({
    folder: "/f",
    bytes: 1 << 20,
    sync: true,
    queue: 1 << 24,
    by: "a test",
    patience: 5000,
    onNote: () => {},
    writer: localHand(files),
    readers: [localHand(files), localHand(files)],
    ...options,
  });
}

/** Bytes that belong to a number and to no other. */
export function bytesOf(seed: number, length: number): Uint8Array {
  const out = new Uint8Array(length);
  let x = seed * 2654435761 + 1;
  for (let i = 0; i < length; i++) {
    x = Math.imul(x ^ x >>> 15, 1664525) + 1013904223;
    out[i] = x >>> 24;
  }
  return out;
}

/** What is there for a key; throws where it is another's. */
export async function look(
  store: DiskStore,
  seed: number,
  length: number,
  print = "plan",
): Promise<"ok" | "lost"> {
  const out = new Uint8Array(length);
  const found = await store.read(`k${seed}`, out, print);
  if (found === "ok") assertSame(out, bytesOf(seed, length), `key ${seed}`);
  return found;
}

/** Throws at the first byte that differs. */
export function assertSame(
  out: Uint8Array,
  wanted: Uint8Array,
  what: string,
): void {
  for (let i = 0; i < wanted.length; i++) {
    if (out[i] === wanted[i]) continue;
    throw new Error(`${what} has ${out[i]} at ${i}, wanted ${wanted[i]}`);
  }
}
