// Experts: which of them each row takes, where its copies of the row go, and the sum
// of what they give.
//
// A slot is a row for one expert. Those of an expert stand together, in whole tiles of
// four, so that products take them as they take any rows:
//
// ```text
//  row       0    1    2    3    4          chosen [row][taken]   experts, best first
//  takes     5,2  2,0  5,2  2,5  0,2        shares [row][taken]   their weights
//                                           places [row][taken]   their slots
//  slot      0 1 - - | 4 5 6 7 8 - - - | 12 13 14 -
//  pick      1 4     | 0 1 2 3 4       | 0  2  3        row in each slot, -1: none
//  expert    0       | 2               | 5
//  listed    0, 2, 5                        counts [expert]       2, 0, 5, 0, 0, 3
// ```
// A row's bits do not depend on its slot, as they do not on the rows beside it.
import { bringExperts } from "./cache";
import { exp2one, madd } from "./lanes";

/** Fields of all records that say something about a layer's experts. */
@unmanaged
export class Experts {
  kind: i32;
  flags: i32;
  /** Address of the number of rows. */
  rows: usize;
  /** The router's scores, `stride` bytes a row; the shared expert's at `shared`. */
  scores: usize;
  stride: usize;
  shared: usize;
  experts: i32;
  /** How many a row takes, the shared one included. */
  taken: i32;
  chosen: usize;
  shares: usize;
  places: usize;
  picks: usize;
  counts: usize;
  /** While slots are allotted: the next one of each expert. */
  next: usize;
  /** Experts with rows, and how many these are. */
  list: usize;
  listed: usize;
  /** Address of the number of slots. */
  slots: usize;
  /** Records of expert 0, the others' follow. */
  records: usize;
  /** What experts gave, `width` bytes a slot, and where the sum goes, the same a row. */
  y: usize;
  width: usize;
  out: usize;
  /** Where experts come and go: the words of their cache, 0 where all stay. */
  words: usize;
  items: usize;
  /** Item of the layer's first expert. */
  first: i32;
  owners: usize;
  queue: usize;
  mask: i32;
  depth: i32;
  base: usize;
  slotBytes: usize;
}

/** Runs the records of each listed expert. */
@unmanaged
export class Each {
  kind: i32;
  flags: i32;
  list: usize;
  listed: usize;
  /** Of expert 0; the others' follow. */
  records: usize;
  /** Bytes of records behind this one that are run from here only. */
  skip: usize;
  /** Where experts come and go: as in Experts. */
  words: usize;
  items: usize;
  first: i32;
  experts: i32;
}

/** Weights of those taken sum to 1. */
// @ts-ignore: decorator
@inline const NORMALISED = 2;
/** All rows take one more, by a sigmoid of its own score. */
// @ts-ignore: decorator
@inline const SHARED = 4;
/** The sum is added to what is there. */
// @ts-ignore: decorator
@inline const ADD = 2;

/** Records of one expert: GATED, gate, up, GATE and down. */
// @ts-ignore: decorator
@inline export const EXPERT_RECORDS = 5;

/** What a record's fields are for an expert whose slots begin at 0 stands from here on. */
// @ts-ignore: decorator
@inline const HOME: usize = 88;
/** Values that a row of its inputs has room for. */
// @ts-ignore: decorator
@inline const ROOM: usize = 84;

// @ts-ignore: decorator
@inline const LOG2E: f32 = 1.44269504;

/** Chooses the experts of rows [from, to), and weighs them. */
export function routeRows(a: Experts, from: i32, to: i32): void {
  const shared = (a.flags & SHARED) != 0;
  const best = shared ? a.taken - 1 : a.taken;
  for (let r = from; r < to; r++) {
    const s = a.scores + <usize> r * a.stride;
    const chosen = a.chosen + (<usize> (r * a.taken) << 2);
    const shares = a.shares + (<usize> (r * a.taken) << 2);
    let held = 0;
    for (let e = 0; e < a.experts; e++) {
      const x = rank(s, e);
      if (held == best && !(x > rank(s, at(chosen, held - 1)))) continue;
      let k = held < best ? held++ : best - 1;
      // Behind its equals, which have lower numbers.
      for (; k > 0 && x > rank(s, at(chosen, k - 1)); k--) {
        store<i32>(chosen + (<usize> k << 2), at(chosen, k - 1));
      }
      store<i32>(chosen + (<usize> k << 2), e);
    }
    const top = load<f32>(s + (<usize> at(chosen, 0) << 2));
    let sum: f32 = 0, all: f32 = 0;
    for (let k = 0; k < best; k++) {
      const x = exp2one(
        (load<f32>(s + (<usize> at(chosen, k) << 2)) - top) * LOG2E,
      );
      store<f32>(shares + (<usize> k << 2), x);
      sum += x;
    }
    if (!(a.flags & NORMALISED)) {
      for (let e = 0; e < a.experts; e++) {
        all += exp2one((load<f32>(s + (<usize> e << 2)) - top) * LOG2E);
      }
      sum = all;
    }
    for (let k = 0; k < best; k++) {
      const p = shares + (<usize> k << 2);
      store<f32>(p, load<f32>(p) / sum);
    }
    if (!shared) continue;
    const x = load<f32>(s + a.shared);
    const e = exp2one(-abs(x) * LOG2E);
    store<i32>(chosen + (<usize> best << 2), a.experts);
    store<f32>(shares + (<usize> best << 2), (x < 0 ? e : 1) / (1 + e));
  }
}

