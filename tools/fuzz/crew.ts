/**
 * Workers that try inputs, and a watchdog over them.
 *
 * @module
 */
import { addTally, emptyTally, type Tally } from "./trial.ts";
import type { Job } from "./worker.ts";

/** What is to be tried. */
export interface Order {
  readonly seed: number;
  /** Names of targets. */
  readonly targets: readonly string[];
  readonly workers: number;
  /** Inputs; it ends before where `signal` says so. */
  readonly count: number;
  readonly signal?: AbortSignal;
  /** Hears how far it is. */
  readonly onProgress?: (tried: number, tally: Tally) => void;
  /** Milliseconds after which an input counts as one without an end. */
  readonly patience?: number;
}

/** An input that takes so long does not come to an end. */
const PATIENCE_MS = 15_000;
/** What stands for an input while a worker reads the good files, and how long it may. */
const STARTING = -1, START_MS = 120_000;
/** How often the watchdog looks. */
const LOOK_MS = 250;

/** Tries inputs 0 to `count` and says what became of them. */
export async function fuzz(
  order: Order,
): Promise<{ readonly tried: number; readonly tally: Tally }> {
  const sum = emptyTally();
  let tried = 0;
  const add = (count: number, tally: Tally): void => {
    tried += count;
    addTally(sum, tally);
    order.onProgress?.(tried, sum);
  };
  await Promise.all(
    Array.from({ length: order.workers }, (_, i) => follow(order, i, add)),
  );
  sum.defects.sort((a, b) => a.index - b.index);
  return { tried, tally: sum };
}

type Add = (tried: number, tally: Tally) => void;

/** One worker's inputs, with another worker for each one that was ended. */
async function follow(order: Order, lane: number, add: Add): Promise<void> {
  for (let first: number | undefined = lane; first !== undefined;) {
    const stuck = await watch(order, first, add);
    first = stuck === undefined ? undefined : stuck + order.workers;
  }
}

/** Runs a worker to its end; the input that it died of, if it did not come to it. */
function watch(
  { seed, targets, workers, count, signal, patience = PATIENCE_MS }: Order,
  first: number,
  add: Add,
): Promise<number | undefined> {
  const shared = new Int32Array(new SharedArrayBuffer(8));
  shared.set([STARTING, count]);
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    type: "module",
  });
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  let since = performance.now(), seen = STARTING;
  const end = (stuck: number | undefined): void => {
    clearInterval(timer);
    worker.terminate();
    resolve(stuck);
  };
  const die = (what: string): void => {
    const index = Math.max(first, Atomics.load(shared, 0));
    const tally = emptyTally();
    tally.defects.push({ index, target: "worker", what });
    add(1, tally);
    end(index);
  };
  const timer = setInterval(() => {
    const index = Atomics.load(shared, 0), now = performance.now();
    if (signal?.aborted) Atomics.store(shared, 1, 0);
    if (index !== seen) [seen, since] = [index, now];
    else if (now - since > (index === STARTING ? START_MS : patience)) {
      die(`no end after ${patience} ms`);
    }
  }, LOOK_MS);
  worker.onmessage = ({ data }) => {
    add(data.tried, data.tally);
    if (data.done) end(undefined);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    die(`the worker died: ${event.message}`);
  };
  const job: Job = { seed, targets, shared, first, step: workers };
  worker.postMessage(job);
  return promise;
}
