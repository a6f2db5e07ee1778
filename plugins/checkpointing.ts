/**
 * Hidden states at some layers, kept in host memory, so that K and V that are gone are
 * computed from the nearest of them and not from the first layer on.
 *
 * ```text
 *  layers      0 … n-1 | n … 2n-1 | 2n …          every: n
 *  kept            rows before n,  before 2n, …   f32, as they were computed
 *  restoring   K and V of a run of layers from the rows before it: all layers of the
 *              run but the last, and of that no more than its K and V
 * ```
 * It pays where a hidden state is smaller than the K and V of the layers it stands for
 * and no tier has room for these; ARCHITECTURE.md has figures.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";
import type { Restorer } from "../core/slots.ts";

/** Settings of `checkpointing()`. */
export interface CheckpointingOptions {
  /**
   * Layers from one checkpoint to the next: 1 takes most bytes and least time.
   * "tokens" keeps nothing, as does a number from that of the model's layers on.
   */
  readonly every: number | "tokens";
  /** Most bytes of host memory. Wanted unless only tokens are kept. */
  readonly bytes?: number;
}

/**
 * Keeps hidden states of full blocks, the most recently used ones. Requests that gave
 * way, and prompts whose blocks were evicted, are restored from them.
 *
 * ```ts ignore
 * await load("smollm2", {
 *   plugins: [pagedAttention(), checkpointing({ every: 5, bytes: 2 ** 30 })],
 * });
 * ```
 *
 * @throws {RangeError} for numbers that are not whole or not above 0.
 */
export function checkpointing(
  { every, bytes }: CheckpointingOptions,
): Plugin {
  if (every !== "tokens" && !isCount(every)) {
    throw new RangeError(
      `Cannot keep checkpoints "every" ${every} layers: "tokens" or a whole number above 0 is wanted`,
    );
  }
  if (bytes === undefined ? every !== "tokens" : !isCount(bytes)) {
    throw new RangeError(
      `Cannot keep checkpoints in "bytes" ${bytes} of host memory: a whole number above 0 is wanted`,
    );
  }
  return {
    name: "checkpointing",
    setup: (host) => {
      const layers = host.model.layers.length;
      const step = every === "tokens" ? layers : every;
      const boundaries: number[] = [];
      for (let at = step; at < layers; at += step) boundaries.push(at);
      host.provide("restore", new HostRestorer(boundaries, bytes ?? 0));
    },
  };
}

function isCount(n: number | undefined): boolean {
  return Number.isSafeInteger(n) && n! > 0;
}

/** Rows, and the sum they had when they came. */
interface Kept {
  readonly rows: Float32Array;
  readonly sum: number;
}

class HostRestorer implements Restorer {
  readonly id = "checkpoints";
  readonly boundaries: readonly number[];
  readonly capacity: number;
  used = 0;
  /** Ascending by use. */
  readonly #kept = new Map<string, Kept>();

  constructor(boundaries: readonly number[], capacity: number) {
    this.boundaries = boundaries;
    this.capacity = capacity;
  }

  keep(key: string, rows: Float32Array): void {
    const { byteLength } = rows;
    if (this.#kept.has(key) || byteLength > this.capacity) return;
    for (const old of this.#kept.keys()) {
      if (this.used + byteLength <= this.capacity) break;
      this.#drop(old);
    }
    this.#kept.set(key, { rows, sum: sumOf(rows) });
    this.used += byteLength;
  }

  has(key: string): boolean {
    const kept = this.#kept.get(key);
    if (kept === undefined) return false;
    this.#use(key, kept);
    return true;
  }

  get(key: string): Float32Array | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    if (sumOf(kept.rows) !== kept.sum) {
      this.#drop(key);
      return undefined;
    }
    this.#use(key, kept);
    return kept.rows;
  }

  #use(key: string, kept: Kept): void {
    this.#kept.delete(key);
    this.#kept.set(key, kept);
  }

  #drop(key: string): void {
    this.used -= this.#kept.get(key)!.rows.byteLength;
    this.#kept.delete(key);
  }
}

/**
 * A sum that differs where one word does: each is mixed in by a step that can be undone.
 * Four at a time, since each step waits for the one before.
 */
function sumOf({ buffer, byteOffset, length }: Float32Array): number {
  const words = new Int32Array(buffer, byteOffset, length);
  let a = 1, b = 2, c = 3, d = 4, i = 0;
  for (; i + 4 <= length; i += 4) {
    a = Math.imul(a ^ words[i]!, 0x9e3779b1);
    b = Math.imul(b ^ words[i + 1]!, 0x85ebca6b);
    c = Math.imul(c ^ words[i + 2]!, 0xc2b2ae35);
    d = Math.imul(d ^ words[i + 3]!, 0x27d4eb2f);
  }
  for (; i < length; i++) a = Math.imul(a ^ words[i]!, 0x9e3779b1);
  return (a + Math.imul(b, 3) + Math.imul(c, 5) + Math.imul(d, 7)) | 0;
}
