/**
 * Content addresses: the key of a block says all tokens up to its end.
 *
 * ```text
 *  digest(-1) = SHA-256(fingerprint, group, salt)
 *  digest(b)  = SHA-256(digest(b-1), tokens of block b, little-endian)
 * ```
 *
 * @module
 */
import { hex, sha256 } from "./sha256.ts";

/** Roots of this many salts are remembered. */
const MOST_ROOTS = 256;

/** Computes the chain of one group. Holds no state of any sequence. */
export class KeyChain {
  readonly #name: string;
  readonly #roots = new Map<string, Uint8Array>();
  readonly #blockTokens: number;
  readonly #input: Uint8Array;
  readonly #view: DataView;

  /** `fingerprint`: everything the bytes of a block depend on besides tokens. */
  constructor(fingerprint: string, group: number, blockTokens: number) {
    this.#name = `${fingerprint}/${group}`;
    this.#blockTokens = blockTokens;
    this.#input = new Uint8Array(32 + 4 * blockTokens);
    this.#view = new DataView(this.#input.buffer);
  }

  /**
   * Sets `digest` (32 bytes) to the start of the chain of a salt. Chains of two
   * salts have no key in common, so neither can find what the other has.
   */
  reset(digest: Uint8Array, salt: string): void {
    let root = this.#roots.get(salt);
    if (root === undefined) {
      root = sha256(new TextEncoder().encode(`${this.#name}/${salt}`));
      if (this.#roots.size === MOST_ROOTS) this.#roots.clear();
      this.#roots.set(salt, root);
    }
    digest.set(root);
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
