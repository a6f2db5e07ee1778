/**
 * Inputs tried one after another, and what became of them.
 *
 * @module
 */
import type { AllocationGuard } from "./guard.ts";
import type { Inputs } from "./inputs.ts";
import { reasonOf } from "./target.ts";

/** What became of a run of inputs. */
export interface Tally {
  /** Inputs by target: how many were accepted, and refused for which reason. */
  readonly targets: Record<string, { accepted: number; refused: number }>;
  readonly reasons: Record<string, number>;
  /** Accepted ones that computed a token too, and those of them that were loaded. */
  run: number;
  loaded: number;
  /** Bytes of the inputs. */
  bytes: number;
  /** The slowest. */
  slowest: { ms: number; index: number };
  /** Largest array that was made for a file, bytes. */
  largest: number;
  /** Most bytes of heap and buffers. */
  heap: number;
  readonly defects: Defect[];
}

/** An input that shows something is wrong. */
export interface Defect {
  readonly index: number;
  readonly target: string;
  readonly what: string;
}

/** Nothing tried yet. */
export function emptyTally(): Tally {
  return {
    targets: {},
    reasons: {},
    run: 0,
    loaded: 0,
    bytes: 0,
    slowest: { ms: 0, index: -1 },
    largest: 0,
    heap: 0,
    defects: [],
  };
}

/** Milliseconds that no input may take; most take less than one. */
const MOST_MS = 5000;

/** Tries input `index` and adds it to the tally. */
export async function tryInput(
  inputs: Inputs,
  index: number,
  guard: AllocationGuard,
  tally: Tally,
): Promise<void> {
  guard.expect(Infinity);
  const { target, sample, use } = inputs.at(index);
  const size = [...sample.values()].reduce((sum, b) => sum + b.length, 0);
  const defect = (what: string): void =>
    void tally.defects.push({ index, target: target.name, what });
  const counts = tally.targets[target.name] ??= { accepted: 0, refused: 0 };
  guard.expect(size);
  const start = performance.now();
  try {
    const refused = await target.read(sample, use);
    if (refused === undefined) {
      counts.accepted++;
      if (use !== "read" && target.runs) tally.run++;
      if (use === "load" && target.runs) tally.loaded++;
    } else {
      counts.refused++;
      const reason = `${target.name}: ${reasonOf(refused)}`;
      tally.reasons[reason] = (tally.reasons[reason] ?? 0) + 1;
    }
  } catch (error) {
    const { stack, message } = error as Error;
    defect(stack ?? message ?? String(error));
  }
  const ms = performance.now() - start;
  if (ms > tally.slowest.ms) tally.slowest = { ms, index };
  if (ms > MOST_MS) defect(`it took ${Math.round(ms)} ms`);
  tally.bytes += size;
  tally.largest = Math.max(tally.largest, guard.largest);
}

/** Adds one tally to another. */
export function addTally(sum: Tally, t: Tally): void {
  for (const [name, { accepted, refused }] of Object.entries(t.targets)) {
    const counts = sum.targets[name] ??= { accepted: 0, refused: 0 };
    counts.accepted += accepted;
    counts.refused += refused;
  }
  for (const [reason, n] of Object.entries(t.reasons)) {
    sum.reasons[reason] = (sum.reasons[reason] ?? 0) + n;
  }
  sum.run += t.run;
  sum.loaded += t.loaded;
  sum.bytes += t.bytes;
  if (t.slowest.ms > sum.slowest.ms) sum.slowest = t.slowest;
  sum.largest = Math.max(sum.largest, t.largest);
  sum.heap = Math.max(sum.heap, t.heap);
  sum.defects.push(...t.defects);
}
