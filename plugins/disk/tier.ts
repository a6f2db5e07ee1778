/**
 * A store as the cache sees it.
 *
 * @module
 */
import type { ContentStore, Tier } from "../../core/slots.ts";
import type { DiskStore } from "./store.ts";

/** Puts a store into the slot's form. */
export function diskTier(
  store: DiskStore,
  rank: number,
  when: ContentStore["when"],
): Tier {
  return {
    id: "disk",
    rank,
    capacity: store.capacity,
    put(block, bytes, signal) {
      if (signal?.aborted) store.drop(block);
      else store.put(block, bytes);
    },
    get: (block, out) => store.get(block, out),
    drop: (block) => store.drop(block),
    slice: (block, at, out) => store.get(block, out, at),
    content: {
      when,
      get used() {
        return store.keyedBytes;
      },
      keep: (key, bytes, { fingerprint }) =>
        store.keep(key, bytes, fingerprint),
      find: (keys) => store.find(keys),
      read: (key, out, { fingerprint }) => store.read(key, out, fingerprint),
    },
  };
}
