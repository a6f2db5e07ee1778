/**
 * One sequence: its tokens and its block tables.
 *
 * @module
 */
import type { AdapterSet } from "./adapters.ts";
import { BlockTable } from "./block_table.ts";
import type { BlockStore } from "./block_store.ts";
import type { GroupPlan } from "./plan.ts";
import type { SeqId } from "./types.ts";

/** State of a sequence. Positions from `length` on are promised to a step. */
export class Sequence {
  readonly id: SeqId;
  readonly tables: readonly BlockTable[];
  tokens = new Int32Array(64);
  length = 0;
  /** Positions a reservation holds; 0 for none. */
  pending = 0;
  /** The reserve() that looked at it last, to find one named twice. */
  seen = 0;
  /** Some of its blocks may be away, to come back. */
  awaits = false;
  /** Some of its blocks stay in a tier; see `Spill`. */
  spilled = false;
  /** Some of it came back from a tier not quite as it went: nobody is to find it. */
  altered = false;
  /** Part of its content addresses. */
  salt = "";
  /** What its rows are computed with; the salt says it too. */
  adapters: AdapterSet | undefined;
  /** Of what it computes, for indexes that look at it. */
  priority = 0;

  constructor(
    id: SeqId,
    groups: readonly GroupPlan[],
    store: BlockStore,
  ) {
    this.id = id;
    this.tables = groups.map((g) => new BlockTable(g, store));
  }

  /** Writes `tokens[from .. to)` at positions from `at` on. */
  write(tokens: ArrayLike<number>, from: number, to: number, at: number): void {
    const end = at + to - from;
    if (end > this.tokens.length) {
      const larger = new Int32Array(Math.max(end, this.tokens.length * 2));
      larger.set(this.tokens);
      this.tokens = larger;
    }
    for (let i = from; i < to; i++) this.tokens[at + i - from] = tokens[i]!;
  }
}
