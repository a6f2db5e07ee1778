/**
 * What a device must offer: memory, a block layout, and one forward pass.
 *
 * @module
 */
import type { AdapterBatch } from "./adapters.ts";
import type { Allocator, Span } from "./allocator.ts";
import type { LedgerLine } from "./ledger.ts";
import type { AttendKernel, Codec, Transcoder } from "./slots.ts";
import type { BlockShape, MaybePromise } from "./types.ts";

/** Rank-0 memory. Offsets are bytes from the start of the device's address space. */
export interface DeviceMemory extends Allocator {
  /** Every span starts at a multiple of this. */
  readonly align: number;
  /** Largest single span (WebGPU: the binding limit). */
  readonly maxSpan: number;
  /** Copies `bytes` to the start of `span`. */
  write(span: Span, bytes: Uint8Array): void;
  /** Copies `span` to `out`. */
  read(span: Span, out: Uint8Array): MaybePromise<void>;
  /** Copies within the device; the spans may not overlap. */
  copy(from: Span, to: Span): void;
}

/**
 * One forward pass, written into typed arrays that are allocated once.
 *
 * A *row* is one position of one sequence. Rows of a sequence stand together
 * and ascend by position, so a chunk of a prompt is a run of rows and a
 * decoding sequence is a run of one.
 *
 * ```text
 *  row       0  1  2  3 | 4 | 5        tokens[row], positions[row]
 *  sequence  0  0  0  0 | 1 | 2        seqs[row]
 *  tables[g][seq * tableStride + b]    byte offset of block b while it is open
 *  sealed[g][seq * tableStride + b]    and of its sealed form; 0: has none
 *  starts[g][row], sinks[g][row]       the row sees [first, sink) and
 *  firsts[g][row]                      [start, position],
 *  backs[g][row]                       the former as if it stood so far back
 * ```
 * A row reads the block it stands in open. An earlier one it reads sealed, where
 * that has such a form, even if the same step fills it: the step seals it first.
 */
export interface StepBatch {
  /** Rows in use, 1 to `limits.rows`. */
  rows: number;
  /** Token of each row. */
  readonly tokens: Int32Array;
  /** Position of each row in its sequence. */
  readonly positions: Int32Array;
  /** Place of each row's sequence in `tables`. */
  readonly seqs: Int32Array;
  /** Blocks per sequence and group in `tables`. */
  readonly tableStride: number;
  /** Blocks of each sequence, by group; see the drawing. */
  readonly tables: readonly Uint32Array[];
  /** Their sealed forms, by group; all 0 where the backend seals nothing. */
  readonly sealed: readonly Uint32Array[];
  /** How many blocks the step's rows fill that have a place to be sealed to. */
  seals: number;
  /** First position each row sees after the sinks, by group. */
  readonly starts: readonly Int32Array[];
  /** Each row sees `firsts` up to, not including, `sinks` besides, by group. */
  readonly sinks: readonly Int32Array[];
  /** See `sinks`; 0 where there are none. */
  readonly firsts: readonly Int32Array[];
  /**
   * By how many positions each row's query is turned back where it meets
   * positions below its sink, by group: 0 to its position.
   */
  readonly backs: readonly Int32Array[];
  /** Rows whose logits are wanted: `wantedRows[0 .. wanted)`, ascending. */
  wanted: number;
  /** Rows whose logits are wanted. */
  readonly wantedRows: Int32Array;
  /** How many of the largest logits to find for each wanted row, 0 to `limits.top`. */
  top: number;
  /** Absent where the backend was made without adapters. */
  readonly adapters?: AdapterBatch | undefined;
  /** Absent where every block has to be on the device. */
  readonly stream?: StreamBatch | undefined;
  /** Absent where the backend was bound without boundaries. */
  readonly hidden?: HiddenBatch | undefined;
  /** Absent where the backend runs all layers in every step. */
  readonly sweep?: SweepBatch | undefined;
}

