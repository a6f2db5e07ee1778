// From GGUF rows whose vectors are points of a grid to the lane layouts of books.ts; and,
// where a scale belongs to 16 values only, to f32.
//
// Grids are words at fixed addresses, a nibble for each of a point's values; with its
// sign in the top bit a nibble is a code of the format's book. wasm/books.ts writes
// both, models/dequantise/grids.ts draws the formats.
import { bookOf } from "./books";
import * as kind from "./kinds";
import { fromHalf } from "./lanes";
import { Repack } from "./repack";

// @ts-ignore: decorator
@inline const GRID_IQ2_XXS: usize = 640;
// @ts-ignore: decorator
@inline const GRID_IQ2_XS: usize = 1664;
// @ts-ignore: decorator
@inline const GRID_IQ2_S: usize = 3712;
// @ts-ignore: decorator
@inline const GRID_IQ3_XXS: usize = 7808;
// @ts-ignore: decorator
@inline const GRID_IQ3_S: usize = 8832;
// @ts-ignore: decorator
@inline const GRID_IQ1_S: usize = 10880;

/** Point `i` of a grid. */
// @ts-ignore: decorator
@inline
function point(grid: usize, i: u32): u32 {
  return load<u32>(grid + (<usize> i << 2));
}

/** Eight bits, each at the top of a nibble. */
// @ts-ignore: decorator
@inline
function tops(x: u32): u32 {
  x = (x | (x << 12)) & 0x000f000f;
  x = (x | (x << 6)) & 0x03030303;
  return ((x | (x << 3)) & 0x11111111) << 3;
}

/** Seven signs and the eighth, which makes their number even, atop of nibbles. */
// @ts-ignore: decorator
@inline
function even(x: u32): u32 {
  return tops(x | ((popcnt(x) & 1) << 7));
}

/** The lower four nibbles of `x`, a byte each. */
// @ts-ignore: decorator
@inline
function spread(x: u32): u32 {
  x = (x | (x << 8)) & 0x00ff00ff;
  return (x | (x << 4)) & 0x0f0f0f0f;
}

/** 32 codes, eight to a word, to one output's place in a block. */
// @ts-ignore: decorator
@inline
function putCodes(w: usize, c0: u32, c1: u32, c2: u32, c3: u32): void {
  store<u32>(w, spread(c0 & 0xffff) | (spread(c2 & 0xffff) << 4));
  store<u32>(w, spread(c0 >> 16) | (spread(c2 >> 16) << 4), 16);
  store<u32>(w, spread(c1 & 0xffff) | (spread(c3 & 0xffff) << 4), 32);
  store<u32>(w, spread(c1 >> 16) | (spread(c3 >> 16) << 4), 48);
}

/** Four nibbles at byte `p`, of which the `i`th is wanted. */
// @ts-ignore: decorator
@inline
function nibble(p: usize, i: usize): u32 {
  return (<u32> load<u8>(p + (i >> 1)) >> <u32> ((i & 1) << 2)) & 15;
}

/** IQ2_XXS, IQ3_XXS, IQ3_S and IQ1_S, by GGUF number: a scale for each 32 values. */
export function repackGrid(a: Repack, type: i32): void {
  const nb = a.n >> 5;
  for (let r = 0; r < a.rows; r++) {
    let p = a.src + <usize> r * a.rowBytes;
    let at = a.w + <usize> (r >> 3) * nb * 160;
    const half = <usize> (r >> 2) & 1, lane = <usize> (r & 3) << 2;
    for (let s: usize = 0; s < nb; s += 8) {
      const d = fromHalf(load<u16>(p));
      for (let j: usize = 0; j < 8; j++, at += 160) {
        const w = at + (half << 6) + lane;
        let scale: f32;
        if (type == 16) scale = group2(w, p + 2 + (j << 3));
        else if (type == 18) scale = group3(w, p + 2 + (j << 3), p + 66 + (j << 2));
        else if (type == 21) scale = group3s(w, p, j);
        else scale = group1(w, p + 2 + (j << 2), load<u16>(p + 34 + (j << 1)));
        store<f32>(at + 128 + (<usize> (r & 7) << 2), d * scale);
      }
      p += type == 16 ? 66 : type == 18 ? 98 : type == 21 ? 110 : 50;
    }
  }
}

function group2(w: usize, p: usize): f32 {
  const g = GRID_IQ2_XXS, more = load<u32>(p, 4);
  putCodes(
    w,
    point(g, load<u8>(p)) | even(more & 127),
    point(g, load<u8>(p, 1)) | even((more >> 7) & 127),
    point(g, load<u8>(p, 2)) | even((more >> 14) & 127),
    point(g, load<u8>(p, 3)) | even((more >> 21) & 127),
  );
  return (<f32> 0.5 + <f32> (more >> 28)) * 0.25;
}

function group3(w: usize, p: usize, signs: usize): f32 {
  const more = load<u32>(signs);
  putCodes(
    w,
    pair3(p) | even(more & 127),
    pair3(p + 2) | even((more >> 7) & 127),
    pair3(p + 4) | even((more >> 14) & 127),
    pair3(p + 6) | even((more >> 21) & 127),
  );
  return (<f32> 0.5 + <f32> (more >> 28)) * 0.5;
}

// @ts-ignore: decorator
@inline
function pair3(p: usize): u32 {
  const g = GRID_IQ3_XXS;
  return point(g, load<u8>(p)) | (point(g, load<u8>(p, 1)) << 16);
}

