/**
 * Reservations: from the promise of blocks to commit or cancel.
 *
 * @module
 */
import type { BlockStore } from "./block_store.ts";
import type { Reservation, Shortfall, Work } from "./cache_types.ts";
import { KeyChain } from "./content_key.ts";
import type { CachePlan } from "./plan.ts";
import { reserveBlocks } from "./reserve.ts";
import type { Sequence } from "./sequence.ts";
import { stepEnd } from "./step_end.ts";
import type { SeqId } from "./types.ts";

/** A reservation as the cache sees it. */
export class Step implements Reservation {
  readonly ok = true;
  /** Sequences `list[0 .. seqs)`; older ones behind them wait to be replaced. */
  readonly list: Sequence[] = [];
  rows = 0;
  seqs = 0;
  restores = false;
  live = false;
  /** A batch says where its blocks are: they stay there until it is over. */
  pins = false;
}

/** Finds a sequence that no reservation holds; throws otherwise. */
export type FindFree = (seq: SeqId, action: string) => Sequence;

/** The reservations of one cache. Objects are used again when they are over. */
export class Reservations {
  /** Content addresses, by group. */
  readonly chains: readonly KeyChain[];
  readonly #plan: CachePlan;
  readonly #store: BlockStore;
  readonly #slack: number;
  readonly #find: FindFree;
  /** Reservations that are over. */
  readonly #steps: Step[] = [];
  #reserves = 0;

  /** `slack`: positions kept longer than a window says. */
  constructor(
    plan: CachePlan,
    store: BlockStore,
    slack: number,
    find: FindFree,
  ) {
    this.#plan = plan;
    this.#store = store;
    this.#slack = slack;
    this.#find = find;
    this.chains = plan.groups.map((g, i) =>
      new KeyChain(plan.fingerprint, i, g.shape.tokens)
    );
  }

  /**
   * Takes and pins blocks for the work, all or none. Nothing a reader can see
   * changes before `commit()`. Each sequence has one reservation at a time.
   * `count`: how many of the work, default all.
   */
  reserve(
    work: readonly Work[],
    count: number = work.length,
  ): Reservation | Shortfall {
    const step = this.#steps.pop() ?? new Step();
    const mark = ++this.#reserves;
    for (let i = 0; i < count; i++) {
      const { seq, tokens, from = 0, to = tokens.length } = work[i]!;
      const s = this.#find(seq, "reserve for");
      if (s.seen === mark || !(to > from)) {
        this.#steps.push(step);
        throw new TypeError(
          s.seen === mark
            ? `Cannot reserve for sequence ${seq} twice in one step`
            : `Cannot reserve for sequence ${seq}: no tokens from ${from} to ${to}`,
        );
      }
      const end = stepEnd(s.length, this.#plan.stepTokens);
      if (s.length + to - from > end) {
        this.#steps.push(step);
        throw new RangeError(
          `Cannot reserve ${
            to - from
          } positions for sequence ${seq} from ${s.length}: blocks that are full are decoded in place between steps; end the step at ${end}`,
        );
      }
      s.seen = mark;
      step.list[i] = s;
    }
    let rows = 0;
    for (let i = 0; i < count; i++) {
      const { tokens, from = 0, to = tokens.length } = work[i]!;
      const s = step.list[i]!;
      s.write(tokens, from, to, s.length);
      s.pending = to - from;
      rows += to - from;
    }
    const { groups } = this.#plan;
    const short = reserveBlocks(step.list, count, groups, this.#store);
    step.seqs = count;
    step.rows = rows;
    step.live = true;
    if (short === undefined) return step;
    for (let i = 0; i < count; i++) step.list[i]!.pending = 0;
    this.#retire(step);
    return short;
  }

  /** The reservation behind the interface; a TypeError once it is over. */
  require(r: Reservation, action: string): Step {
    if (!(r instanceof Step) || !r.live) {
      throw new TypeError(
        `Cannot ${action} a reservation that is committed or cancelled`,
      );
    }
    return r;
  }

  /** Its blocks stay where they are until it is over. */
  pin(step: Step): void {
    if (step.pins) return;
    step.pins = true;
    this.#store.places.pins++;
  }

  /**
   * After the step has run: seals and indexes full blocks, releases unseen ones.
   * `kept[i]`: how many positions of the i-th sequence stay, from 1 on; the rest
   * was a wrong guess. Default: all.
   */
  commit(r: Reservation, kept?: ArrayLike<number>): void {
    const step = this.require(r, "commit");
    for (let i = 0; i < step.seqs; i++) {
      const s = step.list[i]!;
      const old = s.length;
      s.length += kept === undefined
        ? s.pending
        : Math.min(s.pending, kept[i]!);
      s.pending = 0;
      for (let g = 0; g < s.tables.length; g++) {
        const table = s.tables[g]!;
        table.keep(s.length);
        this.#seal(s, g, old);
        table.slide(Math.max(0, s.length - this.#slack));
      }
    }
    this.#retire(step);
    this.#store.places.drain();
  }

  /** Gives the blocks back; the sequences are as before. */
  cancel(r: Reservation): void {
    const step = this.require(r, "cancel");
    for (let i = 0; i < step.seqs; i++) {
      const s = step.list[i]!;
      for (const table of s.tables) table.drop();
      s.pending = 0;
    }
    this.#retire(step);
  }

  /** Seals the blocks that became full since the sequence had `old` positions. */
  #seal(s: Sequence, g: number, old: number): void {
    const table = s.tables[g]!;
    const { tokens } = this.#plan.groups[g]!.shape;
    const full = Math.floor(s.length / tokens);
    const first = Math.floor(old / tokens);
    if (full === first) return;
    if (this.#plan.index === undefined || s.altered) {
      for (let b = first; b < full; b++) this.#store.seal(table.ids[b]!, b);
      return;
    }
    const chain = this.chains[g]!;
    if (table.hashed === 0) chain.reset(table.digest, s.salt);
    for (let b = table.hashed; b < full; b++) {
      const parent = b > 0 && b >= first ? chain.key(table.digest) : "";
      chain.advance(table.digest, s.tokens, b * tokens);
      if (b < first) continue;
      this.#store.seal(table.ids[b]!, b, chain.key(table.digest), {
        parent,
        tokens: s.tokens,
        from: b * tokens,
        to: (b + 1) * tokens,
        group: g,
        chained: this.#plan.groups[g]!.sight.full,
        priority: s.priority,
        salt: s.salt,
      });
    }
    table.hashed = full;
  }

  #retire(step: Step): void {
    if (step.pins) this.#store.places.pins--;
    step.pins = false;
    step.live = false;
    step.seqs = 0;
    step.rows = 0;
    this.#steps.push(step);
  }
}
