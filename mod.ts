/**
 * Quire runs language models and manages every byte they need.
 *
 * ```ts ignore
 * import { load } from "./mod.ts";
 *
 * await using engine = await load("smollm2");
 * const messages = [{ role: "user", content: "Why is the sky blue?" }];
 * for await (const part of engine.generate({ messages })) {
 *   console.log(part.text);
 * }
 * ```
 *
 * @module
 */
export * from "./engine/calibration_file.ts";
export * from "./engine/load.ts";
export * from "./engine/options.ts";
export { SessionError, type SessionMark } from "./engine/session_error.ts";
export type {
  AdapterInfo,
  AdapterMark,
  AdapterOptions,
  AdapterUse,
} from "./engine/adapters.ts";
export type {
  RestoredSession,
  RestoreOptions,
  SavedSession,
  SaveOptions,
  SessionLoss,
  SessionSource,
} from "./engine/session_types.ts";
export type {
  Conversation,
  MoreOptions,
  TurnOptions,
} from "./engine/conversation.ts";
export type {
  EachLogitsOptions,
  Engine,
  LogitsOptions,
  MemoryReport,
  VisitLogits,
} from "./engine/engine.ts";
export type {
  EncodeOptions,
  TokenDecoder,
  Tokenizer,
} from "./models/tokenizer.ts";

export * from "./plugins/contiguous.ts";
export * from "./plugins/checkpointing.ts";
export * from "./plugins/cpu_offload.ts";
export * from "./plugins/disk_offload.ts";
export * from "./plugins/fair_share.ts";
export * from "./plugins/kv/calibration.ts";
export * from "./plugins/kv_auto.ts";
export * from "./plugins/kv_cache.ts";
export * from "./plugins/kv_f16.ts";
export * from "./plugins/kv_fp4.ts";
export * from "./plugins/kv_int4.ts";
export * from "./plugins/kv_int8.ts";
export * from "./plugins/paged_attention.ts";
export * from "./plugins/prefix_cache.ts";
export * from "./plugins/prompt_lookup.ts";
export * from "./plugins/redis_offload.ts";
export * from "./plugins/sliding_window.ts";
export * from "./plugins/weight_offload.ts";

export * from "./core/errors.ts";
export * from "./core/plugin.ts";
export * from "./core/slots.ts";
export type * from "./core/adapters.ts";
export type * from "./core/allocator.ts";
export type * from "./core/backend.ts";
export type * from "./core/cache.ts";
export type * from "./core/cache_stat.ts";
export type * from "./core/cache_types.ts";
export type * from "./core/kept_prefix.ts";
export type * from "./core/ledger.ts";
export type * from "./core/model.ts";
export type * from "./core/plan.ts";
export type * from "./core/scheduler.ts";
export type * from "./core/scheduler_types.ts";
export type * from "./core/sight.ts";
export type { StepLimits } from "./core/step_plan.ts";
export type * from "./core/types.ts";
export type * from "./core/weight_plan.ts";
