/**
 * What every format of K or V keeps, beside the laws of codecs.
 *
 * @module
 */
import assert from "node:assert/strict";
import { dice } from "../../../core/testing/cache_driver.ts";
import {
  type CodecBound,
  codecSuite,
} from "../../../core/testing/suites/codec_suite.ts";
import { assertEqual } from "../../../core/testing/suites/suite.ts";
import type { BlockShape } from "../../../core/types.ts";
import { kvCodec } from "../codec.ts";
import { f16K, f16V } from "../f16.ts";
import { bitsPerValue, type KvPart } from "../part.ts";

/** Blocks that every format takes. */
export const SHAPES: readonly BlockShape[] = [
  { tokens: 8, layers: 1, kvHeads: 1, headDim: 32 },
  { tokens: 16, layers: 1, kvHeads: 2, headDim: 64 },
  { tokens: 64, layers: 2, kvHeads: 3, headDim: 64 },
  { tokens: 24, layers: 1, kvHeads: 1, headDim: 128 },
  { tokens: 8, layers: 3, kvHeads: 1, headDim: 96 },
];

/** What is stated of a format. */
export interface PartClaims {
  readonly side: "K" | "V";
  /** Most that a value may come out off, by the block's largest magnitude. */
  readonly bound: CodecBound;
  /** Bits a value, by tokens and head size. */
  readonly bits: readonly (readonly [number, number, number])[];
  /** What head sizes are to be multiples of. */
  readonly dims: number;
  /** Root of the mean squared error of normally distributed values of variance 1, at most. */
  readonly noise: number;
}

/** Most that f16 is off: half a step, or all of what is below its smallest. */
export function f16Bound(value: number): number {
  return Math.max(2 ** -14, Math.abs(value) * 2 ** -11);
}

/** `tokens` × `headDim` numbers that are about normally distributed, of variance 1. */
export function normal(count: number, seed: number = 1): Float32Array {
  const roll = dice(seed);
  return Float32Array.from({ length: count }, () => {
    let sum = 0;
    for (let i = 0; i < 12; i++) sum += roll(10_000);
    return sum / 10_000 - 6;
  });
}

/** What a piece opens to. */
export function through(
  part: KvPart,
  x: Float32Array,
  tokens: number,
  headDim: number,
): Float32Array {
  const out = new Float32Array(x.length);
  part.open(sealed(part, x, tokens, headDim), tokens, headDim, out);
  return out;
}

/** A piece. */
export function sealed(
  part: KvPart,
  x: Float32Array,
  tokens: number,
  headDim: number,
): Uint8Array {
  const out = new Uint8Array(part.bytes(tokens, headDim)).fill(0xEE);
  part.seal(x, tokens, headDim, out);
  return out;
}

/** Root of the mean of squared differences. */
export function rms(a: Float32Array, b: Float32Array): number {
  return Math.sqrt(a.reduce((s, x, i) => s + (x - b[i]!) ** 2, 0) / a.length);
}

/** Registers what a format keeps as tests. */
export function partSuite(
  name: string,
  part: KvPart,
  { side, bound, bits, dims, noise }: PartClaims,
): void {
  const make = () => side === "K" ? kvCodec(part, f16V) : kvCodec(f16K, part);
  codecSuite(
    `${name} with the other side f16`,
    make,
    (value, peak) => Math.max(bound(value, peak), f16Bound(value)),
    SHAPES,
  );

  Deno.test(`${name} takes the bits it states, in whole 16 bytes`, () => {
    for (const [tokens, headDim, wanted] of bits) {
      const actual = bitsPerValue(part, tokens, headDim);
      assert.equal(actual, wanted, `${tokens} × ${headDim}`);
    }
    for (let tokens = 8; tokens <= 72; tokens += 8) {
      for (let headDim = dims; headDim <= 256; headDim += dims) {
        assert.equal(part.supports(tokens, headDim).ok, true);
        assert.equal(part.bytes(tokens, headDim) % 16, 0);
      }
    }
  });

  Deno.test(`${name} refuses other sizes, and says which and what to do`, () => {
    for (const headDim of [0, -dims, dims / 2, dims + 1, dims * 1.5, NaN]) {
      const no = part.supports(16, headDim);
      assert.ok(!no.ok);
      assert.match(
        no.why,
        new RegExp(
          `^takes heads of a multiple of ${dims} values, not ${headDim}: choose`,
        ),
      );
    }
    for (const tokens of [0, -8, 1, 4, 12, 8.5, NaN]) {
      const no = part.supports(tokens, 64);
      assert.ok(!no.ok);
      assert.match(
        no.why,
        new RegExp(
          `^takes blocks of a multiple of 8 tokens, not ${tokens}: choose`,
        ),
      );
    }
  });

  Deno.test(`${name} codes no number as 0, and infinities and 1e30 as 65504`, () => {
    const shape = { tokens: 16, layers: 1, kvHeads: 1, headDim: 64 };
    const codec = make(), length = 2 * 16 * 64;
    const strange: readonly (readonly [number, number])[] = [
      [NaN, 0],
      [Infinity, 65504],
      [-Infinity, -65504],
      [1e30, 65504],
      [-1e30, -65504],
      [65504.5, 65504],
    ];
    for (const [given, taken] of strange) {
      const raw = normal(length), clean = raw.slice();
      // Of K and of V: in a row of others, and a whole row.
      for (const from of [0, 64]) {
        raw[from + 5] = given;
        clean[from + 5] = taken;
        raw.fill(given, from + 9 * 128, from + 9 * 128 + 64);
        clean.fill(taken, from + 9 * 128, from + 9 * 128 + 64);
      }
      const bytes = new Uint8Array(codec.bytes(shape));
      const wanted = bytes.slice();
      codec.seal(shape, raw, bytes);
      codec.seal(shape, clean, wanted);
      assertEqual(bytes, wanted, `${given}`);
      codec.open(shape, bytes, raw);
      assert.ok(raw.every((x) => Math.abs(x) < 70000), `${given}`);
    }
  });

  Deno.test(`${name} is as near to normally distributed values as it states`, () => {
    const x = normal(64 * 64);
    const off = rms(x, through(part, x, 64, 64));
    // Near it too, so that the figure says something.
    assert.ok(off <= noise && off > noise * 0.9, `${off}, stated ${noise}`);
  });
}
