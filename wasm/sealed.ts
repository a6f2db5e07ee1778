/**
 * The formats of sealed blocks that the kernels write and read; `assembly/` draws
 * them (coded_scores.ts, coded_sums.ts).
 *
 * @module
 */
import type { BlockShape } from "../core/types.ts";
import { f32 } from "./records.ts";

/** Kinds of coded pieces, as `assembly/sealed.ts` numbers them. */
export const PIECE_KIND = {
  int8: 1,
  int4: 2,
  nvfp4: 3,
  mxfp4: 4,
  f16: 5,
} as const;

/** Flags of a sealed layer, as `assembly/sealed.ts` numbers them. */
export const SEALED_FLAG = { rotateK: 1, rotateV: 2 } as const;

/** Bytes of a Sealed in memory. */
export const SEALED_BYTES = 48;

/** A piece, K or V of one head of a block. */
export interface Piece {
  readonly kind: keyof typeof PIECE_KIND;
  readonly rotated: boolean;
}

/** How a codec's blocks are made up. */
export interface SealedFormat {
  readonly k: Piece;
  readonly v: Piece;
}

/** Formats of both; an "h" behind the name: rotated. */
const BOTH: Readonly<Record<string, Piece>> = {
  int8: { kind: "int8", rotated: false },
  int8h: { kind: "int8", rotated: true },
  nvfp4: { kind: "nvfp4", rotated: false },
  nvfp4h: { kind: "nvfp4", rotated: true },
  mxfp4: { kind: "mxfp4", rotated: false },
  mxfp4h: { kind: "mxfp4", rotated: true },
  f16: { kind: "f16", rotated: false },
};

/** 127 × 32767 × 512 is below 2^31. */
const MOST_DIM = 512;

const KEYS: Readonly<Record<string, Piece>> = {
  ...BOTH,
  int4c: { kind: "int4", rotated: false },
};

const VALUES: Readonly<Record<string, Piece>> = {
  ...BOTH,
  int4: { kind: "int4", rotated: false },
  int4h: { kind: "int4", rotated: true },
};

/** What a codec's id says, "k/v" or one name for both; undefined: not read here. */
export function sealedFormat(id: string): SealedFormat | undefined {
  const [first = "", second = first, ...more] = id.split("/");
  const k = KEYS[first], v = VALUES[second];
  return k === undefined || v === undefined || more.length > 0
    ? undefined
    : { k, v };
}

/** Why blocks of these sizes cannot be sealed so; undefined: they can. */
export function whyNotSealed(
  { k, v }: SealedFormat,
  headDim: number,
  blockTokens: number,
): string | undefined {
  if (blockTokens % 8 !== 0 || 256 % blockTokens !== 0) {
    return `takes blocks of 8, 16, 32, 64, 128 or 256 tokens, not ${blockTokens}`;
  }
  // Sums of products of codes and queries are whole numbers of 31 bits.
  if (headDim > MOST_DIM) {
    return `takes heads of up to ${MOST_DIM} values, not ${headDim}`;
  }
  for (const { kind } of [k, v]) {
    const of = kind === "mxfp4" || kind === "nvfp4" ? 32 : 8;
    if (headDim % of !== 0) {
      return `takes heads of a multiple of ${of} values for ${kind}, not ${headDim}`;
    }
  }
  return undefined;
}

/** Bytes of a K piece. */
export function keyBytes({ kind }: Piece, tokens: number, dim: number): number {
  const n = tokens * dim, tiles = tokens / 8;
  switch (kind) {
    case "int8":
      return n + tokens * 2;
    case "int4":
      return n / 2 + dim * 4;
    case "nvfp4":
      return 16 + n / 2 + n / 16;
    case "mxfp4":
      return n / 2 + tiles * whole(dim / 4);
    case "f16":
      return n * 2;
  }
}

/** Bytes of a V piece. */
export function valueBytes(
  { kind }: Piece,
  tokens: number,
  dim: number,
): number {
  const n = tokens * dim;
  switch (kind) {
    case "int8":
      return n + whole(tokens * 2);
    case "int4":
      return n / 2 + 2 * dim / groupOf(dim) * whole(tokens * 2);
    case "nvfp4":
      return 16 + n / 2 + whole(n / 16);
    case "mxfp4":
      return n / 2 + whole(n / 32);
    case "f16":
      return n * 2;
  }
}

/** Bytes of one head's two pieces. */
export function headBytes(format: SealedFormat, shape: BlockShape): number {
  const { tokens, headDim } = shape;
  return keyBytes(format.k, tokens, headDim) +
    valueBytes(format.v, tokens, headDim);
}

/** Values of V in 4 bits that share a step. */
function groupOf(dim: number): number {
  const group = dim / Math.ceil(dim / 64);
  return group % 8 === 0 ? group : dim;
}

/** Where a layer's sealed blocks are, and how they are read. */
export interface SealedPlace {
  /** Block table of the sealed forms. */
  readonly table: number;
  /** Bytes from a block to the layer's part. */
  readonly layer: number;
  /** Positions whose V is summed with weights of one scale. */
  readonly run: number;
  /** Bytes of an open value: 2 or 4. */
  readonly size: number;
  /** Address of what was taken from every key; 0 for nothing. */
  readonly centre: number;
}

/** What of a value is missing where f16 is read by its bits. */
const HALF_UNIT = 2 ** -112;

/** The words of a Sealed in memory, in the order of its class. */
export function sealedWords(
  format: SealedFormat,
  shape: BlockShape,
  { table, layer, run, size, centre }: SealedPlace,
): readonly number[] {
  const { k, v } = format;
  return [
    ...[table, layer, headBytes(format, shape)],
    keyBytes(k, shape.tokens, shape.headDim),
    ...[PIECE_KIND[k.kind], PIECE_KIND[v.kind]],
    (k.rotated ? SEALED_FLAG.rotateK : 0) |
    (v.rotated ? SEALED_FLAG.rotateV : 0),
    ...[run, f32(size === 2 ? HALF_UNIT : 1), centre],
  ];
}

function whole(bytes: number): number {
  return Math.ceil(bytes / 16) * 16;
}