/**
 * Layer by layer: where weights stream, a prompt of several steps' rows goes through a
 * few layers as a whole before it goes on to the next, so that each is read once.
 *
 * ```text
 *  layers [edges[0], edges[1])   rows 0 … n-1, stays | n … 2n-1, stays | 2n … rest
 *  layers [edges[1], edges[2])   rows 0 … n-1, stays | …
 * ```
 * A sweep that was begun has to be brought to its end.
 */
export interface SweepBatch {
  /** Layers at which a step may begin or end: from 0 to the number of layers. */
  readonly edges: readonly number[];
  /** Values in a row. */
  readonly width: number;
  /** Layers [from, to) run in the next step, edges both. Default: all. */
  from: number;
  /** See `from`. */
  to: number;
  /** Streamed layers are not given back: the next step runs the same layers. */
  stays: boolean;
  /** The rows as they are before `from`, the caller's unless 0; after the step, before `to`. */
  readonly rows: Float32Array;
}

/**
 * Hidden states: rows of the residual stream as they are before some layers, in f32 as
 * they were computed.
 *
 * ```text
 *  layers    0 … b0-1 | b0 … b1-1 | b1 … last
 *                rows[0]     rows[1]               [row][width]
 *  keep      the step copies them there
 *  inject    the step takes them from there: of the layers between two boundaries it
 *            computes all but the last, of that no more than K and V; none is wanted
 * ```
 */
export interface HiddenBatch {
  /** Layers before which they are to be had, ascending, 1 or more. */
  readonly boundaries: readonly number[];
  /** Values in a row. */
  readonly width: number;
  /** What the next step does with them. */
  mode: "none" | "keep" | "inject";
  /** By boundary, room for `limits.rows` rows; what a step kept holds until the next. */
  readonly rows: readonly Float32Array[];
}

/**
 * Blocks that a step reads while it runs, because they do not fit on the device: for
 * groups that see everything, one layer at a time, in runs of positions.
 *
 * ```text
 *  tables, sealed    an entry with its lowest bit set is the offset, plus 1, of the
 *                    block's part of the layer within its segment
 * ```
 */
export interface StreamBatch {
  /** Positions in a segment; segments begin at its multiples. */
  readonly segmentTokens: number;
  /** How many segments, from the first one on, have such blocks; 0 for none. */
  segments: number;
  /** Brings them; there where `segments` is not 0. */
  feed: Feed | undefined;
}

/**
 * Writes one layer (its place in the group) of a segment's blocks that are not on the
 * device to `out`. What it throws is what the step rejects with.
 */
export type Feed = (
  group: number,
  layer: number,
  segment: number,
  out: Uint8Array,
) => MaybePromise<void>;

/** What a step leaves behind; views are valid until the next step. */
export interface StepResult {
  /** All logits of the i-th wanted row. */
  logits(i: number): Float32Array;
  /**
   * The `top` largest of the i-th wanted row, best first, ties by lower id; -1
   * where the vocabulary has fewer. What stands behind them means nothing.
   */
  topIds(i: number): Int32Array;
  /** The logits of `topIds(i)`. */
  topLogits(i: number): Float32Array;
}

/** Bounds the engine plans by. */
export interface BackendLimits {
  /** Rank-0 bytes there can be. */
  readonly bytes: number;
  /** Largest single span, bytes. */
  readonly maxSpan: number;
  /** Every span starts at a multiple of this. */
  readonly align: number;
  /** Most rows in one step. */
  readonly rows: number;
  /** Most sequences in one step. */
  readonly seqs: number;
  /** Most rows with logits in one step. */
  readonly wanted: number;
  /** Most logits sorted out for a row. */
  readonly top: number;
}

/**
 * How the blocks of a slab lie: cut into equal parts, the same part of all blocks
 * together, so that one layer's K of neighbouring blocks is one run of memory.
 *
 * ```text
 *  parts 2, blocks 3    | 0a 1a 2a | 0b 1b 2b |     block i begins at part i
 * ```
 * With one part, blocks lie one after another.
 */
