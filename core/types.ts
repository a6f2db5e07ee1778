/**
 * The words every part of Quire shares: ids, ranges and shapes.
 *
 * @module
 */

/** A sequence in the KV cache. Branded so a block id can never stand in for it. */
export type SeqId = number & { readonly seq: unique symbol };

/** A block in the block store. */
export type BlockId = number & { readonly block: unique symbol };

/** A value that may already be there. */
export type MaybePromise<T> = T | Promise<T>;

/** Positions `start` up to, but not including, `end`. */
export interface TokenRange {
  readonly start: number;
  readonly end: number;
}

/** What the cache needs to know about one attention layer. */
export interface LayerShape {
  readonly layer: number;
  readonly qHeads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** What the cache needs to know about a model. */
export interface ModelShape {
  /** Part of every content address. */
  readonly id: string;
  readonly layers: readonly LayerShape[];
}

/** One block: `tokens` positions of K and V for each of `layers` layers. */
export interface BlockShape {
  readonly tokens: number;
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** An offer, or a refusal that says why; plans print both. */
export type Support =
  | { readonly ok: true; readonly cost: number }
  | { readonly ok: false; readonly why: string };
