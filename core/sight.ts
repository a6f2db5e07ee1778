/**
 * What the rows of a layer group see, as the numbers kernels take.
 *
 * @module
 */
import { visible } from "./ranges.ts";
import type { Retention } from "./slots.ts";
import type { TokenRange } from "./types.ts";

/** Positions computed at a time. */
const STRETCH = 1024;

/**
 * A query at q sees [first(q), sink(q)) and [start(q), q], the former as if it
 * stood at q - back(q). Where the two meet, all four are 0, and first is 0 but
 * while a window leaves the sinks. Read from the retentions once per position,
 * then from a table, so that decoding allocates nothing.
 */
export class Sight {
  /** Most positions from the first one to a query that sees sinks; see Retention. */
  readonly reach: number;
  readonly #retentions: readonly Retention[];
  #starts = new Int32Array(0);
  #sinks = new Int32Array(0);
  #firsts = new Int32Array(0);
  #filled = 0;

  /** Reads nothing yet. */
  constructor(retentions: readonly Retention[]) {
    this.#retentions = retentions;
    this.reach = leastReach(retentions);
  }

  /** Every query sees everything before it. */
  get full(): boolean {
    return this.#retentions.length === 0;
  }

  /** First position of the recent range. Throws a TypeError as `probe()` does. */
  start(query: number): number {
    if (this.full) return 0;
    if (query >= this.#filled) this.#fill(query);
    return this.#starts[query]!;
  }

  /** End of the range at the start, 0 for none. Throws a TypeError as `probe()` does. */
  sink(query: number): number {
    if (this.full) return 0;
    if (query >= this.#filled) this.#fill(query);
    return this.#sinks[query]!;
  }

  /** Start of that range. Throws a TypeError as `probe()` does. */
  first(query: number): number {
    if (this.full) return 0;
    if (query >= this.#filled) this.#fill(query);
    return this.#firsts[query]!;
  }

  /** By how much a query is turned back for its sinks; 0 where it sees none. */
  back(query: number): number {
    if (query < this.reach || this.sink(query) === 0) return 0;
    return query - (this.reach - 1);
  }

  /**
   * Computes up to `query`. Throws a TypeError where the visible positions
   * have another form, or come back after they were out of sight.
   */
  #fill(query: number): void {
    const end = Math.ceil((query + 1) / STRETCH) * STRETCH;
    if (end > this.#starts.length) {
      const length = Math.max(end, this.#starts.length * 2);
      const starts = new Int32Array(length);
      const sinks = new Int32Array(length);
      starts.set(this.#starts);
      sinks.set(this.#sinks);
      const firsts = new Int32Array(length);
      firsts.set(this.#firsts);
      this.#firsts = firsts;
      this.#starts = starts;
      this.#sinks = sinks;
    }
    for (let q = this.#filled; q < end; q++) {
      const [start, sink, first] = startAndSink(this.#retentions, q);
      this.#starts[q] = start;
      this.#sinks[q] = sink;
      this.#firsts[q] = first;
      if (q > 0) this.#keepLaw(q);
      this.#filled = q + 1;
    }
  }

  /** With the form given, the law for all lengths follows from neighbours. */
  #keepLaw(q: number): void {
    const start = this.#starts[q]!;
    const sink = this.#sinks[q]!;
    const oldStart = this.#starts[q - 1]!;
    const oldSink = this.#sinks[q - 1]!;
    const first = this.#firsts[q]!;
    const oldFirst = this.#firsts[q - 1]!;
    // Sinks were seen as such, or as part of the recent range.
    const kept = (first >= oldFirst && sink <= oldSink) || first >= oldStart;
    if (start < oldStart || (sink > 0 && !kept)) {
      throw new TypeError(
        `query ${q} sees [${first}, ${sink}) and [${start}, ${q}], but query ${
          q - 1
        } sees [${oldFirst}, ${oldSink}) and [${oldStart}, ${
          q - 1
        }]: a position may not come back once it is out of sight`,
      );
    }
  }
}

/** The least of what the retentions state, Infinity for nothing. */
function leastReach(retentions: readonly Retention[]): number {
  return Math.min(...retentions.map((r) => r.reach ?? Infinity));
}

/** `[start, sink, first]` of one query; throws a TypeError on another form. */
export function startAndSink(
  retentions: readonly Retention[],
  query: number,
): readonly [start: number, sink: number, first: number] {
  const ranges = merge(visible(retentions, query));
  const last = ranges.at(-1);
  const first = ranges[0];
  if (first && last?.end === query + 1) {
    if (ranges.length === 1) return [first.start, 0, 0];
    if (ranges.length === 2) return [last.start, first.end, first.start];
  }
  const seen = ranges.map((r) => `[${r.start}, ${r.end})`).join(" ");
  throw new TypeError(
    `query ${query} sees ${
      seen || "nothing"
    }: only [first, sink) and [start, ${query}] can be run`,
  );
}

/**
 * Tries queries near and far. Returns a text that is equal for retentions that
 * see the same there; throws a TypeError on one that cannot be run.
 */
export function probe(retentions: readonly Retention[]): string {
  if (retentions.length === 0) return "all";
  for (const { id, reach } of retentions) {
    if (reach === undefined || (Number.isInteger(reach) && reach > 0)) continue;
    throw new TypeError(
      `"${id}" has reach ${reach}: a whole number of positions above 0 is wanted`,
    );
  }
  new Sight(retentions).start(4 * STRETCH - 1);
  const seen: string[] = [];
  for (let power = 1; power <= 1 << 20; power *= 2) {
    for (const query of [power - 1, power, power + (power >> 1)]) {
      seen.push(startAndSink(retentions, query).join("+"));
    }
  }
  const reach = leastReach(retentions);
  return seen.join(",") + (reach === Infinity ? "" : ` within ${reach}`);
}

/** Ascending ranges, touching ones joined. */
function merge(ranges: readonly TokenRange[]): TokenRange[] {
  const sorted = [...ranges].sort((a, b) => a.start - b.start);
  const out: TokenRange[] = [];
  for (const r of sorted) {
    const last = out.at(-1);
    if (last && r.start <= last.end) {
      out[out.length - 1] = {
        start: last.start,
        end: Math.max(last.end, r.end),
      };
    } else out.push(r);
  }
  return out;
}