export interface SlabLayout {
  /** Blocks in a slab. */
  readonly blocks: number;
  /** Parts of a block. */
  readonly parts: number;
}

/** A layer group of the plan, as a backend wants it; a `GroupPlan` is one. */
export interface BoundGroup {
  /** Layers of the model, in the order they lie in the group's blocks. */
  readonly layers: readonly number[];
  /** Their blocks. */
  readonly shape: BlockShape;
  /** How the backend seals full blocks and reads them; undefined: it does not. */
  readonly fused?: Codec | undefined;
  /** How its open blocks lie in slabs, where that is not the backend's own choice. */
  readonly slab?: SlabLayout | undefined;
  /** Whether its rows see everything before them; default false. */
  readonly sight?: { readonly full: boolean };
}

/**
 * Access to open blocks as values, for codecs that no kernel reads. `slab`: how the
 * blocks of the group lie; undefined where each is one run of memory.
 */
export interface OpenBlocks {
  /** The values of the block at `offset`, in the order of `rawFloats()`. */
  read(
    offset: number,
    shape: BlockShape,
    out: Float32Array,
    slab?: SlabLayout,
  ): void;
  /** Writes them, rounded to what the backend keeps. */
  write(
    offset: number,
    shape: BlockShape,
    values: Float32Array,
    slab?: SlabLayout,
  ): void;
}

/** What became of weights that come one by one, when a step asks for them. */
export interface WeightStat {
  /** How often a matrix that a step needed, or a group of them, was there. */
  readonly hits: number;
  /** How often it had to be brought. */
  readonly misses: number;
  /** What was brought, in bytes as it lies on the device. */
  readonly bytes: number;
}

/** A device that runs the model. */
export interface Backend extends AsyncDisposable {
  /** Which backend it is. */
  readonly id: "reference" | "wasm" | "webgpu";
  /** What the engine plans by. */
  readonly limits: BackendLimits;
  /** Rank-0 memory. */
  readonly memory: DeviceMemory;
  /** Attention kernels it offers. */
  readonly kernels: readonly AttendKernel[];
  /** Block encoders and decoders it offers. */
  readonly transcoders: readonly Transcoder[];
  /** Name of the format open blocks have here: "f16" or "f32". */
  readonly rawFormat: string;
  /** Bytes of one open block in this backend's layout. */
  blockBytes(shape: BlockShape): number;
  /** Whether it has hidden states between layers to give, and takes them. Default: no. */
  readonly hidden?: boolean;
  /** Absent: every codec has to have a kernel here. */
  readonly openBlocks?: OpenBlocks;
  /** How blocks lie in slabs; absent where each is one run of memory. */
  slab?(shape: BlockShape): SlabLayout;
  /**
   * Says which layers share which blocks, once, when the plan is compiled and
   * before `batch` is touched: layer `groups[g].layers[i]` is layer i of the
   * blocks in `batch.tables[g]`. Makes tables of `tableStride` blocks for each
   * sequence. `streams`: some blocks may stay away from the device (`batch.stream`).
   * `boundaries`: layers before which hidden states are wanted (`batch.hidden`).
   * Throws a TypeError where the groups do not cover each layer once with its own
   * heads.
   */
  bind(
    groups: readonly BoundGroup[],
    tableStride: number,
    streams?: boolean,
    boundaries?: readonly number[],
  ): void;
  /** Filled by the caller before each step; there once `bind()` was called. */
  readonly batch: StepBatch;
  /** Runs `batch`; K and V land in the blocks the tables name. */
  run(): Promise<StepResult>;
  /** Bytes by owner, for the ledger. */
  lines(): readonly LedgerLine[];
  /** Counted since it was made; absent, or undefined, where all weights stay or stream in turn. */
  weightStat?(): WeightStat | undefined;
}
