/**
 * The names that model hubs have for the tensors of a GGUF file, written down apart
 * from the names the other way, so that a slip in one of them shows.
 *
 * @module
 */

/** A family as its files are published. */
export interface HubFamily {
  readonly type: string;
  readonly norms: Readonly<Record<string, string>>;
  /** Of the expert's three matrices, and what stands before them. */
  readonly experts?: readonly [string, Readonly<Record<string, string>>];
  /** Norms are stored less 1. */
  readonly lessOne?: boolean;
  /** Rows of q and k are in another order in GGUF. */
  readonly reordered?: boolean;
}

const TWO_NORMS = {
  attn_norm: "input_layernorm",
  ffn_norm: "post_attention_layernorm",
  attn_q_norm: "self_attn.q_norm",
  attn_k_norm: "self_attn.k_norm",
};

const FOUR_NORMS = {
  ...TWO_NORMS,
  post_attention_norm: "post_attention_layernorm",
  ffn_norm: "pre_feedforward_layernorm",
  post_ffw_norm: "post_feedforward_layernorm",
};

const MIXTRAL = ["block_sparse_moe", {
  gate: "w1",
  down: "w2",
  up: "w3",
}] as const;

/** Families by the name of their tiny model's architecture, or a longer one. */
export const HUB_FAMILIES: Readonly<Record<string, HubFamily>> = {
  llama: { type: "llama", norms: TWO_NORMS, reordered: true },
  mistral: { type: "mistral", norms: TWO_NORMS, reordered: true },
  mixtral: {
    type: "mixtral",
    norms: TWO_NORMS,
    experts: MIXTRAL,
    reordered: true,
  },
  qwen2: { type: "qwen2", norms: TWO_NORMS },
  qwen3: { type: "qwen3", norms: TWO_NORMS },
  phi3: { type: "phi3", norms: TWO_NORMS },
  gemma2: { type: "gemma2", norms: FOUR_NORMS, lessOne: true },
  gemma3: { type: "gemma3_text", norms: FOUR_NORMS, lessOne: true },
};

const MATRICES: Readonly<Record<string, string>> = {
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_qkv: "self_attn.qkv_proj",
  attn_output: "self_attn.o_proj",
  ffn_gate: "mlp.gate_proj",
  ffn_down: "mlp.down_proj",
};

/** The hub's name of a tensor that is no expert's; undefined where it has none. */
export function hubName(
  name: string,
  { type, norms, experts }: HubFamily,
): string | undefined {
  const top: Readonly<Record<string, string>> = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
  };
  const [, layer, part, kind] = /^blk\.(\d+)\.(\w+)\.(weight|bias)$/
    .exec(name) ?? [];
  if (part === undefined) return top[name];
  const up = type === "phi3" ? "mlp.gate_up_proj" : "mlp.up_proj";
  const others: Readonly<Record<string, string>> = {
    ffn_up: up,
    ffn_gate_inp: `${experts?.[0] ?? "mlp"}.gate`,
  };
  const inner = norms[part] ?? MATRICES[part] ?? others[part];
  return inner && `model.layers.${layer}.${inner}.${kind}`;
}
