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
import type { WeightPlacement } from "./weight_plan.ts";

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
  /**
   * Sizes that will do as well, in this order, where no kernel takes blocks of
   * `blockTokens`. Without any, the plan is refused there.
   */
  readonly alternatives?: readonly number[];
}

/**
 * Bytes of a sealed block. Rule: one per (layer, tier).
 *
 * A query reads the block it stands in as it was computed, and earlier ones as
 * they are when opened, however prompts are cut into steps.
 */
export interface Codec {
  /** The format kernels match on; "raw" is the backend's own. */
  readonly id: string;
  /** Whether opening gives other values than were sealed. */
  readonly lossy: boolean;
  /**
   * Tokens in a block from which on it is as small and as fast as it says. A layout
   * that has alternatives takes as many. Default: any.
   */
  readonly blockTokens?: number;
  /** First blocks of a sequence that stay open. Default 0. */
  readonly keepFirst?: number;
  /** Whether it takes such blocks, default any. A plan that asks for others is refused. */
  supports?(layer: LayerShape, blockTokens: number): Support;
  /** Bytes of one sealed block. */
  bytes(shape: BlockShape): number;
  /** Encodes `raw` (see `rawFloats`); the plain form of what kernels do. */
  seal(shape: BlockShape, raw: Float32Array, out: Uint8Array): void;
  /** Decodes what `seal` wrote. */
  open(shape: BlockShape, sealed: Uint8Array, raw: Float32Array): void;
  /**
   * What is taken from every K of a layer of the model before it is coded, [head]
   * [dim]; kernels need to know. It changes no softmax. Default: nothing.
   */
  centre?(layer: number): Float32Array | undefined;
}

/**
 * Which positions a query may see. Rule: all, intersected.
 *
 * Mask and release rule in one, so the two cannot disagree. Law: for
 * p < L <= q, p in visible(q) implies p in visible(L). The intersection of a
 * layer's retentions must have the form [first, sink) and [start, query + 1).
 */
export interface Retention {
  /** Names the rule in plans and errors. */
  readonly id: string;
  /** What the rule is computed from, default nothing. */
  readonly inputs?: readonly Input[];
  /**
   * Most positions there may be from the first one to a query, as far as sinks
   * are concerned: a query at p sees them as if it stood at min(p, reach - 1),
   * so that no distance is larger than the model was trained for. Default: none.
   * The least of a layer's retentions holds.
   */
  readonly reach?: number;
  /** Ranges the query at this position sees, itself included. */
  visible(query: number): readonly TokenRange[];
}

/** A place for blocks below the device's memory. Rule: chain by rank. */
export interface Tier {
  /** Names the tier in plans and errors. */
  readonly id: string;
  /** 1 or more; rank 0 is the backend's memory. */
  readonly rank: number;
  /** Bytes. */
  readonly capacity: number;
  /**
   * Keeps a block; `bytes` are the tier's own from now on. What it cannot keep it
   * may forget: that block is "lost" then.
   */
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
  /**
   * A block's bytes where they are, for tiers in memory: read at once, never changed.
   * Undefined: ask `get`.
   */
  view?(block: BlockId): Uint8Array | undefined;
  /**
   * Fills `out` with the bytes of a block from `at` on. With it, sequences whose
   * blocks do not fit on the device at once are read from here while a step runs.
   */
  slice?(
    block: BlockId,
    at: number,
    out: Uint8Array,
  ): MaybePromise<"ok" | "lost">;
  /** Blocks that can be found again by what they hold; absent: none can. */
  readonly content?: ContentStore;
}

/** A tier's blocks by their content keys, which say everything the bytes depend on. */
export interface ContentStore {
  /**
   * When a block is given to it: as soon as it is full, so that others can find it
   * whatever becomes of this engine; or when the device gives it up.
   */
  readonly when: "full" | "leaving";
  /** Bytes of what it keeps, for the ledger; absent where it cannot say. */
  readonly used?: number;
  /**
   * Keeps a block; `bytes` are the store's own from now on. It makes room by
   * forgetting others, and may forget this one. A key that it has already is left
   * as it is.
   */
  keep(key: string, bytes: Uint8Array, about: Sought): MaybePromise<void>;
  /** Which of `keys` are there: 1 or 0 for each, in one look however many they are. */
  find(keys: readonly string[], about: Sought): MaybePromise<Uint8Array>;
  /** Fills `out` with a block's bytes; "lost" when they are not there, or not whole. */
  read(
    key: string,
    out: Uint8Array,
    about: Sought,
  ): MaybePromise<"ok" | "lost">;
  /** As `Tier.view()`; it counts as a use. */
  view?(key: string): Uint8Array | undefined;
}

/** Whose blocks a `ContentStore` is asked for, and what they are worth. */
export interface Sought {
  /** Of the request; part of the keys already, for stores that want to see it. */
  readonly salt: string;
  /** Positions that need not be computed where all of it is there. */
  readonly tokens: number;
  /** The plan's fingerprint, likewise part of the keys. */
  readonly fingerprint: string;
}

/** What an index is told of a block beside its key. Holds during the call only. */
export interface BlockContent {
  /** Key of the block before it; "" for the first of a sequence. */
  readonly parent: string;
  /** The sequence's tokens from its start; the block's are `tokens[from .. to)`. */
  readonly tokens: ArrayLike<number>;
  /** Position of its first token. */
  readonly from: number;
  /** One past its last. */
  readonly to: number;
  /** The layer group it belongs to; groups have keys of their own. */
  readonly group: number;
  /** Whether later blocks are of no use without it: false in windowed groups. */
  readonly chained: boolean;
  /** Of the request that computed it. */
  readonly priority: number;
  /** Of the request; blocks of different salts never have a key in common. */
  readonly salt: string;
}

