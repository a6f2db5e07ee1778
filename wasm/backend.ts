/**
 * The CPU backend: AssemblyScript SIMD kernels run by workers over one shared
 * memory.
 *
 * @module
 */
import type { Adapter, AdapterBatch } from "../core/adapters.ts";
import type {
  Backend,
  BackendLimits,
  BoundGroup,
  OpenBlocks,
  SlabLayout,
  StepBatch,
  StepResult,
  WeightStat,
} from "../core/backend.ts";
import type { LedgerLine } from "../core/ledger.ts";
import { rmsNorm } from "../core/reference/rms_norm.ts";
import type { ModelSpec } from "../core/model.ts";
import type { PlanBackend } from "../core/plan.ts";
import type { AttendKernel, Transcoder } from "../core/slots.ts";
import type { BlockShape } from "../core/types.ts";
import type { WeightPlan } from "../core/weight_plan.ts";
import { edgesOf, LayerParts, partWordBytes } from "./boundaries.ts";
import { writeGrids } from "./books.ts";
import { bestBuild, type KernelBuild, kernelModule } from "./binary.ts";
import { CONSTANT_BYTES } from "./constants.ts";
import { Feeders } from "./feeders.ts";
import { MOST_BLOCK_TOKENS, wasmFormats } from "./formats.ts";
import { wasmLimits } from "./limits.ts";
import { placeWeights, type Weights } from "./load.ts";
import {
  LoraTables,
  placeAdapters,
  type PlacedAdapters,
  readAdapters,
  takeLora,
} from "./lora.ts";
import { MAX_BYTES, WasmMemory } from "./memory.ts";
import { openBlocks } from "./open_blocks.ts";
import { takePlaces, takeRopes, TOP } from "./places.ts";
import { readWeights, takeFeeding } from "./read_weights.ts";
import { compileProgram, type Places, programBytes } from "./program.ts";
import { NEXT_WORD, RECORD_BYTES } from "./records.ts";
import { ringLines } from "./ring.ts";
import { type Extent, extentOf, Space, SPREAD_ROWS } from "./space.ts";
import { boundariesOf, placeSealed } from "./sealed_layers.ts";
import { BlockStream, placeRing } from "./stream.ts";
import { checkWidths } from "./widths.ts";
import { CONTROL_BYTES, Workers } from "./workers.ts";

