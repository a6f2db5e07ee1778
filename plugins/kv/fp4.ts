/**
 * FP4: a sign and one of eight levels, scaled in groups of neighbouring dims.
 *
 * ```text
 *         group  scale of a group      and of the piece
 *  NVFP4     16  E4M3                  f32, so that the largest group has 448
 *  MXFP4     32  E8M0                  none
 *
 *  K   header | [T/8]{ codes [D/4]{ 8 × 2, 8 × 2 } | scales [D/group][8] }
 *  V   header | codes [D/8][T/4]{ 8 × 2, 8 × 2 } | scales [D/group][T]
 * ```
 * The header is f32 and 12 bytes of 0 (NVFP4), or nothing. Scales are padded to
 * whole 16 bytes. A code is the index of a level, 8 more for what comes out below 0.
 *
 * NVFP4: piece = largest / (6 × 448), or 1 below 2^-126; scale = E4M3(largest of the
 * group / (6 × piece)); unit = piece × scale. MXFP4: unit = scale = 2^(exponent of
 * the group's largest - 2). Code: the level nearest to |x| × (1 / unit), halfway cases
 * to the even index; value = unit × level. Groups whose unit is below 2^-126 are 0.
 *
 * @module
 */
import type { Support } from "../../core/types.ts";
import { rotated } from "./hadamard.ts";
import { type KvPart, whole16, wholeTiles } from "./part.ts";
import { keyNibble, nibbleAt, putNibble, valueNibble } from "./places.ts";
import {
  E4M3_LARGEST,
  fromE4m3,
  fromE8m0,
  reciprocal,
  toE4m3,
  toE8m0,
} from "./scales.ts";

/** Magnitudes of E2M1, by their codes. */
const LEVELS: readonly number[] = [0, 0.5, 1, 1.5, 2, 3, 4, 6];
const LARGEST_LEVEL = 6;
const SMALLEST_NORMAL = 2 ** -126;

/** How groups are scaled. */
interface Scaling {
  readonly id: string;
  /** Dims that share a scale. */
  readonly group: number;
  /** Bytes before the codes. */
  readonly header: number;
  /** The scale of a piece with this largest magnitude. */
  piece(top: number): number;
  /** Code of the scale of a group with this largest magnitude. */
  scale(top: number, piece: number): number;
  /** What a level of 1 stands for. */
  unit(scale: number, piece: number): number;
}

const NV: Scaling = {
  id: "nvfp4",
  group: 16,
  header: 16,
  piece(top) {
    const g = Math.fround(top / (LARGEST_LEVEL * E4M3_LARGEST));
    return g < SMALLEST_NORMAL ? 1 : g;
  },
  scale: (top, piece) =>
    toE4m3(Math.fround(top / Math.fround(LARGEST_LEVEL * piece))),
  unit: (scale, piece) => Math.fround(piece * fromE4m3(scale)),
};

const MX: Scaling = {
  id: "mxfp4",
  group: 32,
  header: 0,
  piece: () => 1,
  scale: (top) => Math.max(0, toE8m0(top) - 2),
  unit: fromE8m0,
};

/** Where one side keeps codes and scales. */
interface Side {
  bytes(s: Scaling, tokens: number, headDim: number): number;
  /** Byte that `nibble()` counts from. */
  codes(s: Scaling, p: number, headDim: number): number;
  nibble(p: number, d: number, tokens: number): number;
  /** Byte of a scale. */
  scale(
    s: Scaling,
    p: number,
    group: number,
    tokens: number,
    headDim: number,
  ): number;
}

function tileBytes(s: Scaling, headDim: number): number {
  return headDim * 4 + whole16(headDim / s.group * 8);
}

const KEYS: Side = {
  bytes: (s, tokens, headDim) => s.header + tokens / 8 * tileBytes(s, headDim),
  codes: (s, p, headDim) => s.header + (p >> 3) * tileBytes(s, headDim),
  nibble: keyNibble,
  scale: (s, p, group, _tokens, headDim) =>
    s.header + (p >> 3) * tileBytes(s, headDim) + headDim * 4 + group * 8 +
    (p & 7),
};

