/**
 * What a config.json says of experts.
 *
 * @module
 */
import { ARCHITECTURES } from "../arch/mod.ts";
import type { Config } from "./config.ts";
import type { Family } from "./families.ts";

/** Counts of experts; how they are weighed must be as the record has it. */
export function expertsOf(
  config: Config,
  family: Family,
  set: (key: string, value: unknown) => void,
): number {
  // Two names of one thing; who writes the newer may leave out the other.
  const names = ["num_experts", "num_local_experts"];
  const own = names.filter((name) => config.has(name));
  const key = own[0] ?? names.find((name) => config.get(name) !== undefined) ??
    names[0]!;
  if (own.length === 2 && config.get(own[0]!) !== config.get(own[1]!)) {
    config.refuse(own[0]!, `what "${own[1]}" is`);
  }
  const count = config.countIfSet(key);
  if (count === undefined) return 0;
  const record = ARCHITECTURES.get(family.architecture);
  if (record?.experts === undefined) {
    config.refuse(key, "none: not supported for such models");
  }
  if (count > 1024) config.refuse(key, "at most 1024");
  set("expert_count", count);
  set("expert_used_count", config.count("num_experts_per_tok"));
  set("expert_feed_forward_length", config.countIfSet("moe_intermediate_size"));
  if (record.experts.shared) {
    const key = "shared_expert_intermediate_size";
    set("expert_shared_feed_forward_length", config.count(key));
  }
  config.only("decoder_sparse_step", [1]);
  const dense = config.get("mlp_only_layers") ?? [];
  if (!Array.isArray(dense) || dense.length > 0) {
    config.refuse("mlp_only_layers", "none: every layer with experts");
  }
  const { normalised } = record.experts;
  if (family.normKey && config.flag("norm_topk_prob") !== normalised) {
    config.refuse("norm_topk_prob", `${normalised}; another is not supported`);
  }
  return count;
}
