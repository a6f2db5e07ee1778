/**
 * Typed, checked access to a config.json, which remembers what was asked for: a key
 * that nobody asks for may change the arithmetic, and is refused.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import { quote } from "../gguf/walk.ts";
import { type JsonObject, kindOf } from "./json.ts";

/** Whole numbers beyond this are no size of anything. */
const MOST = 2 ** 31;

/** Reads keys of one object; every error names the file and the key. */
export class Config {
  readonly path: string;
  readonly #values: JsonObject;
  readonly #defaults: JsonObject;
  readonly #prefix: string;
  readonly #asked = new Set<string>();

  /**
   * @param defaults What a key means that is absent.
   * @param prefix Before keys in messages: "rope_parameters."
   */
  constructor(
    path: string,
    values: JsonObject,
    defaults: JsonObject = {},
    prefix = "",
  ) {
    this.path = path;
    this.#values = values;
    this.#defaults = defaults;
    this.#prefix = prefix;
  }

  /** The value of a key, its default where it is absent; null is as good as absent. */
  get(key: string): unknown {
    this.#asked.add(key);
    const own = Object.hasOwn(this.#values, key);
    const value = own ? this.#values[key] : this.#defaults[key];
    return value ?? undefined;
  }

  /** Whether a key is there itself, not by default. */
  has(key: string): boolean {
    return Object.hasOwn(this.#values, key) && this.get(key) !== undefined;
  }

  /** Ends the load with the key, what it is, and `wanted`. */
  refuse(key: string, wanted: string): never {
    throw new ModelError(
      this.path,
      `${quote(this.#prefix + key)} is ${
        kindOf(this.get(key))
      }, wanted ${wanted}`,
    );
  }

  /** A whole number of at least 1; `absent` where there is none. */
  count(key: string, absent?: number): number {
    const value = this.#required(key, absent);
    if (
      typeof value === "number" && Number.isInteger(value) && value >= 1 &&
      value < MOST
    ) return value;
    return this.refuse(key, "a whole number of at least 1");
  }

  /** A finite number above 0; `absent` where there is none. */
  positive(key: string, absent?: number): number {
    const value = this.#required(key, absent);
    if (typeof value === "number" && Number.isFinite(value) && value > 0) {
      return value;
    }
    return this.refuse(key, "a number above 0");
  }

  /** `count()`, undefined where there is none. */
  countIfSet(key: string): number | undefined {
    return this.get(key) === undefined ? undefined : this.count(key);
  }

  /** `count()` that may be 0. */
  wholeIfSet(key: string): number | undefined {
    return this.get(key) === 0 ? 0 : this.countIfSet(key);
  }

  /** `positive()`, undefined where there is none. */
  positiveIfSet(key: string): number | undefined {
    return this.get(key) === undefined ? undefined : this.positive(key);
  }

  /** True or false; false where there is neither. */
  flag(key: string): boolean {
    const value = this.get(key) ?? false;
    return typeof value === "boolean"
      ? value
      : this.refuse(key, "true or false");
  }

  /** `count` numbers above 0. */
  positives(key: string, count: number): number[] {
    const value = this.#required(key, undefined);
    const sound = Array.isArray(value) && value.length === count &&
      value.every((n) => typeof n === "number" && Number.isFinite(n) && n > 0);
    return sound
      ? value as number[]
      : this.refuse(key, `a list of ${count} numbers above 0`);
  }

  /** Refuses a key unless it is absent or one of `values`. */
  only(key: string, values: readonly unknown[]): void {
    const value = this.get(key);
    if (value === undefined || values.includes(value)) return;
    const wanted = values.map((v) => JSON.stringify(v)).join(" or ");
    this.refuse(key, `${wanted}; anything else is not supported`);
  }

  /** Refuses the first key that was never asked for and is not known to be harmless. */
  checkAllAsked(): void {
    for (const [key, value] of Object.entries(this.#values)) {
      if (value === null || this.#asked.has(key) || isHarmless(key)) continue;
      throw new ModelError(
        this.path,
        `${quote(this.#prefix + key)} is ${kindOf(value)}, a key that is not ` +
          `known here and may change what the model computes; wanted it ` +
          `absent: take it out if it changes nothing`,
      );
    }
  }

  #required(key: string, absent: number | undefined): unknown {
    const value = this.get(key) ?? absent;
    if (value !== undefined) return value;
    throw new ModelError(
      this.path,
      `the required key ${quote(this.#prefix + key)} is missing`,
    );
  }
}

/** Keys about training, storage, sampling and software. */
const HARMLESS: ReadonlySet<string> = new Set([
  ...["architectures", "auto_map", "bos_token_id", "eos_token_id"],
  ...["pad_token_id", "sep_token_id", "decoder_start_token_id", "unk_token_id"],
  ...["torch_dtype", "dtype", "transformers_version", "use_cache"],
  ...["initializer_range", "attention_dropout", "embd_pdrop", "resid_pdrop"],
  ...["hidden_dropout", "attn_pdrop", "pretraining_tp", "use_bfloat16"],
  ...["output_attentions", "output_hidden_states", "output_router_logits"],
  ...["router_aux_loss_coef", "router_jitter_noise", "input_jitter_noise"],
  ...["return_dict", "torchscript", "problem_type", "finetuning_task"],
  ...["id2label", "label2id", "task_specific_params", "tokenizer_class"],
  ...[
    "prefix",
    "name",
    "name_or_path",
    "max_length",
    "min_length",
    "do_sample",
  ],
  ...["early_stopping", "num_beams", "num_beam_groups", "diversity_penalty"],
  ...["temperature", "top_k", "top_p", "typical_p", "repetition_penalty"],
  ...["length_penalty", "no_repeat_ngram_size", "bad_words_ids"],
  ...["encoder_no_repeat_ngram_size", "num_return_sequences"],
  ...["forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values"],
  ...["exponential_decay_length_penalty", "suppress_tokens"],
  ...["begin_suppress_tokens", "return_dict_in_generate", "output_scores"],
  ...["tf_legacy_loss", "chunk_size_feed_forward", "gradient_checkpointing"],
  ...[
    "is_llama_config",
    "unsloth_version",
    "unsloth_fixed",
    "cache_implementation",
  ],
]);

function isHarmless(key: string): boolean {
  return HARMLESS.has(key) ||
    /^_(name_or_path|attn_implementation|commit_hash)/.test(key);
}
