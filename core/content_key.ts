/**
 * Content addresses: the key of a block says all tokens up to its end.
 *
 * ```text
 *  digest(-1) = SHA-256(fingerprint, group)
 *  digest(b)  = SHA-256(digest(b-1), tokens of block b, little-endian)
 * ```
 *
 * @module
 */
import { hex, sha256 } from "./sha256.ts";

/** Computes the chain of one group. Holds no state of any sequence. */
export class KeyChain {
  readonly #root: Uint8Array;
  readonly #blockTokens: number;
  readonly #input: Uint8Array;
  readonly #view: DataView;

  /** `fingerprint`: everything the bytes of a block depend on besides tokens. */
  constructor(fingerprint: string, group: number, blockTokens: number) {
    this.#root = sha256(new TextEncoder().encode(`${fingerprint}/${group}`));
    this.#blockTokens = blockTokens;
    this.#input = new Uint8Array(32 + 4 * blockTokens);
    this.#view = new DataView(this.#input.buffer);
  }

  /** Sets `digest` (32 bytes) to the start of the chain. */
  reset(digest: Uint8Array): void {
    digest.set(this.#root);
  }

  /** Takes `digest` one block on: the one with tokens from `from`. */
  advance(digest: Uint8Array, tokens: ArrayLike<number>, from: number): void {
    this.#input.set(digest);
    for (let i = 0; i < this.#blockTokens; i++) {
      this.#view.setUint32(32 + 4 * i, tokens[from + i]!, true);
    }
    sha256(this.#input, digest);
  }

  /** The key a digest stands for. */
  key(digest: Uint8Array): string {
    return hex(digest);
  }
}
