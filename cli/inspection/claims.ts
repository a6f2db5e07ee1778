/**
 * What a file says of itself in its metadata, believed as far as it is a number or
 * a text: all there is to show of a model that cannot be run.
 *
 * @module
 */
import type { ModelFile } from "../../models/model_file.ts";

/** Null: not said, or not in a way that is understood. */
export interface Claims {
  readonly name: string | null;
  readonly architecture: string | null;
  readonly licence: string | null;
  readonly context: number | null;
  readonly hidden: number | null;
  readonly layers: number | null;
  readonly heads: number | null;
  readonly kvHeads: number | null;
  readonly headDim: number | null;
  readonly window: number | null;
  readonly vocabulary: number | null;
  readonly experts: { readonly count: number; readonly used: number } | null;
  readonly tokenizer: string | null;
  readonly template: string | null;
}

/** Reads them. */
export function claimsOf({ metadata, vocabulary, tensors }: ModelFile): Claims {
  const text = (key: string): string | null => {
    const value = metadata[key];
    return typeof value === "string" ? value : null;
  };
  const architecture = text("general.architecture");
  const count = (key: string): number | null => {
    const value = metadata[`${architecture}.${key}`];
    return typeof value === "number" && Number.isInteger(value) && value > 0
      ? value
      : null;
  };
  const hidden = count("embedding_length");
  const heads = count("attention.head_count");
  const shared = hidden !== null && heads !== null && hidden % heads === 0
    ? hidden / heads
    : null;
  const experts = count("expert_count");
  const kind = text("tokenizer.ggml.model"), pre = text("tokenizer.ggml.pre");
  return {
    name: text("general.name"),
    architecture,
    licence: text("general.license"),
    context: count("context_length"),
    hidden,
    layers: count("block_count"),
    heads,
    kvHeads: count("attention.head_count_kv"),
    headDim: count("attention.key_length") ?? shared,
    window: count("attention.sliding_window"),
    vocabulary: vocabulary?.tokens.length ??
      tensors.get("token_embd.weight")?.outputs ?? null,
    experts: experts === null
      ? null
      : { count: experts, used: count("expert_used_count") ?? experts },
    tokenizer: kind === null || pre === null ? kind : `${kind} (${pre})`,
    template: text("tokenizer.chat_template"),
  };
}