function group3s(w: usize, p: usize, j: usize): f32 {
  const q = p + 2 + (j << 3), signs = p + 74 + (j << 2);
  const high = <u32> load<u8>(p + 66 + j);
  putCodes(
    w,
    pair3s(q, high) | tops(<u32> load<u8>(signs)),
    pair3s(q + 2, high >> 2) | tops(<u32> load<u8>(signs, 1)),
    pair3s(q + 4, high >> 4) | tops(<u32> load<u8>(signs, 2)),
    pair3s(q + 6, high >> 6) | tops(<u32> load<u8>(signs, 3)),
  );
  const scale: u32 = 1 + (nibble(p + 106, j) << 1);
  return <f32> scale;
}

// @ts-ignore: decorator
@inline
function pair3s(p: usize, high: u32): u32 {
  const g = GRID_IQ3_S;
  return point(g, load<u8>(p) | ((high & 1) << 8)) |
    (point(g, load<u8>(p, 1) | ((high & 2) << 7)) << 16);
}

function group1(w: usize, p: usize, more: u32): f32 {
  const g = GRID_IQ1_S, down: u32 = more & 0x8000 ? 0x88888888 : 0;
  putCodes(
    w,
    point(g, load<u8>(p) | ((more & 7) << 8)) | down,
    point(g, load<u8>(p, 1) | (((more >> 3) & 7) << 8)) | down,
    point(g, load<u8>(p, 2) | (((more >> 6) & 7) << 8)) | down,
    point(g, load<u8>(p, 3) | (((more >> 9) & 7) << 8)) | down,
  );
  const scale: u32 = 1 + ((more >> 11) & 14);
  return <f32> scale * 0.125;
}

/** Eight codes of a book, times a scale. */
// @ts-ignore: decorator
@inline
function eight(to: usize, codes: u32, book: usize, scale: f32): void {
  for (let i = 0; i < 32; i += 4) {
    const v = <f32> load<i8>(book + <usize> ((codes >> i) & 15));
    store<f32>(to + <usize> i, v * scale);
  }
}

/** IQ2_XS, IQ2_S and IQ1_M, by GGUF number: a scale for each 16 values. */
export function expandGrid(a: Repack, type: i32): void {
  const two = bookOf(kind.BOOK2), one = bookOf(kind.BOOK1);
  const bytes: usize = type == 17 ? 74 : type == 22 ? 82 : 56;
  for (let r = 0; r < a.rows; r++) {
    let p = a.src + <usize> r * a.rowBytes, to = a.w + <usize> r * a.n * 4;
    for (const end = to + (a.n << 2); to < end; p += bytes) {
      const d = type == 29 ? scale1m(p + 48) : fromHalf(load<u16>(p));
      for (let v: usize = 0; v < 32; v++, to += 32) {
        if (type == 17) {
          const q = <u32> load<u16>(p + 2 + (v << 1));
          const codes = point(GRID_IQ2_XS, q & 511) | even(q >> 9);
          const scale = <f32> 0.5 + <f32> nibble(p + 66, v >> 1);
          eight(to, codes, two, d * scale * 0.25);
        } else if (type == 22) {
          const high = (<u32> load<u8>(p + 66 + (v >> 2)) >> <u32> ((v & 3) << 1)) & 3;
          const codes = point(GRID_IQ2_S, load<u8>(p + 2 + v) | (high << 8)) |
            tops(<u32> load<u8>(p + 34 + v));
          const scale = <f32> 0.5 + <f32> nibble(p + 74, v >> 1);
          eight(to, codes, two, d * scale * 0.25);
        } else {
          const more = nibble(p + 32, v);
          const codes = point(GRID_IQ1_S, load<u8>(p + v) | ((more & 7) << 8)) |
            (more & 8 ? 0x88888888 : 0);
          const word = <u32> load<u16>(p + 48 + ((v >> 3) << 1));
          const scale = 1 + 2 * ((word >> <u32> (((v >> 1) & 3) * 3)) & 7);
          eight(to, codes, one, d * <f32> scale * 0.125);
        }
      }
    }
  }
}

/** The scale of IQ1_M, a nibble atop of each of four words. */
// @ts-ignore: decorator
@inline
function scale1m(p: usize): f32 {
  return fromHalf(
    (<u32> load<u16>(p) >> 12) | ((<u32> load<u16>(p, 2) >> 8) & 0xf0) |
      ((<u32> load<u16>(p, 4) >> 4) & 0xf00) | (<u32> load<u16>(p, 6) & 0xf000),
  );
}

/** NVFP4: { 4 scales of E4M3, 4 × 8 B of nibbles }, a scale for each 16 values. */
export function expandNv(a: Repack): void {
  const book = bookOf(kind.E2M1);
  for (let r = 0; r < a.rows; r++) {
    let p = a.src + <usize> r * a.rowBytes, to = a.w + <usize> r * a.n * 4;
    for (const end = to + (a.n << 2); to < end; p += 36) {
      for (let g: usize = 0; g < 4; g++, to += 64) {
        const scale = e4m3(load<u8>(p + g)) * 0.5, q = p + 4 + (g << 3);
        for (let i: usize = 0; i < 8; i++) {
          const both = <usize> load<u8>(q + i), at = to + (i << 2);
          store<f32>(at, <f32> load<i8>(book + (both & 15)) * scale);
          store<f32>(at + 32, <f32> load<i8>(book + (both >> 4)) * scale);
        }
      }
    }
  }
}

/** Four bits of exponent, three of fraction, no sign; 127 stands for 0. */
// @ts-ignore: decorator
@inline
function e4m3(code: u32): f32 {
  if (code == 127) return 0;
  const bits = code & 127;
  // As an f32 its exponent lacks 120; subnormals come out right too.
  return reinterpret<f32>(bits << 20) * reinterpret<f32>(0x7b800000);
}
