/**
 * What decoders of weight formats read.
 *
 * In their drawings `d` and `m` are f16, numbers are bytes, and a block's nibbles
 * (`qs`) hold values i (low) and i + half (high) unless said otherwise.
 *
 * @module
 */

/** Stored blocks, as bytes and as numbers of several. */
export interface Block {
  /** The bytes. */
  readonly u8: Uint8Array;
  /** The same. */
  readonly view: DataView;
}

/** Decodes one block that starts at byte `at` to `out[to]` and on. */
export type BlockDecoder = (
  src: Block,
  at: number,
  out: Float32Array,
  to: number,
) => void;

/** The f16 at byte `at`. */
export function f16({ view }: Block, at: number): number {
  return view.getFloat16(at, true);
}
