// The step program: a list of records that all workers run together.
//
// A record is RECORD bytes: { kind, flags, fields of its class }. The last bit of
// `flags` says that everyone waits for everyone before the next record.
import { Product } from "./product";
import * as quants from "./quants";
import * as kquants from "./kquants";
import * as books from "./books";
import * as floats from "./floats";
import * as layout from "./kinds";
import { gateRows, mergeRows, normRows, Row } from "./rows";
import { angleRows, Angles, Turn, turnRows } from "./turn";
import { Attend, attend } from "./attention";
import { barrier } from "./barrier";
import { Seal, sealBlocks } from "./seal";
import { Embed, embedRows } from "./embed";
import { Top, topMerge, topShare } from "./top";
import { addDelta, Delta, Low, lowRows } from "./lora";
import { Boundary, boundaryRows, Leap } from "./boundary";
import { Release, releaseLayer, Wait, waitLayer } from "./ring";
import { waitItem } from "./cache";
import {
  allotSlots,
  combineRows,
  Each,
  EXPERT_RECORDS,
  Experts,
  routeRows,
} from "./experts";

// @ts-ignore: decorator
@inline const RECORD: usize = 128;
// @ts-ignore: decorator
@inline const BARRIER = 1;

/** Where a record counts what is taken of it; the caller zeroes it before a step. */
// @ts-ignore: decorator
@inline export const NEXT: usize = 124;

// Kinds of records; products are PRODUCT + layout.
/** Below all others, so that layouts can be added to. */
// @ts-ignore: decorator
@inline const LOW = -1;
// @ts-ignore: decorator
@inline const END = 0;
// @ts-ignore: decorator
@inline const EMBED = 1;
// @ts-ignore: decorator
@inline const ANGLES = 2;
// @ts-ignore: decorator
@inline const NORM = 3;
// @ts-ignore: decorator
@inline const TURN = 4;
// @ts-ignore: decorator
@inline const ATTEND = 5;
// @ts-ignore: decorator
@inline const MERGE = 6;
// @ts-ignore: decorator
@inline const GATE = 7; // only behind GATED
// @ts-ignore: decorator
@inline const TOP = 8;
// @ts-ignore: decorator
@inline const TOP_MERGE = 9;
/** Precedes gate product, up product and GATE, which run together unit by unit. */
// @ts-ignore: decorator
@inline const GATED = 10;
/** Nobody waits after it in a step that fills no block. */
// @ts-ignore: decorator
@inline const SEAL = 11;
// @ts-ignore: decorator
@inline const WAIT = 12;
// @ts-ignore: decorator
@inline const RELEASE = 13;
// @ts-ignore: decorator
@inline const LEAP = 14;
// @ts-ignore: decorator
@inline const BOUNDARY = 15;
// @ts-ignore: decorator
@inline const ROUTE = 24;
// @ts-ignore: decorator
@inline const ALLOT = 25;
/** Runs GATED and what belongs to it, of each listed expert. */
// @ts-ignore: decorator
@inline const GATED_EACH = 26;
/** Runs the down product of each listed expert. */
// @ts-ignore: decorator
@inline const DOWN_EACH = 27;
// @ts-ignore: decorator
@inline const COMBINE = 28;
// @ts-ignore: decorator
@inline const PRODUCT = 32;

/**
 * The unit at which ticket `k` begins. Outputs are handed out in units of 32, first
 * large runs, then ever smaller ones: a worker that lost its core for a while takes
 * fewer. Results do not depend on who computed what.
 */
function ticket(units: i32, threads: i32, k: i32): i32 {
  let left = units;
  const parts = threads * 2;
  for (; k > 0 && left > 0; k--) left -= max(1, left / parts);
  return units - left;
}

/** Computes panels [from, to) of a product, what adapters add to it included. */
function product(a: Product, mode: i32, from: i32, to: i32): void {
  multiply(a, mode, from, to);
  if (a.delta == 0) return;
  const rows = load<i32>(a.rows);
  addDelta(changetype<Delta>(a.delta), a.out, a.stride, rows, from, to);
}

function multiply(a: Product, mode: i32, from: i32, to: i32): void {
  switch (a.kind - PRODUCT) {
    case layout.F32: return floats.f32s(a, from, to);
    case layout.F16: return floats.f16s(a, from, to);
    case layout.BF16: return floats.bf16s(a, from, to);
    case layout.Q4: return quants.q4(mode, a, from, to);
    case layout.Q4M: return quants.q4m(mode, a, from, to);
    case layout.Q4MF: return quants.q4mf(mode, a, from, to);
    case layout.Q5: return quants.q5(mode, a, from, to);
    case layout.Q5M: return quants.q5m(mode, a, from, to);
    case layout.Q5MF: return quants.q5mf(mode, a, from, to);
    case layout.Q8: return quants.q8(mode, a, from, to);
    case layout.Q2K: return kquants.q2k(mode, a, from, to);
    case layout.Q3K: return kquants.q3k(mode, a, from, to);
    case layout.Q6K: return kquants.q6k(mode, a, from, to);
    case layout.NL: return books.nl(mode, a, from, to);
    case layout.NLF:
    case layout.BOOK3:
    case layout.BOOK2:
      return books.wide(mode, a.kind - PRODUCT, a, from, to);
    case layout.E2M1:
    case layout.BOOK3S:
    case layout.BOOK1:
      return books.small(mode, a.kind - PRODUCT, a, from, to);
  }
}

