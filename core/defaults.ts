/**
 * What holds where no plugin says otherwise.
 *
 * @module
 */
import type { Admission, Codec, Eviction, Layout } from "./slots.ts";
import type { BlockId, BlockShape } from "./types.ts";

/** Values (K and V) in a block: [layer][token][k|v][head][dim]. */
export function rawFloats(s: BlockShape): number {
  return s.layers * s.tokens * 2 * s.kvHeads * s.headDim;
}

/** Blocks of 32 tokens: a fair step between waste at the tail and table length. */
export function defaultLayout(): Layout {
  return { id: "blocks/32", blockTokens: 32 };
}

/** Sealed blocks stay as they are: the backend's own format. */
export function rawCodec(): Codec {
  return {
    id: "raw",
    lossy: false,
    bytes: (s) => rawFloats(s) * 4,
    seal: (_s, raw, out) =>
      out.set(new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength)),
    open: (_s, sealed, raw) =>
      new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength).set(sealed),
  };
}

/** Least recently used first. */
export function lru(): Eviction {
  // A Set iterates in the order of insertion.
  const order = new Set<BlockId>();
  return {
    touch(block) {
      order.delete(block);
      order.add(block);
    },
    forget: (block) => void order.delete(block),
    victims: () => order,
  };
}

/**
 * Higher priority first, then first come, first served; of the lowest priority
 * the newest gives way.
 */
export function byPriority(): Admission {
  return {
    order: (waiting) =>
      waiting.some((r) => (r.priority ?? 0) !== 0)
        ? waiting.toSorted((a, b) => (b.priority ?? 0) - (a.priority ?? 0))
        : waiting,
    victim: (running) => {
      let worst = running[0]!;
      for (const r of running) {
        if ((r.priority ?? 0) <= (worst.priority ?? 0)) worst = r;
      }
      return worst;
    },
  };
}
