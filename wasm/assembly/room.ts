// A worker's scratch for attention. "queries" are a tile's, whole quads; D dimensions.
//
// ```text
//  room    128 bytes             addresses of what follows
//  qt      queries × D           queries, [quad][D]{ 4 queries }
//  qb      queries × D           the same turned back, where the tile needs it
//  sc      queries × SPLIT       scores, then softmax weights
//  some    4 × SPLIT             scores of a quad with sinks, before they are chosen
//  o       queries × D           sums of a split
//  st      queries × 2           { m, l } of a split
//  acc     queries × (4 + D)     { m, l, -, -, o [D] } of all splits so far
//  turns   D                     cosines and sines of one angle
//  kf      D × SPLIT             K or V as f32
//  form    queries × (1.5 D + 2) queries as sealed keys are read with (sealed.ts)
//  back    the same              of those turned back
//  bases   queries               what the minima of a block add to scores
//  other   queries × SPLIT       scores with sinks of sealed blocks
//  factors SPLIT                 of a sealed run's weights
//  mins    SPLIT                 and what is added
//  weights queries × SPLIT / 2   i16, [quad][SPLIT/2]{ 4 × 2 }
//  ints    queries × D           sums of codes, i32
//  sums    queries × D           sums of sealed blocks, while they are rotated
// ```
// In floats; a merge uses the first bytes for its own.
import { SPLIT } from "./scores";

@unmanaged
export class Room {
  qt: usize;
  qb: usize;
  sc: usize;
  some: usize;
  o: usize;
  st: usize;
  acc: usize;
  turns: usize;
  kf: usize;
  form: usize;
  back: usize;
  bases: usize;
  other: usize;
  factors: usize;
  mins: usize;
  weights: usize;
  ints: usize;
  sums: usize;
  queries: i32;
  /** Where parts of blocks that are not in this memory are (stream.ts). */
  slot: usize;

  /** Lays it out for a tile of `queries` queries. */
  layOut(queries: i32, dim: i32): void {
    const q = <usize> queries, d = <usize> dim, head = q * d << 2;
    const line = q * SPLIT << 2, form = q * (6 * d + 8);
    this.queries = queries;
    this.qt = changetype<usize>(this) + 128;
    this.qb = this.qt + head;
    this.sc = this.qb + head;
    this.some = this.sc + line;
    this.o = this.some + (SPLIT << 4);
    this.st = this.o + head;
    this.acc = this.st + (q << 3);
    this.turns = this.acc + head + (q << 4);
    this.kf = this.turns + (d << 2);
    this.form = this.kf + (d * SPLIT << 2);
    this.back = this.form + form;
    this.bases = this.back + form;
    this.other = this.bases + (q << 2);
    this.factors = this.other + line;
    this.mins = this.factors + (SPLIT << 2);
    this.weights = this.mins + (SPLIT << 2);
    this.ints = this.weights + (line >> 1);
    this.sums = this.ints + head;
  }
}
