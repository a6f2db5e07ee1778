// Sinks beyond the reach of what the model was trained for: positions below a row's
// sink are scored with the row's queries turned back by `backs` positions, as if the
// row stood nearer to them.
//
// Angles are relative, so it is enough to turn queries that were turned before; keys
// stay as they lie. A row whose back is 0 has the same queries in both forms, and so
// the same scores.
import { Attend, codesAt } from "./attention";
import { scoreBlock } from "./coded";
import { Room } from "./room";
import { scoreFloat, scoreHalf, SPLIT, spreadHalves } from "./scores";
import { Sealed } from "./sealed";
import { Angles, anglesOf, NEIGHBOURS } from "./turn";

/**
 * Queries of a tile, [quad][D]{ 4 queries }, turned back to `to` in the same order;
 * `turns` has room for a head's cosines and sines.
 */
export function turnBack(
  a: Attend,
  row: i32,
  rows: i32,
  from: usize,
  to: usize,
  turns: usize,
): void {
  const group = a.group, dim = a.dim, angles = changetype<Angles>(a.angles);
  const half = angles.half;
  const quads = (rows * group + 3) >> 2;
  memory.copy(to, from, <usize> (quads * dim) << 4);
  // Bytes between the two values of a pair, and between pairs.
  const near = (a.flags & NEIGHBOURS) != 0;
  const other: usize = near ? 16 : half << 4, step: usize = near ? 32 : 16;
  for (let r = 0; r < rows; r++) {
    const back = load<i32>(a.backs + (<usize> (row + r) << 2));
    if (back == 0) continue;
    // Its magnitude is in there already.
    anglesOf(angles.coarse, angles.fine, half, back, 1, turns);
    for (let i = r * group; i < (r + 1) * group; i++) {
      let p = to + (<usize> ((i >> 2) * dim) << 4) + (<usize> (i & 3) << 2);
      let t = turns;
      for (const end = t + (half << 3); t < end; t += 8, p += step) {
        const c = load<f32>(t), s = load<f32>(t, 4);
        const x = load<f32>(p), y = load<f32>(p + other);
        store<f32>(p, x * c + y * s);
        store<f32>(p + other, y * c - x * s);
      }
    }
  }
}

/**
 * Scores of the positions [from, to) with the queries turned back, over what stands in
 * `sc`, [query][SPLIT], wherever a position is one of a row's sinks. `from` is where
 * the split begins.
 */
export function scoreSinks(
  a: Attend,
  room: Room,
  row: i32,
  rows: i32,
  from: i32,
  to: i32,
  table: usize,
  codes: usize,
  place: usize,
  head: i32,
  own: i32,
): void {
  const dim = a.dim, group = a.group, tokens = a.blockTokens, nq = rows * group;
  const half = a.size == 2, many = nq > 4, kf = room.kf;
  const s = changetype<Sealed>(a.sealed), some = room.some;
  let ready = -1;
  for (let t = from; t < to; t += 8) {
    const b = t / tokens;
    const block = t < own ? codesAt(room, s, codes, b) : 0;
    let k: usize = 0;
    if (block) {
      // A whole block at once, beside what it is chosen from.
      if (ready != b) {
        const piece = block + <usize> head * s.head;
        const end = (b + 1) * tokens;
        scoreBlock(a, room, s, piece, t, end, from, end, 0, nq, room.back, room.other);
        ready = b;
      }
    } else {
      k = <usize> load<u32>(table + (<usize> b << 2)) + place +
        <usize> (t % tokens) * dim * a.size;
      if (half && many) {
        spreadHalves(k, kf, <usize> dim * 8);
        k = kf;
      }
    }
    for (let j = 0; j < nq; j += 4) {
      const n = min(4, nq - j);
      let found = some;
      if (block) found = room.other + (<usize> (j * SPLIT + t - from) << 2);
      else {
        const q = room.qb + (<usize> (j * dim) << 2);
        if (half && !many) scoreHalf(n, q, k, dim, some);
        else scoreFloat(n, q, k, dim, some);
      }
      for (let i = 0; i < n; i++) {
        const r = <usize> (row + (j + i) / group) << 2;
        const seen = <usize> min(8, max(0, load<i32>(a.sinks + r) - t));
        memory.copy(
          room.sc + (<usize> ((j + i) * SPLIT + t - from) << 2),
          found + (<usize> (i * SPLIT) << 2),
          seen << 2,
        );
      }
    }
  }
}
