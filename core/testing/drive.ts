/**
 * Sequences through a backend without cache, scheduler or plan: the least that
 * can stand between a backend and its tests.
 *
 * @module
 */
import type { Span } from "../allocator.ts";
import type { Backend, BoundGroup } from "../backend.ts";
import type { LayerSpec, ModelSpec } from "../model.ts";

/** A layer group of one window. */
export interface WindowGroup extends BoundGroup {
  readonly window: number | undefined;
}

/** Layers of one shape and one window share a group, in the order of layers. */
export function windowGroups(
  spec: ModelSpec,
  blockTokens: number,
): WindowGroup[] {
  const byKind = new Map<string, { of: LayerSpec; layers: number[] }>();
  spec.layers.forEach((of, i) => {
    const kind = `${of.window} ${of.kvHeads} ${of.headDim}`;
    const group = byKind.get(kind) ?? { of, layers: [] };
    group.layers.push(i);
    byKind.set(kind, group);
  });
  return [...byKind.values()].map(({ of, layers }) => ({
    layers,
    window: of.window,
    shape: {
      tokens: blockTokens,
      layers: layers.length,
      kvHeads: of.kvHeads,
      headDim: of.headDim,
    },
  }));
}

/** Rows of one sequence in a step: `ids` at positions from `from`. */
export interface DriveWork {
  readonly seq: number;
  readonly from: number;
  readonly ids: readonly number[];
}

/** How to lay sequences into blocks. */
export interface DriverOptions {
  /** Positions in a block. */
  readonly tokens: number;
  /** Most blocks a sequence has in a group. */
  readonly blocks: number;
  /** Groups other than `windowGroups()`; each layer's window still its own. */
  readonly groups?: readonly WindowGroup[];
  /** Positions at the start that windowed layers go on seeing; default 0. */
  readonly sink?: number;
  /** Positions from which on sinks are seen as from the last of them; default none. */
  readonly reach?: number;
}

/**
 * Binds a backend to its model's groups, keeps block tables and runs steps.
 * New blocks are filled with NaN, and blocks a window has left are taken out of
 * the table before the step, so that reading either shows.
 */
export class Driver {
  readonly groups: readonly WindowGroup[];
  readonly #backend: Backend;
  readonly #vocab: number;
  readonly #options: DriverOptions;
  readonly #spans: Span[] = [];
  readonly #free = new Map<WindowGroup, number[]>();

  constructor(backend: Backend, spec: ModelSpec, options: DriverOptions) {
    this.groups = options.groups ?? windowGroups(spec, options.tokens);
    this.#backend = backend;
    this.#vocab = spec.vocab;
    this.#options = options;
    backend.bind(this.groups, options.blocks);
  }

