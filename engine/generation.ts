/**
 * One generation: tokens as the loop makes them, parts as the caller reads them.
 *
 * @module
 */
import type { StepResult } from "../core/backend.ts";
import type { StepEntry } from "../core/scheduler_types.ts";
import type { Miss } from "../core/slots.ts";
import type { TokenDecoder, Tokenizer } from "../models/tokenizer.ts";
import type { Constraint } from "./format/constraint.ts";
import type { Ended, Job } from "./job.ts";
import { logTotal } from "./log_total.ts";
import { logprobOf } from "./logprobs.ts";
import type { Finish, GeneratePart, TokenLogprob, Usage } from "./options.ts";
import type { LogitsRow, Sampler } from "./sampler.ts";
import type { StopText } from "./stop_text.ts";

/** What a generation is made of. */
export interface GenerationParts {
  readonly id: string;
  /** The model's file, for messages. */
  readonly model: string;
  readonly prompt: readonly number[];
  readonly tokenizer: Tokenizer;
  readonly sampler: Sampler;
  readonly stop: StopText;
  readonly ignoreEos: boolean;
  /** Which of the answers to one prompt it is. */
  readonly index: number;
  /** Whether it sums the log-probabilities of its tokens. */
  readonly scored: boolean;
  /** How many alternatives to give beside each token's log-probability, if that is. */
  readonly logprobs?: number | undefined;
  /** Says what may follow, where the answer has a format. */
  readonly constraint?: Constraint | undefined;
  /** Called when there is something to read. */
  readonly wake: () => void;
}

/** The loop pushes, the caller pulls; neither waits for the other. */
export class Generation implements Job {
  readonly id: string;
  readonly #parts: GenerationParts;
  readonly #decoder: TokenDecoder;
  readonly #started = performance.now();
  readonly #row: {
    logits: Float32Array;
    topIds: Int32Array;
    topLogits: Float32Array;
  };
  #text = "";
  #tokens: number[] = [];
  #logprobs: TokenLogprob[] = [];
  /** Of the token that was sampled last. */
  #last: TokenLogprob | undefined;
  #finish: Finish | undefined;
  #error: unknown;
  #over = false;
  #read = false;
  #logProb = 0;
  #cached = 0;
  #miss: Miss | undefined;
  #made = 0;
  #firstAt = 0;
  #lastAt = 0;

  constructor(parts: GenerationParts) {
    this.id = parts.id;
    this.#parts = parts;
    this.#decoder = parts.tokenizer.createDecoder();
    const none = new Float32Array(0);
    this.#row = { logits: none, topIds: new Int32Array(0), topLogits: none };
    for (const token of parts.prompt) parts.sampler.push(token);
  }

  get top(): number {
    const { sampler, logprobs = 0, constraint } = this.#parts;
    if (constraint !== undefined) return sampler.topOf;
    // All are looked at where the sampler wants that, sorted out or not.
    return Math.max(sampler.top, logprobs);
  }

  /** Nothing: only the rows it samples from matter. */
  rows(_entry: StepEntry): void {}

  sample(i: number, result: StepResult): number {
    const row = this.#row;
    const { sampler, scored, logprobs, constraint } = this.#parts;
    row.logits = result.logits(i);
    row.topIds = result.topIds(i);
    row.topLogits = result.topLogits(i);
    const token = constraint === undefined
      ? sampler.next(row satisfies LogitsRow)
      : sampler.nextOf(row, constraint.mask);
    if (token < 0) {
      const { model, prompt } = this.#parts;
      throw noNumbers(model, prompt.length + this.#made);
    }
    if (scored || logprobs !== undefined) {
      const total = logTotal(row.logits);
      this.#logProb += row.logits[token]! - total;
      if (logprobs !== undefined) {
        this.#last = logprobOf(row, token, logprobs, total);
      }
    }
    return token;
  }

  take(token: number): boolean {
    const { tokenizer, sampler, stop, ignoreEos, constraint } = this.#parts;
    this.#lastAt = performance.now();
    if (this.#made++ === 0) this.#firstAt = this.#lastAt;
    sampler.push(token);
    constraint?.take(token);
    const ended = constraint?.shortened ? "length" : "stop";
    if (!ignoreEos && tokenizer.eog.has(token)) {
      this.#finish = ended;
      return true;
    }
    this.#tokens.push(token);
    if (this.#last !== undefined) this.#logprobs.push(this.#last);
    this.#text += stop.push(this.#decoder.push(token));
    if (stop.stopped) this.#finish = "stop";
    else if (constraint?.ended) this.#finish = ended;
    this.#parts.wake();
    return this.#finish !== undefined;
  }

  ended({ reason, cached = 0, miss }: Ended, error: unknown): void {
    const { stop, prompt, wake } = this.#parts;
    this.#text += stop.push(this.#decoder.end()) + stop.end();
    this.#finish ??= stop.stopped
      ? "stop"
      : reason === "deadline"
      ? reason
      : "length";
    this.#error = error;
    this.#cached = Math.min(cached, prompt.length);
    this.#miss = miss;
    if (reason === "aborted") {
      this.#error ??= new DOMException("The request was ended", "AbortError");
    }
    this.#over = true;
    wake();
  }

  /** Nothing more will come, and nothing is left to read. */
  get finished(): boolean {
    return this.#over && this.#read;
  }

  /** Nothing more will come. */
  get over(): boolean {
    return this.#over;
  }

  /** It ended by an error, which `next()` throws. */
  get failed(): boolean {
    return this.#over && this.#error !== undefined;
  }

  /** Mean log-probability of its tokens, where it is `scored`. */
  get score(): number {
    return this.#made === 0 ? -Infinity : this.#logProb / this.#made;
  }

  /**
   * What came since the last call, undefined for nothing; the last part has
   * `finish` and `usage`. Throws what ended the request.
   */
  next(): GeneratePart | undefined {
    if (this.#over && !this.#read) {
      this.#read = true;
      if (this.#error !== undefined) throw this.#error;
      return this.#cut(this.#finish, this.#usage());
    }
    return this.#tokens.length > 0
      ? this.#cut(undefined, undefined)
      : undefined;
  }

  #cut(finish: Finish | undefined, usage: Usage | undefined): GeneratePart {
    const { index, logprobs } = this.#parts;
    const part = {
      index,
      text: this.#text,
      tokens: this.#tokens,
      finish,
      usage,
      ...(logprobs === undefined ? {} : { logprobs: this.#logprobs }),
    };
    this.#text = "";
    this.#tokens = [];
    this.#logprobs = [];
    return part;
  }

  #usage(): Usage {
    const { prompt } = this.#parts;
    const ttftMs = this.#firstAt > 0 ? this.#firstAt - this.#started : 0;
    const decodeMs = this.#lastAt - this.#firstAt;
    const computed = prompt.length - this.#cached;
    return {
      promptTokens: prompt.length,
      cachedTokens: this.#cached,
      miss: this.#miss,
      completionTokens: this.#made,
      ttftMs,
      decodeMs,
      promptPerSecond: ttftMs > 0 ? computed * 1000 / ttftMs : 0,
      tokensPerSecond: this.#made > 1 && decodeMs > 0
        ? (this.#made - 1) * 1000 / decodeMs
        : 0,
    };
  }
}

/** Why a text of `tokens` cannot go on. */
export function noNumbers(model: string, tokens: number): Error {
  return new Error(
    `Cannot continue: model "${model}" computed no finite logits (NaN) after ${tokens} tokens; its weights may be damaged`,
  );
}