/** Takes runs of units of the product at `p`, or of a gated pair, until none is left. */
function share(p: usize, gated: bool, mode: i32, threads: i32): void {
  const a = changetype<Product>(gated ? p + RECORD : p);
  const units = (a.panels + 3) >> 2;
  for (let first = 0; first < units;) {
    let last = units;
    if (threads > 1) {
      const k = atomic.add<i32>(p, 1, NEXT);
      first = ticket(units, threads, k);
      if (first >= units) return;
      last = ticket(units, threads, k + 1);
    }
    const from = first << 2, to = min(last << 2, a.panels);
    product(a, mode, from, to);
    if (gated) {
      product(changetype<Product>(p + RECORD * 2), mode, from, to);
      const row = changetype<Row>(p + RECORD * 3);
      gateRows(row, <usize> from << 3, min(<usize> to << 3, row.n));
    }
    first = last;
  }
}

/**
 * Runs the gated pair, or the down product, of every expert that has rows. False where
 * one never comes in.
 */
function shareEach(a: Each, gated: bool, mode: i32, threads: i32): bool {
  const listed = load<i32>(a.listed);
  for (let i = 0; i < listed; i++) {
    const e = <usize> load<i32>(a.list + (<usize> i << 2));
    const p = a.records + e * (RECORD * EXPERT_RECORDS);
    if (a.words && <i32> e < a.experts) {
      if (!waitItem(a.words, a.items, a.first + <i32> e)) return false;
    }
    share(gated ? p : p + RECORD * 4, gated, mode, threads);
  }
  return true;
}

/** Runs the records from `p` to the first END; `scratch` is this worker's own. */
export function run(
  p: usize,
  mode: i32,
  thread: i32,
  threads: i32,
  sync: usize,
  scratch: usize,
): void {
  for (;; p += RECORD) {
    const kind = load<i32>(p);
    if (kind == END) return;
    if (kind >= PRODUCT) {
      share(p, false, mode, threads);
    } else if (kind == LOW) {
      const a = changetype<Low>(p);
      if (load<i32>(a.adapted) == 0) continue;
      lowRows(a, p + NEXT);
    } else if (kind == GATED) {
      share(p, true, mode, threads);
      p += RECORD * 3;
    } else if (kind == ATTEND) {
      attend(changetype<Attend>(p), thread, threads, sync, p + NEXT);
    } else if (kind == SEAL) {
      const a = changetype<Seal>(p);
      if (load<i32>(a.seals) == 0) continue;
      sealBlocks(a, p + NEXT, scratch);
    } else if (kind == WAIT) {
      if (!waitLayer(changetype<Wait>(p))) return;
    } else if (kind == RELEASE) {
      if (thread == 0) releaseLayer(changetype<Release>(p), RECORD, PRODUCT);
    } else if (kind == LEAP) {
      const to = load<usize>(changetype<Leap>(p).word);
      if (to == 0) continue;
      p = to - RECORD;
      continue;
    } else if (kind == ALLOT) {
      if (thread == 0) {
        allotSlots(changetype<Experts>(p), RECORD, PRODUCT + layout.BF16);
      }
    } else if (kind == GATED_EACH || kind == DOWN_EACH) {
      const a = changetype<Each>(p);
      if (!shareEach(a, kind == GATED_EACH, mode, threads)) return;
      if (load<i32>(p, 4) & BARRIER) barrier(sync, threads);
      p += a.skip;
      continue;
    } else if (kind == BOUNDARY) {
      boundaryRows(changetype<Boundary>(p), thread, threads);
    } else if (kind == TOP) {
      topShare(changetype<Top>(p), thread, threads);
    } else {
      // The rest is shared out by rows, or by heads of rows.
      let n = load<i32>(rowsOf(p, kind));
      if (kind == TURN) {
        const a = changetype<Turn>(p);
        n *= a.heads + 2 * a.kvHeads;
      }
      const from = n * thread / threads, to = n * (thread + 1) / threads;
      switch (kind) {
        case EMBED:
          embedRows(changetype<Embed>(p), from, to);
          break;
        case ANGLES:
          angleRows(changetype<Angles>(p), from, to);
          break;
        case NORM:
          normRows(changetype<Row>(p), scratch, from, to);
          break;
        case TURN:
          turnRows(changetype<Turn>(p), from, to);
          break;
        case MERGE:
          mergeRows(changetype<Row>(p), thread, from, to);
          break;
        case TOP_MERGE:
          topMerge(changetype<Top>(p), threads, from, to);
          break;
        case ROUTE:
          routeRows(changetype<Experts>(p), from, to);
          break;
        case COMBINE:
          combineRows(changetype<Experts>(p), from, to);
          break;
      }
    }
    if (load<i32>(p, 4) & BARRIER) barrier(sync, threads);
  }
}

function rowsOf(p: usize, kind: i32): usize {
  switch (kind) {
    case EMBED: return changetype<Embed>(p).rows;
    case ANGLES: return changetype<Angles>(p).rows;
    case TURN: return changetype<Turn>(p).rows;
    case TOP_MERGE: return changetype<Top>(p).rows;
    case ROUTE:
    case COMBINE: return changetype<Experts>(p).rows;
    default: return changetype<Row>(p).rows;
  }
}
