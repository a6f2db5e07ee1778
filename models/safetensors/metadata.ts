/**
 * A config.json in the words of a GGUF file.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import { ARCHITECTURES } from "../arch/mod.ts";
import { quote } from "../gguf/walk.ts";
import type { RopeWords } from "../model_file.ts";
import { Config } from "./config.ts";
import { expertsOf } from "./experts.ts";
import { FAMILIES, type Family } from "./families.ts";
import { isObject, type JsonObject, kindOf } from "./json.ts";
import { rotationOf } from "./rope.ts";
import { checkStill, windowsOf } from "./layers.ts";

/** What a config says of a model. */
export interface Described {
  readonly family: Family;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly rope: RopeWords;
  /** Tokens. */
  readonly vocab: number;
  /** Whether the output is the embedding, whatever else the files hold. */
  readonly tied: boolean;
  /** Whether projections have biases, where a config can say so. */
  readonly biases: boolean | undefined;
  /** Experts of a layer; 0 for none. */
  readonly experts: number;
}

/** Most layers; beyond what anyone has trained. */
const MAX_LAYERS = 1024;

/**
 * Translates a config.
 *
 * @throws {ModelError} for a model of an unknown kind, a key that is missing, and one
 * that asks for arithmetic that is not there.
 */
export function describe(path: string, json: JsonObject): Described {
  const { family, config } = familyOf(path, json);
  const arch = family.architecture;
  const out: Record<string, unknown> = Object.create(null);
  const set = (key: string, value: unknown): void => {
    if (value !== undefined) out[`${arch}.${key}`] = value;
  };
  out["general.architecture"] = arch;
  const hidden = config.count("hidden_size");
  const layers = config.count("num_hidden_layers");
  if (layers > MAX_LAYERS) {
    config.refuse("num_hidden_layers", `at most ${MAX_LAYERS}`);
  }
  const heads = config.count("num_attention_heads");
  const headDim = headDimOf(config, hidden, heads);
  set("block_count", layers);
  set("embedding_length", hidden);
  set("context_length", config.count("max_position_embeddings"));
  set("feed_forward_length", config.count("intermediate_size"));
  const vocab = config.count("vocab_size");
  set("vocab_size", vocab);
  set("attention.head_count", heads);
  set("attention.head_count_kv", config.count("num_key_value_heads", heads));
  set("attention.key_length", headDim);
  set("attention.value_length", headDim);
  set("attention.layer_norm_rms_epsilon", config.positive("rms_norm_eps"));
  if (family.scaled) {
    const scalar = config.positive("query_pre_attn_scalar");
    set("attention.scale", 1 / Math.sqrt(scalar));
    for (const key of ["attn_logit_softcapping", "final_logit_softcapping"]) {
      set(key, config.positiveIfSet(key));
    }
  }
  for (const [key, own] of Object.entries(family.numbers ?? {})) {
    set(key, config.positiveIfSet(own));
  }
  checkStill(config, arch, layers);
  const rotation = rotationOf(config, headDim, family.localBase);
  set("rope.freq_base", rotation.base);
  set("rope.freq_base_swa", rotation.localBase);
  set("rope.dimension_count", rotation.dims);
  if (rotation.divide !== 1) {
    set("rope.scaling.type", "linear");
    set("rope.scaling.factor", rotation.divide);
  }
  const windows = windowsOf(config, family, layers);
  if (windows !== undefined) {
    set("attention.sliding_window", config.count("sliding_window"));
    set("attention.sliding_window_pattern", windows);
  }
  const experts = expertsOf(config, family, set);
  checkActivation(config, family);
  config.only("mlp_bias", [false]);
  config.only("use_bidirectional_attention", [false]);
  const tied = config.flag("tie_word_embeddings");
  config.only("qkv_bias", [true]);
  const biases = family.biased ? undefined : config.flag("attention_bias");
  config.checkAllAsked();
  return {
    family,
    metadata: out,
    rope: { style: "halves", ...rotation.words },
    vocab,
    tied,
    biases,
    experts,
  };
}

/** The kind of model, and its config: of one that sees images too, the text part. */
function familyOf(
  path: string,
  json: JsonObject,
): { readonly family: Family; readonly config: Config } {
  const { quantization_config: quantised } = json;
  if (isObject(quantised)) {
    throw new ModelError(
      path,
      `"quantization_config" says that weights are quantised (${
        kindOf(quantised["quant_method"])
      }), wanted F32, F16 or BF16: get the model as it was before, or as GGUF`,
    );
  }
  const type = json["model_type"];
  const text = json["text_config"];
  if (type === "gemma3" && isObject(text)) {
    const values = { model_type: "gemma3_text", ...text };
    const { family } = familyOf(path, values);
    return { family, config: asked(path, values, family) };
  }
  const family = typeof type === "string" ? FAMILIES.get(type) : undefined;
  if (family === undefined || !ARCHITECTURES.has(family.architecture)) {
    const known = [...FAMILIES].filter(([, f]) =>
      ARCHITECTURES.has(f.architecture)
    ).map(([name]) => name).join(", ");
    throw new ModelError(
      path,
      type === undefined
        ? `the required key "model_type" is missing; supported are ${known}`
        : `"model_type" is ${kindOf(type)}, which is not supported; wanted ` +
          `one of ${known}`,
    );
  }
  return { family, config: asked(path, json, family) };
}

function asked(path: string, json: JsonObject, family: Family): Config {
  const config = new Config(path, json, family.defaults);
  for (const key of ["model_type", "quantization_config"]) config.get(key);
  return config;
}

function headDimOf(config: Config, hidden: number, heads: number): number {
  const own = config.countIfSet("head_dim");
  if (own !== undefined) return own;
  if (hidden % heads === 0) return hidden / heads;
  return config.refuse(
    "num_attention_heads",
    `a number that divides "hidden_size", which is ${hidden}, or "head_dim"`,
  );
}

function checkActivation(config: Config, family: Family): void {
  // The newer of two names counts.
  const older = config.get("hidden_act");
  const key = config.get("hidden_activation") === undefined
    ? "hidden_act"
    : "hidden_activation";
  const value = config.get(key) ?? older ?? family.activations[0];
  if (!family.activations.includes(value as string)) {
    config.refuse(key, family.activations.map((a) => quote(a)).join(" or "));
  }
}
