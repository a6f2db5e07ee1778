// Sealing to four bits; the pieces are drawn in coded_scores.ts and coded_sums.ts.
import { E4M3_SCALE, headerOf, tileOf } from "./coded_scores";
import { max4, min4 } from "./lanes";
import { readKeys, readValue, toBrain, toScale } from "./seal";
import { fromBrain, groupOf, INT4, NVFP4, Sealed } from "./sealed";

/** Code of a value, by the reciprocal of its step. */
// @ts-ignore: decorator
@inline
function uniform(x: f32, low: f32, k: f32): u32 {
  const y = nearest<f32>((x - low) * k);
  return y > 15 ? 15 : y > 0 ? <u32> y : 0;
}

/** Smallest normal f32: what is smaller counts as 0. */
// @ts-ignore: decorator
@inline const LEAST: f32 = reinterpret<f32>(0x00800000);

/** Step and minimum, bf16, of values between two. */
// @ts-ignore: decorator
@inline
function ranges(low: f32, high: f32, step: usize, least: usize): void {
  store<u16>(least, toBrain(low));
  store<u16>(step, toScale(max<f32>(0, high - fromBrain(least)) / 15));
}

// @ts-ignore: decorator
@inline
function reciprocal(x: f32): f32 {
  return x >= LEAST ? <f32> 1 / x : 0;
}

/** Sets one nibble of a piece whose codes were 0. */
// @ts-ignore: decorator
@inline
function put(p: usize, high: bool, code: u32): void {
  store<u8>(p, load<u8>(p) | (high ? code << 4 : code));
}

/** Index of the nearest level of E2M1, ties to the even one, and the sign. */
function level(x: f32, k: f32): u32 {
  const y = abs<f32>(x) * k;
  let i = 0;
  if (y > 0.25) i = 1;
  if (y >= 0.75) i = 2;
  if (y > 1.25) i = 3;
  if (y >= 1.75) i = 4;
  if (y > 2.5) i = 5;
  if (y >= 3.5) i = 6;
  if (y > 5) i = 7;
  return x < 0 && i > 0 ? i | 8 : i;
}

/** Nearest E4M3 code of a value from 0 to 448, ties to even. */
function toE4m3(x: f32): u32 {
  if (x >= 448) return 0x7e;
  // Below 2^-6 codes are multiples of 2^-9.
  if (x < 0.015625) return <u32> nearest<f32>(x * 512);
  const b = reinterpret<u32>(x);
  return ((b + 0x7ffff + ((b >> 20) & 1)) >> 20) - 960;
}

/** The scale of FP4 values up to `top`: its byte. */
function scaleOf(kind: i32, top: f32, g: f32): u32 {
  if (kind == NVFP4) return toE4m3(top / (g * 6));
  if (top == 0) return 0;
  const e = (reinterpret<i32>(top) >> 23) - 2;
  return max(e, 0);
}

/** What a level of 1 stands for. */
function unitOf(kind: i32, byte: u32, g: f32): f32 {
  if (kind == NVFP4) return g * (reinterpret<f32>(byte << 20) * E4M3_SCALE);
  return reinterpret<f32>(byte << 23);
}

