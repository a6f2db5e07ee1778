/**
 * The slots a plugin may contribute to, and the rule by which contributions to
 * each combine. The rule is all there is to know about how two plugins meet,
 * so the order of registration never matters.
 *
 * @module
 */
import type { Span } from "./allocator.ts";
import type { CacheStat } from "./cache_stat.ts";
import type { GenRequest } from "./scheduler_types.ts";
import type {
  BlockId,
  BlockShape,
  LayerShape,
  MaybePromise,
  SeqId,
  Support,
  TokenRange,
} from "./types.ts";

/** What a contribution may ask the executor for. */
export type Input = "tokens" | "hidden" | "scores";

/** How positions map to blocks. Rule: one per layer. */
export interface Layout {
  /** Names the layout in plans; equal ids mean equal layouts. */
  readonly id: string;
  /** Positions in a block, 1 or more. */
  readonly blockTokens: number;
  /** What `blockTokens` must be a multiple of; a plan that breaks it is refused. */
  readonly multipleOf?: number;
}

/** Bytes of a sealed block. Rule: one per (layer, tier). */
export interface Codec {
  /** The format kernels match on; "raw" is the backend's own. */
  readonly id: string;
  /** Whether opening gives other values than were sealed. */
  readonly lossy: boolean;
  /** Bytes of one sealed block. */
  bytes(shape: BlockShape): number;
  /** Encodes `raw` (see `rawFloats`); the fused device paths are Transcoders. */
  seal(shape: BlockShape, raw: Float32Array, out: Uint8Array): void;
  /** Decodes what `seal` wrote. */
  open(shape: BlockShape, sealed: Uint8Array, raw: Float32Array): void;
}

/**
 * Which positions a query may see. Rule: all, intersected.
 *
 * Mask and release rule in one, so the two cannot disagree. Law: for
 * p < L <= q, p in visible(q) implies p in visible(L). The intersection of a
 * layer's retentions must have the form [0, sink) and [start, query + 1).
 */
export interface Retention {
  /** Names the rule in plans and errors. */
  readonly id: string;
  /** What the rule is computed from, default nothing. */
  readonly inputs?: readonly Input[];
  /** Ranges the query at this position sees, itself included. */
  visible(query: number): readonly TokenRange[];
}

/** A place for sealed blocks below the device's memory. Rule: chain by rank. */
export interface Tier {
  /** Names the tier in plans and errors. */
  readonly id: string;
  /** 1 or more; rank 0 is the backend's memory. */
  readonly rank: number;
  /** Bytes. */
  readonly capacity: number;
  /** Keeps a copy of a sealed block. */
  put(
    block: BlockId,
    bytes: Uint8Array,
    signal?: AbortSignal,
  ): MaybePromise<void>;
  /** Fills `out` with what was put; "lost" when it is not whole any more. */
  get(
    block: BlockId,
    out: Uint8Array,
    signal?: AbortSignal,
  ): MaybePromise<"ok" | "lost">;
  /** Forgets a block; nothing happens when it has none. */
  drop(block: BlockId): void;
}

/** Content address to block. Knows no tiers and no codecs. Rule: one. */
export interface PrefixIndex {
  /** The block last set for a key. */
  get(key: string): BlockId | undefined;
  /** Says where the content of a key is. */
  set(key: string, block: BlockId): void;
  /** Forgets a key. */
  delete(key: string): void;
}

/** Which idle block to lose first. Rule: one, default least recently used. */
export interface Eviction {
  /** The block became idle, or was used while idle. */
  touch(block: BlockId): void;
  /** The block is in use again, or gone. */
  forget(block: BlockId): void;
  /** Cheapest to lose first. */
  victims(): Iterable<BlockId>;
}

/** A span of K and V that no tier holds any more. */
export interface Lost {
  /** Tokens from the start of the sequence to the end of the block. */
  readonly tokens: readonly number[];
  /** Positions of the block. */
  readonly range: TokenRange;
  /** Layers of the block. */
  readonly layers: readonly number[];
}