/** Settings of the CPU backend. */
export interface WasmOptions {
  readonly spec: ModelSpec;
  /** The model's files, as `TensorInfo.file` counts them. */
  readonly paths: readonly string[];
  /** Compute workers. Default: the machine's cores. */
  readonly threads?: number | undefined;
  /** Most positions of a sequence. */
  readonly context: number;
  /** Rank-0 bytes. Default and most: 4 GiB. */
  readonly bytes?: number | undefined;
  /** Most rows in one step. Default 256. */
  readonly rows?: number | undefined;
  /** Most sequences in one step. Default 64. */
  readonly seqs?: number | undefined;
  /** Most rows with logits in one step. Default 64. */
  readonly wanted?: number | undefined;
  /** Weights, activations, K and V in f32. */
  readonly exact?: boolean | undefined;
  /** Which layers are streamed. Default: none. */
  readonly weights?: WeightPlan | undefined;
  /** What requests may add to the model. Default: nothing. */
  readonly adapters?: readonly Adapter[] | undefined;
  /** Default: what the machine runs. */
  readonly build?: KernelBuild | undefined;
  /** How products are summed, for tests; default by probe. See assembly/lanes.ts. */
  readonly mode?: number | undefined;
  /** Looks an idle worker takes before it sleeps. */
  readonly spins?: number | undefined;
  /** Called once the workers are reading, with this thread idle; what it throws stops the load. */
  readonly onStarted?: (() => void) | undefined;
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Loads a model's weights and starts the workers.
 *
 * Throws a `ModelError` for widths the kernels cannot lay out, a `NoRoom` where
 * the weights or activations exceed `bytes`, an Error
 * with the worker's cause where reading fails, and the signal's reason.
 */
export async function createWasm(options: WasmOptions): Promise<WasmBackend> {
  const { spec, context, exact = false, signal } = options;
  signal?.throwIfAborted();
  checkWidths(options.paths[0] ?? spec.id, spec);
  const threads = options.threads ?? navigator.hardwareConcurrency;
  const memory = new WasmMemory(options.bytes ?? MAX_BYTES);
  const limits = wasmLimits(options);
  const extent = extentOf(spec, limits, context);
  const space = new Space(memory);
  const control = space.take("workspace", "control", CONTROL_BYTES);
  const scratch = space.take(
    "workspace",
    "attention scratch",
    extent.scratch * threads,
  );
  writeGrids(
    memory.memory,
    [...spec.tensors.values()].map((tensor) => tensor.type),
  );
  const weights = placeWeights(spec, memory, exact, options.weights);
  const adapters = placeAdapters(options.adapters ?? [], space);
  const feeding = takeFeeding(space, weights);
  const build = options.build ?? bestBuild();
  const module = await kernelModule(build);
  const workers = await Workers.start({
    module,
    memory: memory.memory,
    threads,
    control,
    scratch: Array.from(
      { length: threads },
      (_, i) => scratch + i * extent.scratch,
    ),
    mode: options.mode ?? -1,
    spins: options.spins ?? 2000,
    shared: feeding !== undefined,
  });
  let feeders: Feeders | undefined;
  try {
    await readWeights(options, memory, workers, weights, threads);
    await readAdapters(adapters, memory, signal);
    if (feeding !== undefined) {
      const { paths } = options;
      const shared = { module, memory: memory.memory, paths };
      feeders = await Feeders.start({ ...shared, ...feeding });
    }
  } catch (error) {
    await workers.close();
    throw error;
  }
  return new WasmBackend(options, {
    memory,
    limits,
    extent,
    space,
    weights,
    adapters,
    workers,
    feeders,
    ringWords: feeding?.words ?? 0,
    scratch,
    build,
    threads,
  });
}

interface Parts {
  readonly memory: WasmMemory;
  readonly limits: BackendLimits;
  readonly extent: Extent;
  readonly space: Space;
  readonly weights: Weights;
  readonly adapters: PlacedAdapters;
  readonly workers: Workers;
  /** Where layers are streamed. */
  readonly feeders: Feeders | undefined;
  readonly ringWords: number;
  readonly scratch: number;
  readonly build: KernelBuild;
  readonly threads: number;
}

/** See {@linkcode Backend}; made by {@linkcode createWasm}. */
export class WasmBackend implements Backend {
  readonly id = "wasm";
  readonly limits: BackendLimits;
  readonly memory: WasmMemory;
  readonly kernels: readonly AttendKernel[];
  readonly transcoders: readonly Transcoder[] = [];
  readonly rawFormat: string;
  readonly hidden = true;
  readonly openBlocks: OpenBlocks;
  readonly build: KernelBuild;
  readonly threads: number;
  readonly #options: WasmOptions;
  readonly #parts: Parts;
  readonly #size: number;
  readonly #formats: PlanBackend;
  #batch: StepBatch | undefined;
  #stream: BlockStream | undefined;
  #places: Places | undefined;
  #program = 0;
  #layers: LayerParts | undefined;
  #adapters: ReturnType<LoraTables["batch"]> | undefined;
  #records: Int32Array = new Int32Array(0);
  #words: Int32Array = new Int32Array(0);
  #tiles: Int32Array = new Int32Array(0);
  /** Tokens in the blocks of sealed groups. */
  #boundaries: readonly number[] = [];
  readonly #result: StepResult;
  #topIds: Int32Array[] = [];
  #topValues: Float32Array[] = [];
  #logits: Float32Array[] = [];

  constructor(options: WasmOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
    this.limits = parts.limits;
    this.memory = parts.memory;
    this.build = parts.build;
    this.threads = parts.threads;
    this.#size = options.exact ? 4 : 2;
    this.#formats = wasmFormats(options.exact ?? false, parts.limits);
    this.rawFormat = this.#formats.rawFormat;
    this.kernels = this.#formats.kernels;
    this.openBlocks = openBlocks(parts.memory, this.#size);
    this.#result = {
      logits: (i) => this.#logits[i]!,
      topIds: (i) => this.#topIds[i]!,
      topLogits: (i) => this.#topValues[i]!,
      state: (row, out) => this.#state(row, out),
    };
  }

  blockBytes(shape: BlockShape): number {
    return this.#formats.blockBytes(shape);
  }

  slab(shape: BlockShape): SlabLayout {
    return this.#formats.slab!(shape);
  }