const VALUES: Side = {
  bytes: (s, tokens, headDim) =>
    s.header + tokens * headDim / 2 + whole16(headDim / s.group * tokens),
  codes: (s) => s.header,
  nibble: valueNibble,
  scale: (s, p, group, tokens, headDim) =>
    s.header + tokens * headDim / 2 + group * tokens + p,
};

function fp4(s: Scaling, side: Side): KvPart {
  return {
    id: s.id,
    // Shares the header among enough positions, and is read in long runs.
    blockTokens: 64,
    supports: (tokens, headDim): Support => wholeTiles(tokens, headDim, 32),
    bytes: (tokens, headDim) => side.bytes(s, tokens, headDim),
    seal(x, tokens, headDim, out) {
      out.fill(0);
      const piece = s.piece(largest(x, 0, tokens * headDim));
      if (s.header > 0) view(out).setFloat32(0, piece, true);
      for (let p = 0; p < tokens; p++) {
        const codes = side.codes(s, p, headDim);
        for (let from = 0; from < headDim; from += s.group) {
          const at = p * headDim + from;
          const scale = s.scale(largest(x, at, s.group), piece);
          const unit = s.unit(scale, piece);
          if (unit < SMALLEST_NORMAL) continue;
          out[side.scale(s, p, from / s.group, tokens, headDim)] = scale;
          const k = reciprocal(unit);
          for (let i = 0; i < s.group; i++) {
            const level = levelOf(Math.fround(Math.abs(x[at + i]!) * k));
            const code = level > 0 && x[at + i]! < 0 ? level + 8 : level;
            putNibble(out, codes, side.nibble(p, from + i, tokens), code);
          }
        }
      }
    },
    open(sealed, tokens, headDim, x) {
      const piece = s.header > 0 ? view(sealed).getFloat32(0, true) : 1;
      for (let p = 0; p < tokens; p++) {
        const codes = side.codes(s, p, headDim);
        for (let d = 0; d < headDim; d++) {
          const group = Math.floor(d / s.group);
          const scale = sealed[side.scale(s, p, group, tokens, headDim)]!;
          const code = nibbleAt(sealed, codes, side.nibble(p, d, tokens));
          const level = code < 8 ? LEVELS[code]! : -LEVELS[code - 8]!;
          x[p * headDim + d] = s.unit(scale, piece) * level;
        }
      }
    },
  };
}

/** Index of the nearest level, halfway cases to the even one. */
export function levelOf(x: number): number {
  return +(x > 0.25) + +(x >= 0.75) + +(x > 1.25) + +(x >= 1.75) +
    +(x > 2.5) + +(x >= 3.5) + +(x > 5);
}

function largest(x: Float32Array, at: number, count: number): number {
  let top = 0;
  for (let i = at; i < at + count; i++) top = Math.max(top, Math.abs(x[i]!));
  return top;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset);
}

/** K as NVFP4. */
export const nvfp4K: KvPart = fp4(NV, KEYS);

/** V as NVFP4. */
export const nvfp4V: KvPart = fp4(NV, VALUES);

/** K as MXFP4. */
export const mxfp4K: KvPart = fp4(MX, KEYS);

/** V as MXFP4. */
export const mxfp4V: KvPart = fp4(MX, VALUES);

/** NVFP4 and MXFP4 of rotated rows. */
export const nvfp4hK: KvPart = rotated(nvfp4K);
/** See `nvfp4hK`. */
export const nvfp4hV: KvPart = rotated(nvfp4V);
/** See `nvfp4hK`. */
export const mxfp4hK: KvPart = rotated(mxfp4K);
/** See `nvfp4hK`. */
export const mxfp4hV: KvPart = rotated(mxfp4V);