/** K: `room` takes a tile and two rows of dimensions. */
export function sealK4(
  s: Sealed,
  head: i32,
  from: usize,
  size: usize,
  dim: i32,
  tokens: i32,
  piece: usize,
  room: usize,
): void {
  const kind = s.kKind, step = <usize> dim * 8 * size;
  const tile = tileOf(kind, dim), header = headerOf(kind, dim);
  const lows = room + (<usize> dim << 5), highs = lows + (<usize> dim << 4);
  const tiles = tokens >> 3;
  memory.fill(piece, 0, header + tile * tiles);
  let g: f32 = 0;
  if (kind == INT4 || kind == NVFP4) {
    for (let t = 0; t < tiles; t++) {
      readKeys(s, head, from + <usize> t * step, size, dim, room);
      for (let d: usize = 0; d < <usize> dim; d++) {
        const x = v128.load(room + (d << 5)), y = v128.load(room + (d << 5), 16);
        let low = f32x4.min(x, y), high = f32x4.max(x, y);
        if (t > 0) {
          low = f32x4.min(low, v128.load(lows + (d << 4)));
          high = f32x4.max(high, v128.load(highs + (d << 4)));
        }
        v128.store(lows + (d << 4), low);
        v128.store(highs + (d << 4), high);
      }
    }
    for (let d: usize = 0; d < <usize> dim; d++) {
      const low = min4(v128.load(lows + (d << 4)));
      const high = max4(v128.load(highs + (d << 4)));
      if (kind == INT4) {
        ranges(low, high, piece + (d << 1), piece + (<usize> dim << 1) + (d << 1));
      }
      g = max<f32>(g, max<f32>(abs<f32>(low), abs<f32>(high)));
    }
    if (kind == NVFP4) {
      g = g / 2688 < LEAST ? 1 : g / 2688;
      store<f32>(piece, g);
    }
  }
  const dims = groupOf(kind, dim);
  for (let t = 0; t < tiles; t++) {
    readKeys(s, head, from + <usize> t * step, size, dim, room);
    const out = piece + header + <usize> t * tile;
    for (let p = 0; p < 8; p++) {
      let k: f32 = 0, m: f32 = 0;
      for (let d = 0; d < dim; d++) {
        const at = room + (<usize> d << 5) + (<usize> p << 2);
        if (kind == INT4) {
          m = fromBrain(piece + (<usize> dim << 1) + (<usize> d << 1));
          k = reciprocal(fromBrain(piece + (<usize> d << 1)));
        } else if (d % dims == 0) {
          let top: f32 = 0;
          for (let i = 0; i < dims; i++) {
            top = max<f32>(top, abs<f32>(load<f32>(at + (<usize> i << 5))));
          }
          const byte = scaleOf(kind, top, g);
          k = reciprocal(unitOf(kind, byte, g));
          store<u8>(
            out + (<usize> dim << 2) + <usize> (d / dims * 8 + p),
            k > 0 ? byte : 0,
          );
        }
        const x = load<f32>(at);
        const code = kind == INT4 ? uniform(x, m, k) : level(x, k);
        put(out + (<usize> (d >> 2) << 4) + <usize> (p * 2 + (d & 1)), (d & 2) != 0, code);
      }
    }
  }
}

/** V: `room` takes a row of dimensions. */
export function sealV4(
  s: Sealed,
  from: usize,
  size: usize,
  dim: i32,
  tokens: i32,
  piece: usize,
  room: usize,
): void {
  const kind = s.vKind, step = <usize> dim * size, dims = groupOf(kind, dim);
  const codes = piece + (kind == NVFP4 ? 16 : 0);
  const scales = codes + (<usize> (dim * tokens) >> 1);
  const run = (<usize> tokens * 2 + 15) & ~15;
  const mins = scales + run * <usize> (dim / dims);
  const runs = kind == INT4 ? 0 : (<usize> (dim / dims * tokens) + 15) & ~15;
  memory.fill(piece, 0, scales + runs - piece);
  let g: f32 = 1;
  if (kind == NVFP4) {
    let top: f32 = 0;
    for (let t = 0; t < tokens; t++) {
      readValue(s, from + <usize> t * step, size, dim, room);
      for (let d = 0; d < dim; d++) {
        top = max<f32>(top, abs<f32>(load<f32>(room + (<usize> d << 2))));
      }
    }
    g = top / 2688 < LEAST ? 1 : top / 2688;
    store<f32>(piece, g);
  }
  for (let t = 0; t < tokens; t++) {
    readValue(s, from + <usize> t * step, size, dim, room);
    let k: f32 = 0, m: f32 = 0;
    for (let d = 0; d < dim; d++) {
      const at = room + (<usize> d << 2);
      if (d % dims == 0) {
        let low = load<f32>(at), high = low;
        for (let i = 1; i < dims; i++) {
          const x = load<f32>(at + (<usize> i << 2));
          low = min<f32>(low, x);
          high = max<f32>(high, x);
        }
        if (kind == INT4) {
          const at = run * <usize> (d / dims) + (<usize> t << 1);
          const p = scales + at, q = mins + at;
          ranges(low, high, p, q);
          m = fromBrain(q);
          k = reciprocal(fromBrain(p));
        } else {
          const top = max<f32>(abs<f32>(low), abs<f32>(high));
          const byte = scaleOf(kind, top, g);
          k = reciprocal(unitOf(kind, byte, g));
          store<u8>(scales + <usize> (d / dims * tokens + t), k > 0 ? byte : 0);
        }
      }
      const x = load<f32>(at);
      const code = kind == INT4 ? uniform(x, m, k) : level(x, k);
      put(
        codes + (<usize> (d >> 3) * (<usize> tokens << 2)) + (<usize> (t >> 2) << 4) +
          <usize> ((d & 7) * 2 + (t & 1)),
        (t & 2) != 0,
        code,
      );
    }
  }
}