  bind(
    groups: readonly BoundGroup[],
    tableStride: number,
    streams = false,
    boundaries: readonly number[] = [],
  ): void {
    if (this.#batch !== undefined) {
      throw new TypeError("Cannot bind the backend twice");
    }
    const { spec } = this.#options;
    checkGroups(spec, groups);
    const parts = { ...this.#parts, spec };
    const places = takePlaces(
      parts,
      groups,
      tableStride,
      boundaries.length,
    );
    const ropes = takeRopes(parts, parts.weights, this.#options.context);
    this.#words = this.memory.i32(places.rows, 6);
    this.#tiles = this.memory.i32(places.tiles, parts.extent.rows * 2);
    const base = this.#parts.space.take(
      "workspace",
      "step program",
      programBytes(spec, this.#parts.adapters.count),
    );
    const { adapters, space, limits, extent } = this.#parts;
    const lora = takeLora(adapters, spec, space, limits, extent);
    const tables = lora &&
      new LoraTables(adapters, lora, this.memory, places.seqs);
    this.#adapters = tables?.batch(this.memory, limits.seqs);
    placeSealed(parts, groups, places, this.#size);
    this.#boundaries = boundariesOf(groups);
    const ring = streams
      ? placeRing(parts, groups, ({ shape }) => this.blockBytes(shape))
      : undefined;
    if (ring !== undefined) this.#stream = new BlockStream(ring);
    const layers = spec.layers.length;
    const { ring: slots } = this.#parts.weights;
    const streamed = slots?.most === undefined ? slots?.layers ?? [] : [];
    const edges = edgesOf(streamed.map((l) => l.layer), layers);
    const { records, targets } = compileProgram({
      base,
      spec,
      weights: this.#parts.weights,
      groups: groups.map((g) => ({ ...g, slab: g.slab ?? this.slab(g.shape) })),
      places,
      ropes,
      extent: this.#parts.extent,
      tableStride,
      size: this.#size,
      most: TOP,
      streams: ring?.layers,
      ringWords: this.#parts.ringWords,
      boundaries,
      edges,
      lora: tables,
    });
    const words = this.memory.i32(places.parts, partWordBytes(layers) / 4);
    this.#layers = new LayerParts(words, targets, layers);
    this.#records = this.memory.i32(base, records.bytes / 4);
    records.write(this.#records);
    this.#program = base;
    this.#places = places;
    this.#batch = this.#makeBatch(
      places,
      groups.length,
      tableStride,
      boundaries,
      edges,
    );
  }

  /** Address of the step program, for profiles. */
  get program(): number {
    return this.#program;
  }

  get batch(): StepBatch {
    if (this.#batch === undefined) {
      throw new TypeError('Cannot use the batch before "bind"');
    }
    return this.#batch;
  }

  run(): Promise<StepResult> {
    this.prepare();
    const { workers, feeders } = this.#parts, stream = this.#stream;
    const step = workers.run(this.#program);
    if (feeders === undefined && !stream?.batch.segments) {
      return step.then(() => this.#result);
    }
    const fed = stream?.run();
    fed?.catch(() => {});
    // Nothing is waited for that the step has not waited for.
    return step.finally(() => stream?.end()).then(async () => {
      if (feeders?.failed) throw await feeders.failure();
      await fed;
      return this.#result;
    });
  }

  /** Writes what of the batch is not in shared memory already. */
  prepare(): void {
    const batch = this.batch, words = this.#words;
    words[0] = batch.rows;
    words[1] = batch.wanted;
    words[2] = Math.min(batch.top, this.limits.top);
    words[3] = this.#cutTiles(batch);
    words[4] = batch.rows <= SPREAD_ROWS ? 1 : 0;
    words[5] = batch.seals;
    // What reads blocks from elsewhere counts on every layer to do so.
    const ends = batch.wanted === 0 && !batch.states &&
      !batch.stream?.segments;
    this.#layers!.prepare(batch.hidden, batch.sweep, ends);
    this.#stream?.prepare();
    this.#adapters?.flush();
    const records = this.#records, size = RECORD_BYTES / 4;
    for (let i = NEXT_WORD; i < records.length; i += size) records[i] = 0;
  }

  /**
   * Pairs (first row, rows) of one sequence each, in one block of every sealed
   * group; returns how many.
   */
  #cutTiles({ rows, seqs, positions }: StepBatch): number {
    const most = this.#parts.extent.tileRows, tiles = this.#tiles;
    const boundaries = this.#boundaries;
    let n = 0;
    for (let row = 0; row < rows;) {
      let end = row + 1;
      while (
        end < rows && end - row < most && seqs[end] === seqs[row] &&
        !begins(boundaries, positions[end]!)
      ) end++;
      tiles[n++] = row;
      tiles[n++] = end - row;
      row = end;
    }
    return n / 2;
  }

  #makeBatch(
    at: Places,
    groups: number,
    tableStride: number,
    boundaries: readonly number[],
    edges: readonly number[],
  ): StepBatch {
    const { memory, limits } = this, width = this.#options.spec.hidden;
    const { wanted, vocab } = this.#parts.extent;
    // The memory may hold what loading left behind.
    const rows = (p: number): Int32Array => memory.i32(p, limits.rows).fill(0);
    for (let i = 0; i < wanted; i++) {
      this.#topIds.push(memory.i32(at.topIds + i * TOP * 4, TOP));
      this.#topValues.push(memory.f32(at.topValues + i * TOP * 4, TOP));
      this.#logits.push(
        memory.f32(at.logits + i * vocab * 4, this.#options.spec.vocab),
      );
    }
    return {
      rows: 0,
      tokens: rows(at.tokens),
      positions: rows(at.positions),
      seqs: rows(at.seqs),
      tableStride,
      tables: at.tables.slice(0, groups).map((p) =>
        memory.u32(p, limits.seqs * tableStride).fill(0)
      ),
      sealed: at.sealed.slice(0, groups).map((p) =>
        memory.u32(p, p === 0 ? 0 : limits.seqs * tableStride).fill(0)
      ),
      seals: 0,
      starts: at.starts.map(rows),
      sinks: at.sinks.map(rows),
      firsts: at.firsts.map(rows),
      backs: at.backs.map(rows),
      wanted: 0,
      wantedRows: memory.i32(at.wantedRows, limits.wanted).fill(0),
      top: 0,
      adapters: this.#adapters satisfies AdapterBatch | undefined,
      stream: this.#stream?.batch,
      hidden: boundaries.length === 0 ? undefined : {
        boundaries,
        width,
        mode: "none",
        rows: at.kept.map((p) => memory.f32(p, limits.rows * width)),
      },
      sweep: edges.length === 0 ? undefined : {
        edges,
        width,
        from: 0,
        to: this.#options.spec.layers.length,
        stays: false,
        rows: memory.f32(at.x, limits.rows * width),
      },
    };
  }

  #state(row: number, out: Float32Array): void {
    const { hidden, outputNorm, normEps } = this.#options.spec;
    const { memory, weights } = this.#parts;
    const x = memory.f32(this.#places!.x + row * hidden * 4, hidden);
    const weight = memory.f32(weights.vectors.get(outputNorm)!, hidden);
    rmsNorm(x, weight, normEps, out);
  }

  lines(): readonly LedgerLine[] {
    const { space, weights } = this.#parts;
    const line = (e: Omit<LedgerLine, "tier" | "peak">): LedgerLine => ({
      tier: "device",
      peak: e.bytes,
      ...e,
    });
    return [
      line({ owner: "weights", component: "model", bytes: weights.bytes }),
      line({
        owner: "workspace",
        component: "constants",
        bytes: CONSTANT_BYTES,
      }),
      ...space.entries().map(line),
      ...ringLines(weights.ring),
    ];
  }

  weightStat(): WeightStat | undefined {
    return this.#parts.feeders?.stat();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { workers, feeders } = this.#parts;
    // A step ends at the first layer that is not in.
    feeders?.halt();
    this.#stream?.close();
    await workers.close();
    await feeders?.close();
  }
}

/** Whether a block begins at a position. */
function begins(boundaries: readonly number[], position: number): boolean {
  for (let i = 0; i < boundaries.length; i++) {
    if (position % boundaries[i]! === 0) return true;
  }
  return false;
}

function checkGroups(spec: ModelSpec, groups: readonly BoundGroup[]): void {
  spec.layers.forEach((layer, i) => {
    const owners = groups.filter((g) => g.layers.includes(i));
    const shape = owners[0]?.shape;
    if (
      owners.length !== 1 || shape!.kvHeads !== layer.kvHeads ||
      shape!.headDim !== layer.headDim || shape!.tokens % 8 !== 0 ||
      shape!.tokens > MOST_BLOCK_TOKENS
    ) {
      throw new TypeError(
        `Cannot bind layer ${i}: one group with ${layer.kvHeads} K/V heads of ${layer.headDim} and a multiple of 8 tokens wanted, got ${
          JSON.stringify(owners.map((g) => g.shape))
        }`,
      );
    }
  });
}
