/**
 * What is counted from request to request.
 *
 * @module
 */

/** Upper bounds of the buckets of times, seconds. */
const SECONDS: readonly number[] = [
  0.001,
  0.005,
  0.01,
  0.02,
  0.04,
  0.06,
  0.08,
  0.1,
  0.25,
  0.5,
  0.75,
  1,
  2.5,
  5,
  7.5,
  10,
  20,
  40,
  80,
  160,
];

/** Names a series of a metric. */
export type Labels = Readonly<Record<string, string>>;

/** Counts and times since the start. */
export class Metrics {
  readonly #counts = new Map<string, Map<string, number>>();
  readonly #times = new Map<string, Map<string, Histogram>>();

  /** Adds to a count. */
  count(name: string, labels: Labels = {}, by = 1): void {
    const all = mapOf(this.#counts, name), key = labelText(labels);
    all.set(key, (all.get(key) ?? 0) + by);
  }

  /** Adds a time. */
  time(name: string, labels: Labels, seconds: number): void {
    const all = mapOf(this.#times, name), key = labelText(labels);
    let histogram = all.get(key);
    if (histogram === undefined) all.set(key, histogram = new Histogram());
    histogram.add(seconds);
  }

  /** A count, 0 where nothing was counted. */
  value(name: string, labels: Labels = {}): number {
    return this.#counts.get(name)?.get(labelText(labels)) ?? 0;
  }

  /** Counts and times as lines of Prometheus' text format. */
  *lines(): Generator<string> {
    for (const [name, all] of this.#counts) {
      yield `# TYPE ${name} counter`;
      for (const [labels, value] of all) {
        yield `${name}${braces(labels)} ${value}`;
      }
    }
    for (const [name, all] of this.#times) {
      yield `# TYPE ${name} histogram`;
      for (const [labels, histogram] of all) {
        yield* histogram.lines(name, labels);
      }
    }
  }
}

/** How often a time was no longer than each bound. */
class Histogram {
  readonly #buckets = new Float64Array(SECONDS.length);
  #sum = 0;
  #count = 0;

  add(seconds: number): void {
    this.#sum += seconds;
    this.#count++;
    for (let i = SECONDS.length - 1; i >= 0 && seconds <= SECONDS[i]!; i--) {
      this.#buckets[i]!++;
    }
  }

  *lines(name: string, labels: string): Generator<string> {
    const rest = labels === "" ? "" : `${labels},`;
    for (const [i, bound] of SECONDS.entries()) {
      yield `${name}_bucket{${rest}le="${bound}"} ${this.#buckets[i]}`;
    }
    yield `${name}_bucket{${rest}le="+Inf"} ${this.#count}`;
    yield `${name}_sum${braces(labels)} ${this.#sum}`;
    yield `${name}_count${braces(labels)} ${this.#count}`;
  }
}

/** One value as a line. */
export function gauge(name: string, labels: Labels, value: number): string {
  return `${name}${braces(labelText(labels))} ${value}`;
}

function labelText(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`).join(",");
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')
    .replaceAll("\n", "\\n");
}

function braces(labels: string): string {
  return labels === "" ? "" : `{${labels}}`;
}

function mapOf<T>(
  all: Map<string, Map<string, T>>,
  name: string,
): Map<string, T> {
  let map = all.get(name);
  if (map === undefined) all.set(name, map = new Map());
  return map;
}