/** A score for comparing; NaN is less than anything. */
// @ts-ignore: decorator
@inline
function rank(s: usize, e: i32): f32 {
  const x = load<f32>(s + (<usize> e << 2));
  return x != x ? -Infinity : x;
}

// @ts-ignore: decorator
@inline
function at(p: usize, i: i32): i32 {
  return load<i32>(p + (<usize> i << 2));
}

/**
 * One worker's task: gives slots to experts, and turns their records to these.
 * `lastFloat`: kind of the last product that reads rows of f32.
 */
export function allotSlots(a: Experts, record: usize, lastFloat: i32): void {
  const rows = load<i32>(a.rows), taken = rows * a.taken;
  const all = a.experts + ((a.flags & SHARED) != 0 ? 1 : 0);
  memory.fill(a.counts, 0, <usize> all << 2);
  for (let i = 0; i < taken; i++) {
    const p = a.counts + (<usize> at(a.chosen, i) << 2);
    store<i32>(p, load<i32>(p) + 1);
  }
  let tile = 0, listed = 0;
  for (let e = 0; e < all; e++) {
    const count = at(a.counts, e);
    if (count == 0) continue;
    if (!a.words) {
      store<i32>(a.list + (<usize> listed << 2), e);
      listed++;
    }
    store<i32>(a.next + (<usize> e << 2), tile << 2);
    const p = a.records + <usize> (e * EXPERT_RECORDS) * record;
    turn(p, record, tile, lastFloat);
    tile += (count + 3) >> 2;
  }
  if (a.words) listed = bringExperts(a, record, all);
  store<i32>(a.listed, listed);
  store<i32>(a.slots, tile << 2);
  memory.fill(a.picks, 0xff, <usize> tile << 4);
  for (let i = 0; i < taken; i++) {
    const next = a.next + (<usize> at(a.chosen, i) << 2);
    const slot = load<i32>(next);
    store<i32>(next, slot + 1);
    store<i32>(a.picks + (<usize> slot << 2), i / a.taken);
    store<i32>(a.places + (<usize> i << 2), slot);
  }
}

/** Turns an expert's records to slots that begin with `tile`. */
function turn(p: usize, record: usize, tile: usize, lastFloat: i32): void {
  turnProduct(p + record, tile, lastFloat);
  turnProduct(p + record * 2, tile, lastFloat);
  const gate = p + record * 3, slot = tile << 2, stride = load<usize>(gate, 12);
  store<usize>(gate, load<usize>(gate, HOME) + slot * stride, 8);
  turnForms(gate + 20, gate + HOME + 4, load<usize>(gate, ROOM), tile);
  store<usize>(gate, load<usize>(gate, HOME + 28) + slot * stride, 68);
  turnProduct(p + record * 4, tile, lastFloat);
}

/** The fields of a Product, and behind HOME: xq, xs, xf, xi, x16 and out. */
function turnProduct(p: usize, tile: usize, lastFloat: i32): void {
  const room = load<usize>(p, ROOM), blocks = tile * (room >> 5);
  store<usize>(p, load<usize>(p, HOME) + (blocks << 7), 12);
  store<usize>(p, load<usize>(p, HOME + 4) + (blocks << 5), 16);
  // Rows of f32, or scales.
  const wide = load<i32>(p) <= lastFloat ? tile * room << 4 : blocks << 5;
  store<usize>(p, load<usize>(p, HOME + 8) + wide, 20);
  store<usize>(p, load<usize>(p, HOME + 12) + (blocks << 4), 24);
  store<usize>(p, load<usize>(p, HOME + 16) + (blocks << 5), 28);
  store<usize>(p, load<usize>(p, HOME + 20) + (tile << 2) * load<usize>(p, 36), 32);
}

/** xq, xs, xf, xi, x16 and xn of a Row. */
function turnForms(p: usize, home: usize, room: usize, tile: usize): void {
  const blocks = tile * (room >> 5);
  store<usize>(p, load<usize>(home) + (blocks << 7));
  store<usize>(p, load<usize>(home, 4) + (blocks << 5), 4);
  store<usize>(p, load<usize>(home, 8) + (blocks << 5), 8);
  store<usize>(p, load<usize>(home, 12) + (blocks << 4), 12);
  store<usize>(p, load<usize>(home, 16) + (blocks << 5), 16);
  store<usize>(p, load<usize>(home, 20) + (tile * room << 4), 20);
}

/** Sums what the experts of rows [from, to) gave, by weight, in the order of rank. */
export function combineRows(a: Experts, from: i32, to: i32): void {
  const add = (a.flags & ADD) != 0;
  for (let r = from; r < to; r++) {
    const places = a.places + (<usize> (r * a.taken) << 2);
    const shares = a.shares + (<usize> (r * a.taken) << 2);
    const out = a.out + <usize> r * a.width;
    for (let i: usize = 0; i < a.width; i += 16) {
      let sum = f32x4.splat(0);
      for (let k: usize = 0; k < <usize> a.taken << 2; k += 4) {
        const y = a.y + <usize> load<i32>(places + k) * a.width + i;
        sum = madd(v128.load(y), v128.load32_splat(shares + k), sum);
      }
      v128.store(out + i, add ? f32x4.add(v128.load(out + i), sum) : sum);
    }
  }
}
