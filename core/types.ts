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
  /** First position. */
  readonly start: number;
  /** One past the last position. */
  readonly end: number;
}

/** What the cache needs to know about one attention layer. */
export interface LayerShape {
  /** Index of the layer. */
  readonly layer: number;
  /** Query heads. */
  readonly qHeads: number;
  /** K/V heads; query heads share them in equal groups. */
  readonly kvHeads: number;
  /** Values in a head. */
  readonly headDim: number;
}

/** What the cache needs to know about a model. */
export interface ModelShape {
  /** Part of every content address. */
  readonly id: string;
  /** One entry a layer, in order. */
  readonly layers: readonly LayerShape[];
  /** Positions it was trained for, where that is known. */
  readonly context?: number;
}

/** One block: `tokens` positions of K and V for each of `layers` layers. */
export interface BlockShape {
  /** Positions in a block. */
  readonly tokens: number;
  /** Layers in a block. */
  readonly layers: number;
  /** K/V heads; query heads share them in equal groups. */
  readonly kvHeads: number;
  /** Values in a head. */
  readonly headDim: number;
  /** Which layers of the model they are, for codecs that treat each its own way. */
  readonly layerIds?: readonly number[];
}

/** An offer, or a refusal that says why; plans print both. */
export type Support =
  | { readonly ok: true; readonly cost: number }
  | { readonly ok: false; readonly why: string };
