/**
 * What the rows of a layer group see, as the two numbers kernels take.
 *
 * @module
 */
import { visible } from "./ranges.ts";
import type { Retention } from "./slots.ts";
import type { TokenRange } from "./types.ts";

/** Positions computed at a time. */
const STRETCH = 1024;

/**
 * A query at q sees [0, sink(q)) and [start(q), q]. Where the two meet, start
 * and sink are 0. Read from the retentions once per position, then from a
 * table, so that decoding allocates nothing.
 */
export class Sight {
  readonly #retentions: readonly Retention[];
  #starts = new Int32Array(0);
  #sinks = new Int32Array(0);
  #filled = 0;

  /** Reads nothing yet. */
  constructor(retentions: readonly Retention[]) {
    this.#retentions = retentions;
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
      this.#starts = starts;
      this.#sinks = sinks;
    }
    for (let q = this.#filled; q < end; q++) {
      const [start, sink] = startAndSink(this.#retentions, q);
      this.#starts[q] = start;
      this.#sinks[q] = sink;
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
    if (start < oldStart || (sink > oldSink && oldStart > 0)) {
      throw new TypeError(
        `query ${q} sees [0, ${sink}) and [${start}, ${q}], but query ${
          q - 1
        } sees [0, ${oldSink}) and [${oldStart}, ${
          q - 1
        }]: a position may not come back once it is out of sight`,
      );
    }
  }
}

/** `[start, sink]` of one query; throws a TypeError on another form. */
export function startAndSink(
  retentions: readonly Retention[],
  query: number,
): readonly [start: number, sink: number] {
  const ranges = merge(visible(retentions, query));
  const last = ranges.at(-1);
  const first = ranges[0];
  if (first && last?.end === query + 1) {
    if (ranges.length === 1) return [first.start, 0];
    if (ranges.length === 2 && first.start === 0) {
      return [last.start, first.end];
    }
  }
  const seen = ranges.map((r) => `[${r.start}, ${r.end})`).join(" ");
  throw new TypeError(
    `query ${query} sees ${
      seen || "nothing"
    }: only [0, sink) and [start, ${query}] can be run`,
  );
}

/**
 * Tries queries near and far. Returns a text that is equal for retentions that
 * see the same there; throws a TypeError on one that cannot be run.
 */
export function probe(retentions: readonly Retention[]): string {
  if (retentions.length === 0) return "all";
  new Sight(retentions).start(4 * STRETCH - 1);
  const seen: string[] = [];
  for (let power = 1; power <= 1 << 20; power *= 2) {
    for (const query of [power - 1, power, power + (power >> 1)]) {
      seen.push(startAndSink(retentions, query).join("+"));
    }
  }
  return seen.join(",");
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