/** Content address to block. Knows no tiers and no codecs. Rule: one. */
export interface PrefixIndex {
  /** The block last set for a key. */
  get(key: string): BlockId | undefined;
  /** Says where the content of a key is. */
  set(key: string, block: BlockId, content: BlockContent): void;
  /** Forgets a key. */
  delete(key: string): void;
  /** A sequence of this priority uses the block; it may be worth more from now on. */
  use?(block: BlockId, priority: number): void;
  /**
   * Why `key` is not there, for the block with this content. Called once for a
   * prompt, with the first block that is missing.
   */
  why?(key: string, content: BlockContent): Omit<Miss, "group" | "block">;
}

/** Why more of a prompt was not found. */
export type MissReason =
  /** Nothing more could be shared: it has no further whole block before its last token. */
  | "short"
  /** Blocks with other tokens follow the same start. */
  | "differs"
  /** Nothing was ever cached there. */
  | "unseen"
  /** It was there and made room for others. */
  | "evicted"
  /** Another tenant has it. Not for tenants' eyes: it tells what others asked. */
  | "salted"
  /** It is there as computed with other adapters, or without any. */
  | "adapters"
  /** The request asked for logits of its prompt, so all of it is computed. */
  | "unwanted"
  /** No plugin keeps an index. */
  | "off";

/** Where the search for a prompt's blocks ended. */
export interface Miss {
  /** What kept it from being found. */
  readonly reason: MissReason;
  /** The first position whose K and V have to be computed for this reason. */
  readonly position: number;
  /** The block in question, counted from the start of the prompt. */
  readonly block: number;
  /** The layer group that lacks it. */
  readonly group: number;
}

/** Which idle block to lose first. Rule: one, default least recently used. */
export interface Eviction {
  /** Most bytes of idle blocks that are kept. Default: all that memory holds. */
  readonly mostBytes?: number;
  /** The block became idle, or was used while idle. */
  touch(block: BlockId): void;
  /** The block is in use again, or gone. */
  forget(block: BlockId): void;
  /** Cheapest to lose first. */
  victims(): Iterable<BlockId>;
}

/**
 * Keeps hidden states, from which K and V are computed again where they are gone. Rule:
 * one.
 *
 * The executor hands it the rows of a block once that is full, and asks for them when
 * somebody needs the block's K and V: the layers between two boundaries are computed
 * from the rows before the first of them, so more boundaries are more bytes and less
 * time.
 */
export interface Restorer {
  /** Names the restorer in plans and in the ledger. */
  readonly id: string;
  /**
   * Layers before which it wants hidden states, ascending, 1 or more. None: K and V
   * are computed from tokens.
   */
  readonly boundaries: readonly number[];
  /** Bytes it holds now. */
  readonly used: number;
  /** Most bytes it holds. */
  readonly capacity: number;
  /**
   * Keeps rows, [boundary][token][value]; they are its own from now on. It makes room
   * by forgetting others, and may forget these. A key that it has is left as it is.
   */
  keep(key: string, rows: Float32Array): void;
  /** Whether it has what was kept for a key; somebody may want that soon. */
  has(key: string): boolean;
  /**
   * What was kept, for reading, until the next call of `keep()`; undefined where it is
   * not there, or not whole any more.
   */
  get(key: string): Float32Array | undefined;
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

/**
 * Guesses what follows, to be checked in one step. Rule: one. A guess changes
 * no token, only how many steps they take.
 */
export interface Drafter {
  /** Names the drafter in plans. */
  readonly id: string;
  /** Most tokens guessed at once, 1 or more. */
  readonly most: number;
  /**
   * Writes up to `room` guesses of what follows `tokens[0 .. length)` to
   * `tokens[length ..]` and returns how many. Runs for every token: it must not
   * allocate.
   */
  propose(tokens: Int32Array, length: number, room: number): number;
}

/** Who runs, and who gives way. Rule: one, default by priority, then by arrival. */
export interface Admission {
  /** `waiting` ascends by arrival; the result may leave requests out for now. */
  order(
    waiting: readonly GenRequest[],
    stat: CacheStat,
  ): readonly GenRequest[];
  /** Who gives way when blocks run out; `running` ascends by arrival, never empty. */
  victim(running: readonly GenRequest[]): GenRequest;
  /** `rows` more positions of a request were computed. Called every step. */
  served?(request: GenRequest, rows: number): void;
}

/** What happens to blocks and to those who use them, for observers. */
export type CacheEvent =
  | {
    readonly type: "seal" | "release" | "evict" | "copy";
    readonly block: BlockId;
  }
  | { readonly type: "fork"; readonly seq: SeqId; readonly from: SeqId }
  | { readonly type: "preempt"; readonly id: string }
  | { readonly type: "miss"; readonly seq: SeqId; readonly miss: Miss }
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
  /** Keeping hidden states. */
  restore: Restorer;
  /** Guessing tokens. */
  draft: Drafter;
  /** Where weights are. */
  weights: WeightPlacement;
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
  ["restore", "one"],
  ["draft", "one"],
  ["weights", "one"],
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
