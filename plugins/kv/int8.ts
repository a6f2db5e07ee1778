/**
 * INT8: symmetric, one scale for each row of a position and a head.
 *
 * ```text
 *  K   [T/8]{ codes [D/2]{ 8 positions × 2 dims } | scales bf16 [8] }
 *  V   codes [D/8][T/2]{ 8 dims × 2 positions } | scales bf16 [T]
 * ```
 * scale = bf16(largest magnitude / 127); code = x × (1 / scale), rounded, -127 to
 * 127; value = code × scale. Of a row of zeros, or of nothing above 127 × 2^-126,
 * all is 0.
 *
 * @module
 */
import { rotated } from "./hadamard.ts";
import { type KvPart, wholeTiles } from "./part.ts";
import { keyByte, valueByte } from "./places.ts";
import {
  fromBf16,
  readBf16,
  reciprocal,
  toCode,
  toScale,
  write16,
} from "./scales.ts";

const MOST = 127;

/** Where one side keeps what belongs to a row. */
interface Side {
  /** Byte of a code. */
  code(p: number, d: number, tokens: number, headDim: number): number;
  /** First byte of a row's scale. */
  scale(p: number, tokens: number, headDim: number): number;
}

/** Bytes of a tile of K. */
function tileBytes(headDim: number): number {
  return headDim * 8 + 16;
}

const KEYS: Side = {
  code: (p, d, _tokens, headDim) =>
    (p >> 3) * tileBytes(headDim) + keyByte(p, d),
  scale: (p, _tokens, headDim) =>
    (p >> 3) * tileBytes(headDim) + headDim * 8 + (p & 7) * 2,
};

const VALUES: Side = {
  code: (p, d, tokens) => valueByte(p, d, tokens),
  scale: (p, tokens, headDim) => tokens * headDim + p * 2,
};

function int8({ code, scale }: Side): KvPart {
  return {
    id: "int8",
    // A head's codes of 16 tokens are a quarter of a page: too short to read fast.
    blockTokens: 64,
    supports: (tokens, headDim) => wholeTiles(tokens, headDim),
    bytes: (tokens, headDim) => tokens * headDim + tokens * 2,
    seal(x, tokens, headDim, out) {
      for (let p = 0; p < tokens; p++) {
        const row = p * headDim;
        let top = 0;
        for (let d = 0; d < headDim; d++) {
          top = Math.max(top, Math.abs(x[row + d]!));
        }
        const bits = toScale(Math.fround(top / MOST));
        const k = reciprocal(fromBf16(bits));
        write16(out, scale(p, tokens, headDim), bits);
        for (let d = 0; d < headDim; d++) {
          out[code(p, d, tokens, headDim)] = toCode(
            Math.fround(x[row + d]! * k),
            -MOST,
            MOST,
          );
        }
      }
    },
    open(sealed, tokens, headDim, x) {
      for (let p = 0; p < tokens; p++) {
        const k = readBf16(sealed, scale(p, tokens, headDim));
        for (let d = 0; d < headDim; d++) {
          const byte = sealed[code(p, d, tokens, headDim)]!;
          x[p * headDim + d] = ((byte << 24) >> 24) * k;
        }
      }
    },
  };
}

/** K in 8 bits as it is. */
export const int8K: KvPart = int8(KEYS);

/** K in 8 bits, rotated. */
export const int8hK: KvPart = rotated(int8K);

/** V in 8 bits as it is. */
export const int8V: KvPart = int8(VALUES);

/** V in 8 bits, rotated. */
export const int8hV: KvPart = rotated(int8V);