  /** Runs one step and gives the logits of all rows, rows × vocabulary. */
  async step(
    work: readonly DriveWork[],
    top = 0,
  ): Promise<{
    logits: Float32Array;
    topIds: Int32Array[];
    topLogits: Float32Array[];
  }> {
    const { batch } = this.#backend;
    let row = 0;
    for (const { seq, from, ids } of work) {
      this.#place(seq, from, from + ids.length);
      ids.forEach((id, i) => this.#row(row++, seq, from + i, id));
    }
    batch.rows = row;
    batch.wanted = row;
    batch.top = top;
    const result = await this.#backend.run();
    const logits = new Float32Array(row * this.#vocab);
    const topIds: Int32Array[] = [];
    const topLogits: Float32Array[] = [];
    for (let i = 0; i < row; i++) {
      logits.set(result.logits(i), i * this.#vocab);
      topIds.push(result.topIds(i).slice());
      topLogits.push(result.topLogits(i).slice());
    }
    return { logits, topIds, topLogits };
  }

  /** Makes sequence `to` share every block `from` has. */
  share(from: number, to: number): void {
    for (const table of this.#backend.batch.tables) {
      const { blocks } = this.#options;
      table.copyWithin(to * blocks, from * blocks, (from + 1) * blocks);
    }
  }

  /** Gives every block of every sequence back. */
  clear(): void {
    for (const span of this.#spans.splice(0)) this.#backend.memory.free(span);
    this.#free.clear();
    for (const table of this.#backend.batch.tables) table.fill(0);
  }

  #row(row: number, seq: number, position: number, id: number): void {
    const { batch } = this.#backend;
    batch.tokens[row] = id;
    batch.positions[row] = position;
    batch.seqs[row] = seq;
    batch.wantedRows[row] = row;
    this.groups.forEach((group, g) => {
      batch.starts[g]![row] = start(group, position);
      batch.sinks[g]![row] = group.window === undefined ? 0 : this.#sink;
      batch.backs[g]![row] = this.#back(group, position);
    });
  }

  /** Blocks for positions up to `end`; what a step from `from` cannot see goes. */
  #place(seq: number, from: number, end: number): void {
    const { tokens, blocks } = this.#options;
    this.groups.forEach((group, g) => {
      const table = this.#backend.batch.tables[g]!
        .subarray(seq * blocks, (seq + 1) * blocks);
      const kept = Math.ceil(this.#sink / tokens);
      const gone = Math.floor(start(group, from) / tokens);
      if (gone > kept) table.fill(0, kept, gone);
      for (let b = Math.floor(from / tokens); b * tokens < end; b++) {
        if (table[b] === 0) table[b] = this.#take(group);
      }
    });
  }

  /** 0 where sinks and window meet: what is near keeps its distance. */
  #back(group: WindowGroup, position: number): number {
    if (start(group, position) <= this.#sink) return 0;
    return Math.max(0, position - (this.#options.reach ?? Infinity) + 1);
  }

  get #sink(): number {
    return this.#options.sink ?? 0;
  }

  /** A block's offset, from a new slab where none is free. */
  #take(group: WindowGroup): number {
    const free = this.#free.get(group) ?? [];
    this.#free.set(group, free);
    if (free.length === 0) free.push(...this.#slab(group));
    return free.shift()!;
  }

  #slab(group: WindowGroup): number[] {
    const { memory } = this.#backend;
    const { blocks, parts } = this.#backend.slab?.(group.shape) ??
      { blocks: 1, parts: 1 };
    const block = this.#backend.blockBytes(group.shape);
    const span = memory.alloc(block * blocks);
    if (span === undefined) {
      throw new RangeError(
        `Cannot take a slab of ${
          block * blocks
        } bytes: ${memory.stat().largestFree} are free in one run; raise the backend's bytes`,
      );
    }
    // All ones is NaN in every float format: what a block held before shows.
    memory.write(span, new Uint8Array(span.bytes).fill(0xff));
    this.#spans.push(span);
    return Array.from(
      { length: blocks },
      (_, i) => span.offset + i * block / parts,
    );
  }
}

function start({ window = Infinity }: WindowGroup, position: number): number {
  return Math.max(0, position - window + 1);
}

/**
 * A function that gives the logits of all positions of a sequence, row by row:
 * in chunks of up to `chunk` rows, the last `decode` positions one at a time.
 */
export function driveSequence(
  backend: Backend,
  spec: ModelSpec,
  options: DriverOptions & {
    readonly chunk: number;
    readonly decode?: number;
  },
): (ids: readonly number[]) => Promise<Float32Array> {
  const driver = new Driver(backend, spec, options);
  const { chunk, decode = 0 } = options;
  return async (ids) => {
    const out = new Float32Array(ids.length * spec.vocab);
    try {
      for (let from = 0; from < ids.length;) {
        const left = ids.length - from;
        const rows = left <= decode ? 1 : Math.min(chunk, left - decode);
        const part = ids.slice(from, from + rows);
        const { logits } = await driver.step([{ seq: 0, from, ids: part }]);
        out.set(logits, from * spec.vocab);
        from += rows;
      }
    } finally {
      driver.clear();
    }
    return out;
  };
}
