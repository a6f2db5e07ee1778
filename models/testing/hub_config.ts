/**
 * The config.json that a GGUF model would have been published with.
 *
 * @module
 */
import type { ModelFile } from "../model_file.ts";
import type { HubFamily } from "./hub_names.ts";

/** How the config is written. */
export interface ConfigStyle {
  /** As transformers 5 writes it: `rope_parameters`, `layer_types`. */
  readonly recent?: boolean;
}

/** What the tiny models' factors of Llama 3 were made with. */
const LLAMA3 = {
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 256,
};

/** The config as an object, to be written as JSON. */
export function hubConfig(
  { metadata, tensors }: ModelFile,
  family: HubFamily,
  { recent = false }: ConfigStyle = {},
): Record<string, unknown> {
  const arch = String(metadata["general.architecture"]);
  const get = (key: string): unknown => metadata[`${arch}.${key}`];
  const layers = Number(get("block_count")), { type } = family;
  const gemma = type.startsWith("gemma");
  const config: Record<string, unknown> = {
    architectures: ["SomethingForCausalLM"],
    model_type: type,
    hidden_size: get("embedding_length"),
    intermediate_size: get("feed_forward_length"),
    num_hidden_layers: layers,
    num_attention_heads: get("attention.head_count"),
    num_key_value_heads: get("attention.head_count_kv"),
    max_position_embeddings: get("context_length"),
    rms_norm_eps: get("attention.layer_norm_rms_epsilon"),
    vocab_size: tensors.get("token_embd.weight")!.outputs,
    tie_word_embeddings: !tensors.has("output.weight"),
    torch_dtype: "float32",
    use_cache: true,
    [gemma ? "hidden_activation" : "hidden_act"]: gemma
      ? "gelu_pytorch_tanh"
      : "silu",
  };
  const set = (key: string, value: unknown) => {
    if (value !== undefined) config[key] = value;
  };
  // Absent where heads share the hidden size, which not all of these models do.
  set("head_dim", get("attention.key_length") ?? get("rope.dimension_count"));
  set("sliding_window", get("attention.sliding_window") ?? null);
  set("num_local_experts", get("expert_count"));
  set("num_experts_per_tok", get("expert_used_count"));
  if (gemma) set("query_pre_attn_scalar", config["head_dim"]);
  for (const key of ["attn_logit_softcapping", "final_logit_softcapping"]) {
    set(key, get(key));
  }
  if (type.startsWith("gemma") && recent) {
    const period = type === "gemma2" ? 2 : 6;
    config["layer_types"] = Array.from(
      { length: layers },
      (_, i) => (i + 1) % period === 0 ? "full_attention" : "sliding_attention",
    );
  }
  return { ...config, ...ropeKeys(metadata, tensors, type, recent) };
}

function ropeKeys(
  metadata: ModelFile["metadata"],
  tensors: ModelFile["tensors"],
  type: string,
  recent: boolean,
): Record<string, unknown> {
  const arch = String(metadata["general.architecture"]);
  const theta = metadata[`${arch}.rope.freq_base`] ?? 10_000;
  const factor = metadata[`${arch}.rope.scaling.factor`];
  const scaling = tensors.has("rope_freqs.weight")
    ? { rope_type: "llama3", ...LLAMA3 }
    : factor === undefined
    ? undefined
    : { rope_type: "linear", factor };
  if (!recent) {
    const local = type.startsWith("gemma3")
      ? { rope_local_base_freq: 1e4 }
      : {};
    return { rope_theta: theta, rope_scaling: scaling ?? null, ...local };
  }
  const full = { ...scaling ?? { rope_type: "default" }, rope_theta: theta };
  const parameters = type.startsWith("gemma3")
    ? {
      full_attention: full,
      sliding_attention: { rope_type: "default", rope_theta: 10_000 },
    }
    : full;
  return { rope_parameters: parameters };
}
