/**
 * Sequences through a backend without cache, scheduler or plan: the least that
 * can stand between a backend and its tests.
 *
 * @module
 */
import type { Backend, BoundGroup } from "../backend.ts";
import type { LayerSpec, ModelSpec } from "../model.ts";
import { groupSlab } from "../slab.ts";
import type { Codec } from "../slots.ts";
import { stepEnd } from "../step_end.ts";
import { type Blocks, DriveBlocks } from "./drive_blocks.ts";

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
      layerIds: layers,
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
  /**
   * What becomes of full blocks: sealed by the backend where it has a kernel for all
   * layers, else decoded in place between steps, whose rows then may not go beyond
   * the end of a block. Default: nothing.
   */
  readonly codec?: Codec;
  /** Layers before which hidden states are to be had. Default: none. */
  readonly boundaries?: readonly number[];
}

/**
 * Binds a backend to its model's groups, keeps block tables and runs steps.
 * New blocks are filled with NaN, and so are open places once they are sealed;
 * blocks a window has left are taken out of the table before the step. Reading any
 * of these shows.
 */
export class Driver {
  readonly groups: readonly WindowGroup[];
  readonly #backend: Backend;
  readonly #vocab: number;
  readonly #options: DriverOptions;
  readonly #blocks: readonly Blocks[];

  /** Rows of a sequence in one step end at the next multiple of each of these. */
  get stepTokens(): readonly number[] {
    return this.#blocks.some((b) => b.rounds) ? [this.#options.tokens] : [];
  }

  constructor(backend: Backend, spec: ModelSpec, options: DriverOptions) {
    const { codec } = options;
    const groups = options.groups ?? windowGroups(spec, options.tokens);
    this.groups = groups.map((g) => withCodec(g, backend, spec, codec));
    this.#backend = backend;
    this.#vocab = spec.vocab;
    this.#options = options;
    this.#blocks = this.groups.map((g) => new DriveBlocks(backend, g, codec));
    backend.bind(this.groups, options.blocks, false, options.boundaries);
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
    batch.seals = 0;
    for (const { seq, from, ids } of work) {
      this.#place(seq, from, from + ids.length);
      ids.forEach((id, i) => this.#row(row++, seq, from + i, id));
    }
    // Of rows that are restored there are no logits.
    const wanted = batch.hidden?.mode === "inject" ? 0 : row;
    batch.rows = row;
    batch.wanted = wanted;
    batch.top = top;
    const result = await this.#backend.run();
    const logits = new Float32Array(wanted * this.#vocab);
    const topIds: Int32Array[] = [];
    const topLogits: Float32Array[] = [];
    for (let i = 0; i < wanted; i++) {
      logits.set(result.logits(i), i * this.#vocab);
      topIds.push(result.topIds(i).slice());
      topLogits.push(result.topLogits(i).slice());
    }
    for (const { seq, from, ids } of work) {
      this.#each((blocks, tables) =>
        blocks.commit(tables(seq), from, from + ids.length)
      );
    }
    return { logits, topIds, topLogits };
  }

  /** Makes sequence `to` share every block `from` has. */
  share(from: number, to: number): void {
    const { tables, sealed } = this.#backend.batch, { blocks } = this.#options;
    for (const table of [...tables, ...sealed]) {
      table.copyWithin(to * blocks, from * blocks, (from + 1) * blocks);
    }
  }

  /** Gives every block of every sequence back. */
  clear(): void {
    for (const blocks of this.#blocks) blocks.clear();
    const { tables, sealed } = this.#backend.batch;
    for (const table of [...tables, ...sealed]) table.fill(0);
  }

  #each(
    act: (
      blocks: Blocks,
      tables: (seq: number) => { open: Uint32Array; sealed: Uint32Array },
      g: number,
    ) => void,
  ): void {
    const { batch } = this.#backend, { blocks: stride } = this.#options;
    this.#blocks.forEach((blocks, g) => {
      const part = (table: Uint32Array, seq: number): Uint32Array =>
        table.subarray(seq * stride, (seq + 1) * stride);
      const tables = (seq: number) => ({
        open: part(batch.tables[g]!, seq),
        sealed: part(batch.sealed[g]!, seq),
      });
      act(blocks, tables, g);
    });
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
    const { tokens } = this.#options, { batch } = this.#backend;
    this.#each((blocks, tables, g) => {
      const { open, sealed } = tables(seq);
      const kept = Math.ceil(this.#sink / tokens);
      const gone = Math.floor(start(this.groups[g]!, from) / tokens);
      if (gone > kept) {
        open.fill(0, kept, gone);
        sealed.fill(0, kept, gone);
      }
      batch.seals += blocks.place({ open, sealed }, from, end);
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
}

/** A group as the plan of a cache has it: fused where the backend can. */
function withCodec(
  group: WindowGroup,
  backend: Backend,
  spec: ModelSpec,
  codec: Codec | undefined,
): WindowGroup {
  const { layers, shape } = group;
  const takes = codec !== undefined &&
    backend.kernels.some((k) =>
      layers.every((layer) => {
        const { qHeads, kvHeads, headDim } = spec.layers[layer]!;
        const heads = { layer, qHeads, kvHeads, headDim };
        return k.supports(codec.id, heads, shape.tokens).ok;
      })
    );
  const fused = group.fused ?? (takes ? codec : undefined);
  return { ...group, fused, slab: groupSlab(backend, shape, fused) };
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
        const rows = left <= decode ? 1 : Math.min(
          chunk,
          left - decode,
          stepEnd(from, driver.stepTokens) - from,
        );
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