/** Rebuilds lost blocks. Rule: first that succeeds, by cost. */
export interface Restorer {
  /** Names the restorer in plans and errors. */
  readonly id: string;
  /** Seconds a block takes, about; the least is tried first. */
  readonly cost: number;
  /** What `keep()` is to be given. */
  readonly inputs?: readonly Input[];
  /** Called when a block is sealed, so that a checkpoint can be kept. */
  keep?(at: Lost, input: ReadonlyMap<Input, Float32Array>): void;
  /** Writes the block to `raw` (see `rawFloats`); false when it cannot. */
  restore(
    at: Lost,
    shape: BlockShape,
    raw: Float32Array,
  ): MaybePromise<boolean>;
}

/**
 * Device code that attends over blocks of a format. Rule: best, the lowest
 * cost per format. The backend runs it by `id`; the plan only chooses.
 */
export interface AttendKernel {
  /** Names the kernel in plans; the backend knows it by this. */
  readonly id: string;
  /** The backend this kernel runs on. */
  readonly backend: string;
  /** `format`: the backend's raw format or a codec's id. */
  supports(format: string, layer: LayerShape, blockTokens: number): Support;
}

/** Device code that turns blocks from one format to another. Rule: best. */
export interface Transcoder {
  /** Names the transcoder in plans. */
  readonly id: string;
  /** The backend it runs on. */
  readonly backend: string;
  /** Whether it turns one format into another for blocks of a shape. */
  supports(from: string, to: string, shape: BlockShape): Support;
  /** Both spans lie in the backend's memory. */
  run(from: Span, to: Span, shape: BlockShape): MaybePromise<void>;
}

/** Who runs, and who gives way. Rule: one, default first come, first served. */
export interface Admission {
  /** `waiting` ascends by arrival; the result may leave requests out for now. */
  order(
    waiting: readonly GenRequest[],
    stat: CacheStat,
  ): readonly GenRequest[];
  /** Who gives way when blocks run out; `running` ascends by arrival, never empty. */
  victim(running: readonly GenRequest[]): GenRequest;
}

/** What happens to blocks, for observers. */
export type CacheEvent =
  | {
    readonly type: "seal" | "release" | "evict" | "copy";
    readonly block: BlockId;
  }
  | { readonly type: "restore"; readonly block: BlockId; readonly by: string }
  | {
    readonly type: "move";
    readonly block: BlockId;
    readonly from: string;
    readonly to: string;
  }
  | { readonly type: "hit"; readonly seq: SeqId; readonly tokens: number };

/** Watches the cache. Rule: each; what it returns or throws changes nothing. */
export interface Observer {
  /** Called when it has happened. */
  event(e: CacheEvent): void;
}

/** Open for extension: declare your slot by merging, then call `defineSlot()`. */
export interface Slots {
  /** Tokens per block. */
  layout: Layout;
  /** Bytes of sealed blocks. */
  codec: Codec;
  /** What queries see. */
  retention: Retention;
  /** Where sealed blocks go. */
  tier: Tier;
  /** Finding blocks by content. */
  index: PrefixIndex;
  /** Which idle block to lose. */
  evict: Eviction;
  /** Rebuilding lost blocks. */
  restore: Restorer;
  /** Attention over a format. */
  kernel: AttendKernel;
  /** Turning formats into each other. */
  transcode: Transcoder;
  /** Who runs, and who gives way. */
  admission: Admission;
  /** Being told. */
  observe: Observer;
}

/** Name of a slot. */
export type SlotName = keyof Slots;

/** How several contributions to one slot combine. */
export type SlotRule = "one" | "all" | "chain" | "first" | "best" | "each";

const rules = new Map<string, SlotRule>([
  ["layout", "one"],
  ["codec", "one"],
  ["retention", "all"],
  ["tier", "chain"],
  ["index", "one"],
  ["evict", "one"],
  ["restore", "first"],
  ["kernel", "best"],
  ["transcode", "best"],
  ["admission", "one"],
  ["observe", "each"],
]);

/**
 * Adds a slot of a third party. Defining it again with the same rule is
 * allowed; with another rule it throws a TypeError.
 */
export function defineSlot<S extends SlotName>(name: S, rule: SlotRule): void {
  const old = rules.get(name);
  if (old !== undefined && old !== rule) {
    throw new TypeError(
      `Cannot define slot "${name}" with rule "${rule}": it has rule "${old}"`,
    );
  }
  rules.set(name, rule);
}

/** The rule of a slot; undefined for a name nobody defined. */
export function slotRule(name: string): SlotRule | undefined {
  return rules.get(name);
}
