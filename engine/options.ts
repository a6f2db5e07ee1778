/**
 * What users may ask of `load()` and `generate()`.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";
import type { Miss } from "../core/slots.ts";
import type { ChatMessage } from "../models/chat_template.ts";
import type { Quantize } from "../models/quantise_at_load.ts";
import type { AdapterOptions, AdapterUse } from "./adapters.ts";

export type { ChatMessage } from "../models/chat_template.ts";
export type { Quantize } from "../models/quantise_at_load.ts";

/** What a load is busy with. */
export interface LoadProgress {
  /** "pull" while the model is fetched, "load" while weights are read. */
  readonly stage: "pull" | "load";
  /** File name, or what is being done. */
  readonly what: string;
  /** Bytes done, and in all where known. */
  readonly done: number;
  /** Bytes in all, where known. */
  readonly total: number | undefined;
}

/** Settings of `load()`; every one has a default. */
export interface LoadOptions {
  /** Compute workers, 1 to 64. Default: the machine's cores, at most 64. */
  readonly threads?: number | undefined;
  /**
   * Longest sequence, tokens. Default: what the model was trained for, at most 8,192.
   * More than it was trained for needs a window on every layer (`slidingWindow()`).
   */
  readonly context?: number | undefined;
  /** Most bytes of working memory: weights, K/V and the rest. Default and most: 4 GiB. */
  readonly budget?: number | string | undefined;
  /** Default "auto": the fastest there is. */
  readonly backend?: "auto" | "wasm" | "reference" | undefined;
  /**
   * "exact" computes with weights decoded to f32, f32 activations and f32 K/V:
   * the run that accuracy is judged against. Default "fast".
   */
  readonly precision?: "fast" | "exact" | undefined;
  /**
   * Rounds matrices that are stored as floats while they are read: 8.5 or 4.5 bits a
   * weight, embedding and output always 8.5. Others stay as they are. Default: none.
   */
  readonly quantize?: Quantize | undefined;
  /**
   * Memory strategies, in any order. Default: `[pagedAttention(), prefixCache()]`;
   * a list replaces these.
   */
  readonly plugins?: readonly Plugin[] | undefined;
  /**
   * LoRA adapters by name: GGUF files, folders as PEFT saves them, or the safetensors
   * file of one. All stay in memory; a request says which it computes with.
   */
  readonly adapters?: Readonly<Record<string, string | URL>> | undefined;
  /** What requests compute with that name no adapter themselves. Default: none. */
  readonly use?: readonly (string | AdapterUse)[] | undefined;
  /**
   * Most tokens computed in one step; longer prompts go in chunks, and no more
   * sequences than this are computed together. Default 256.
   */
  readonly chunk?: number | undefined;
  /** Most sequences computed together. Default 32. */
  readonly parallel?: number | undefined;
  /** Build of the CPU kernels. Default: the faster one that the machine runs. */
  readonly build?: "simd" | "relaxed" | undefined;
  /** Recounts every book after every step; for tests. Default false. */
  readonly check?: boolean | undefined;
  /** Hears what the load is busy with. */
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** Stops the load; what it took is given back. */
  readonly signal?: AbortSignal | undefined;
}

/** How tokens are chosen. Without any, the likeliest is (greedy). */
export interface SamplingOptions {
  /** 0, the default, always takes the likeliest token. */
  readonly temperature?: number | undefined;
  /** Only the k likeliest; 0: all. Default 40. */
  readonly topK?: number | undefined;
  /** Only the likeliest whose probabilities reach p together. Default 0.95; 1: all. */
  readonly topP?: number | undefined;
  /** Only tokens at least p times as likely as the likeliest. Default 0.05; 0: all. */
  readonly minP?: number | undefined;
  /** Divides positive and multiplies negative logits of recent tokens. Default 1. */
  readonly repetitionPenalty?: number | undefined;
  /** Taken from the logit of every recent token. Default 0. */
  readonly presencePenalty?: number | undefined;
  /** Taken from the logit of a recent token once for each time it occurred. Default 0. */
  readonly frequencyPenalty?: number | undefined;
  /** How many tokens back penalties look, prompt included. Default 64. */
  readonly penaltyWindow?: number | undefined;
  /** Added to the logits of tokens by id; -Infinity forbids one. */
  readonly logitBias?: Readonly<Record<number, number>> | undefined;
  /** Same seed, same text. Default: a random one. */
  readonly seed?: number | undefined;
  /**
   * How many tokens were made with this seed before: the numbers drawn go on behind
   * theirs, so that a text made in pieces is the one made in one go. Default 0.
   */
  readonly drawn?: number | undefined;
}

