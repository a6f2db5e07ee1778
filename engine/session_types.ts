/**
 * What saving and restoring take and give.
 *
 * @module
 */
import type { KVCache } from "../core/cache.ts";
import type { ChatMessage } from "../models/chat_template.ts";
import type { AdapterMark, AdapterOptions, Adapters } from "./adapters.ts";
import type { Conversation } from "./conversation.ts";
import type { Fingerprinted } from "./fingerprints.ts";
import type { SamplingOptions } from "./options.ts";
import type { SessionMark } from "./session_error.ts";

/**
 * What can be saved besides a conversation: tokens, or turns, or both, and the adapters
 * they were computed with.
 */
export interface SessionSource extends AdapterOptions {
  /**
   * Tokens as they were computed: a prompt and what was made of it. Default: those
   * of the messages.
   */
  readonly tokens?: readonly number[] | undefined;
  /** Turns of a conversation. Default: none. */
  readonly messages?: readonly ChatMessage[] | undefined;
  /**
   * How tokens were chosen, so that who restores goes on in the same way: with `seed`
   * and `drawn` exactly.
   */
  readonly sampler?: SamplingOptions | undefined;
}

/** How a session is saved. */
export interface SaveOptions {
  /**
   * Whose blocks it is to have: tenants share none. Default: the tenant of the
   * conversation's last turn, or none.
   */
  readonly tenant?: string | undefined;
  /** Stops it; the session that was there stays. */
  readonly signal?: AbortSignal | undefined;
}

/** What was saved. */
export interface SavedSession {
  /** Tokens in it. */
  readonly tokens: number;
  /** Of which so many from the start have their K and V with them. */
  readonly cachedTokens: number;
  /** Length of the file. */
  readonly bytes: number;
  /** How long it took. */
  readonly ms: number;
}

/** How a session is restored. */
export interface RestoreOptions {
  /** Whose it is from now on. Default: nobody's. */
  readonly tenant?: string | undefined;
  /**
   * Takes turns and tokens of a session that was saved with other weights or another
   * plan, and leaves K and V to be computed anew. Default false: it is refused.
   */
  readonly replay?: boolean | undefined;
  /** How long the prefix cache keeps its blocks; see `generate()`. Default 50. */
  readonly cachePriority?: number | undefined;
  /** Stops it; blocks that have come are found, and do no harm. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Why K and V of a restored session have to be computed anew: it was saved with
 * something else, some of them are damaged, or the memory has no room for them; "off"
 * where no plugin keeps an index.
 */
export type SessionLoss = "differs" | "damaged" | "full" | "off";

/** What was restored. */
export interface RestoredSession {
  /** Goes on where the saved one was; without turns where tokens alone were saved. */
  readonly conversation: Conversation;
  /** All tokens; none where a replay has another tokenizer. */
  readonly tokens: readonly number[];
  /** As it was saved. Of a conversation: how its last answer was made, if it can go on. */
  readonly sampler: SamplingOptions | undefined;
  /** Tokens whose K and V were saved. */
  readonly savedTokens: number;
  /** Of which so many from the start are found now. */
  readonly cachedTokens: number;
  /** Why not all of them. */
  readonly loss: SessionLoss | undefined;
  /** What differs from when it was saved; empty but for a replay. */
  readonly differs: readonly SessionMark[];
  /** Bytes that were read. */
  readonly bytes: number;
  /** How long it took. */
  readonly ms: number;
}

/** The engine a session is of. */
export interface SessionEngine extends Fingerprinted {
  /** The model's file. */
  readonly model: string;
  readonly cache: KVCache;
  readonly adapters: Adapters;
  /** Throws once it is closed. */
  readonly requireOpen: () => void;
}

/** All of a session but K and V. */
export interface SessionState {
  readonly messages: readonly ChatMessage[];
  readonly tokens: readonly number[];
  /** What the tokens say, where a conversation goes on from them. */
  readonly past: string;
  readonly sampler: SamplingOptions | undefined;
  /** Whether the sampler is of a conversation's last answer, which may go on. */
  readonly cut: boolean;
  /** What it was computed with. */
  readonly adapters: readonly AdapterMark[];
}
