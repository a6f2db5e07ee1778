/**
 * What model hubs call a tensor, and what GGUF calls it.
 *
 * ```text
 *  model.layers.3.self_attn.q_proj.weight           blk.3.attn_q.weight
 *  model.layers.3.mlp.experts.5.up_proj.weight      blk.3.ffn_up.5.weight
 *  model.layers.3.mlp.experts.gate_up_proj          blk.3.ffn_gate.0.weight, blk.3.ffn_up.0.weight, …
 * ```
 *
 * @module
 */
import type { Family } from "./families.ts";

/** Parts of a layer, without ".weight" and ".bias". */
const PARTS: Readonly<Record<string, string>> = {
  "input_layernorm": "attn_norm",
  "post_attention_layernorm": "ffn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.qkv_proj": "attn_qkv",
  "self_attn.o_proj": "attn_output",
  "self_attn.q_norm": "attn_q_norm",
  "self_attn.k_norm": "attn_k_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.gate_up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
  "mlp.gate": "ffn_gate_inp",
  "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
  "mlp.shared_expert.gate_proj": "ffn_gate_shexp",
  "mlp.shared_expert.up_proj": "ffn_up_shexp",
  "mlp.shared_expert.down_proj": "ffn_down_shexp",
  "block_sparse_moe.gate": "ffn_gate_inp",
  "block_sparse_moe.router.layer": "ffn_gate_inp",
};

/** In models that norm both halves of a block twice. */
const POST_NORMS: Readonly<Record<string, string>> = {
  "post_attention_layernorm": "post_attention_norm",
  "pre_feedforward_layernorm": "ffn_norm",
  "post_feedforward_layernorm": "post_ffw_norm",
};

/** Matrices of one expert. */
const EXPERT: Readonly<Record<string, string>> = {
  "gate_proj": "ffn_gate",
  "up_proj": "ffn_up",
  "down_proj": "ffn_down",
  "w1": "ffn_gate",
  "w3": "ffn_up",
  "w2": "ffn_down",
};

/** All experts of a layer in one tensor, and the parts stacked in each of them. */
const FUSED: Readonly<Record<string, readonly string[]>> = {
  "mlp.experts.gate_up_proj": ["ffn_gate", "ffn_up"],
  "mlp.experts.down_proj": ["ffn_down"],
  "block_sparse_moe.input_linear.weight": ["ffn_gate", "ffn_up"],
  "block_sparse_moe.output_linear.weight": ["ffn_down"],
};

/** A tensor's name in GGUF; of fused experts, a function of the expert's number. */
export type GgufName =
  | { readonly kind: "one"; readonly name: string; readonly norm: boolean }
  | {
    readonly kind: "experts";
    /** For each of the parts that follow one another in an expert's rows. */
    readonly names: readonly ((expert: number) => string)[];
  }
  /** Carries nothing a run needs. */
  | { readonly kind: "ignored" };

const IGNORED: GgufName = { kind: "ignored" };

/** Undefined for a tensor that is not known. `tied`: the output is the embedding. */
export function ggufName(
  stored: string,
  family: Family,
  tied: boolean,
): GgufName | undefined {
  if (/^(model\.)?(vision_tower|multi_modal_projector)\./.test(stored)) {
    // Of a model that sees images too: its text part runs without.
    return family.localBase === undefined ? undefined : IGNORED;
  }
  const name = stored
    .replace(/^model\.language_model\.|^language_model\.model\./, "model.")
    .replace(/^language_model\.lm_head\./, "lm_head.");
  switch (name) {
    case "model.embed_tokens.weight":
      return one("token_embd.weight");
    case "model.norm.weight":
      return one("output_norm.weight", true);
    case "lm_head.weight":
      return tied ? IGNORED : one("output.weight");
  }
  const [, layer, part] = /^model\.layers\.(\d+)\.(.+)$/.exec(name) ?? [];
  return layer === undefined || part === undefined
    ? undefined
    : ofLayer(`blk.${Number(layer)}`, part, family);
}

function ofLayer(
  block: string,
  part: string,
  { postNorms = false }: Family,
): GgufName | undefined {
  if (part === "self_attn.rotary_emb.inv_freq") return IGNORED;
  if (Object.hasOwn(FUSED, part)) {
    const names = FUSED[part]!.map((to) => (expert: number) =>
      `${block}.${to}.${expert}.weight`
    );
    return { kind: "experts", names };
  }
  const [, expert, matrix] =
    /^(?:mlp|block_sparse_moe)\.experts\.(\d+)\.(\w+)\.weight$/.exec(part) ??
      [];
  if (matrix !== undefined) {
    return Object.hasOwn(EXPERT, matrix)
      ? one(`${block}.${EXPERT[matrix]}.${Number(expert)}.weight`)
      : undefined;
  }
  const [, stem, kind] = /^(.+)\.(weight|bias)$/.exec(part) ?? [];
  if (stem === undefined) return undefined;
  const names = postNorms ? { ...PARTS, ...POST_NORMS } : PARTS;
  return Object.hasOwn(names, stem)
    ? one(`${block}.${names[stem]}.${kind}`, /norm$/.test(names[stem]!))
    : undefined;
}

function one(name: string, norm = false): GgufName {
  return { kind: "one", name, norm };
}