/** One request. Exactly one of `prompt`, `tokens` and `messages` is given. */
export interface GenerateOptions extends SamplingOptions, AdapterOptions {
  /** Text to continue; the model's BOS token is put in front where it wants one. */
  readonly prompt?: string | undefined;
  /** Tokens to continue, as they are. */
  readonly tokens?: readonly number[] | undefined;
  /** A conversation to answer, by the model's chat template. */
  readonly messages?: readonly ChatMessage[] | undefined;
  /** Most tokens to make. Default: what the context and the K/V memory leave. */
  readonly maxTokens?: number | undefined;
  /** Texts that end the answer and are not part of its text. */
  readonly stop?: string | readonly string[] | undefined;
  /** Goes on after an end-of-text token. */
  readonly ignoreEos?: boolean | undefined;
  /** Higher goes first and gives way last. Default 0. */
  readonly priority?: number | undefined;
  /**
   * Whose request it is. Tenants never share blocks, and `fairShare()` divides the
   * machine among them. Default "".
   */
  readonly tenant?: string | undefined;
  /**
   * How long the prefix cache keeps its blocks: a whole number from 0 to 100, default
   * 50. Lower ones go first; those of 100 are pinned: they go only where a request could not run
   * otherwise.
   */
  readonly cachePriority?: number | undefined;
  /**
   * Ends the answer, with what there is of it, so many milliseconds from now; a beam
   * search, which has nothing until it is done, rejects with a TimeoutError.
   */
  readonly deadlineMs?: number | undefined;
  /**
   * Answers to the prompt, 1 to 64, told apart by `index`; they share the blocks of
   * the prompt. Default 1. The seed of answer i is `seed + i`.
   */
  readonly n?: number | undefined;
  /**
   * Makes so many answers and gives the `n` of the highest mean log-probability,
   * best first, when all of them are done. Default `n`.
   */
  readonly bestOf?: number | undefined;
  /**
   * Beam search with so many hypotheses side by side, 1 to 64, as Hugging Face
   * transformers define it; gives the best `n` when it is done. Penalties, `stop`,
   * `logitBias`, `bestOf` and a temperature are refused beside it.
   */
  readonly beams?: number | undefined;
  /**
   * A hypothesis scores its log-probability over its length to this power. Default 1.
   */
  readonly lengthPenalty?: number | undefined;
  /**
   * Beams stop when as many are finished: true: at once; false, the default: when
   * the best one running is no better; "never": when none can become better.
   */
  readonly earlyStopping?: boolean | "never" | undefined;
  /** Ends the request; `generate()` throws its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Why an answer ended: a stop text or token, its length, or its deadline. */
export type Finish = "stop" | "length" | "deadline";

/** What a request took. Times in milliseconds. */
export interface Usage {
  /** Tokens of the prompt. */
  readonly promptTokens: number;
  /** Tokens of the prompt whose K/V were there already. */
  readonly cachedTokens: number;
  /**
   * Why not more of them; undefined where no more could be shared. For whoever runs
   * the engine: "salted" tells a tenant what others asked.
   */
  readonly miss: Miss | undefined;
  /** Tokens made, an end-of-text token that ended the answer included. */
  readonly completionTokens: number;
  /** From the request to its first token. */
  readonly ttftMs: number;
  /** From the first token to the last. */
  readonly decodeMs: number;
  /** Computed tokens of the prompt per second. */
  readonly promptPerSecond: number;
  /** Tokens after the first, per second. */
  readonly tokensPerSecond: number;
}

/** A piece of an answer. */
export interface GeneratePart {
  /** Which answer, 0 to `n - 1`. */
  readonly index: number;
  /** Whole characters; may be empty while one is in pieces or a stop text may begin. */
  readonly text: string;
  /**
   * The tokens made since the last part. An end-of-text token that ends the
   * answer is left out; the tokens of a stop text are not, though `text` ends
   * before it.
   */
  readonly tokens: readonly number[];
  /** Set in the last part of an answer only. */
  readonly finish: Finish | undefined;
  /** Set in the last part of an answer only. */
  readonly usage: Usage | undefined;
  /** Of a beam: its log-probability after the length penalty. */
  readonly score?: number;
}

/** Bytes of "2GiB", "512 MiB", "1.5gb" or a number. Throws a RangeError. */
export function parseBytes(value: number | string): number {
  const match = /^\s*([\d.]+)\s*([kmgt]?)(i?)b?\s*$/i.exec(String(value));
  const power = ["", "k", "m", "g", "t"].indexOf(
    match?.[2]?.toLowerCase() ?? "",
  );
  const bytes = Number(match?.[1]) * (match?.[3] ? 1024 : 1000) ** power;
  if (!(bytes > 0)) {
    throw new RangeError(
      `Cannot read "${value}" as a number of bytes: give one like 2147483648 or "2GiB"`,
    );
  }
  return Math.floor(bytes);
}
