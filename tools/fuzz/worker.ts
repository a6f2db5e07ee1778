/**
 * Tries inputs in a thread of its own, so that one that does not come to an end can
 * be ended from outside.
 *
 * @module
 */
import { AllocationGuard } from "./guard.ts";
import { Inputs } from "./inputs.ts";
import { PLANTED } from "./planted.ts";
import { removeSampleFolder } from "./temp_folder.ts";
import { TARGETS } from "./targets.ts";
import { emptyTally, tryInput } from "./trial.ts";

/** What a worker is told, then sent back batch by batch. */
export interface Job {
  readonly seed: number;
  readonly targets: readonly string[];
  /** [0] is the input that is being tried, -1 before the first, [1] the one to stop before. */
  readonly shared: Int32Array;
  /** It tries `first`, `first + step`, … */
  readonly first: number;
  readonly step: number;
}

/** Inputs between two messages. */
const BATCH = 100;

/** Bytes that a worker's heap and buffers may take; batches are let go of. */
const MOST_HEAP = 1 << 30;

async function work(
  { seed, targets, shared, first, step }: Job,
): Promise<void> {
  const inputs = await Inputs.open(
    seed,
    [...TARGETS, ...PLANTED].filter((t) => targets.includes(t.name)),
  );
  using guard = new AllocationGuard();
  let index = first;
  for (;;) {
    const tally = emptyTally();
    let tried = 0;
    for (; tried < BATCH && index < Atomics.load(shared, 1); tried++) {
      Atomics.store(shared, 0, index);
      await tryInput(inputs, index, guard, tally);
      index += step;
    }
    const { heapUsed, external } = Deno.memoryUsage();
    tally.heap = heapUsed + external;
    if (tally.heap > MOST_HEAP) {
      const what = `${tally.heap} bytes of heap and buffers`;
      tally.defects.push({ index, target: "memory", what });
    }
    guard.expect(Infinity);
    if (tried < BATCH) removeSampleFolder();
    self.postMessage({ tried, tally, done: tried < BATCH });
    if (tried < BATCH) return;
  }
}

// deno-lint-ignore no-explicit-any
declare const self: any;
self.onmessage = ({ data }: MessageEvent<Job>) => void work(data);
