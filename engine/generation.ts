/**
 * One generation: tokens as the loop makes them, parts as the caller reads them.
 *
 * @module
 */
import type { StepResult } from "../core/backend.ts";
import type { FinishReason, StepEntry } from "../core/scheduler_types.ts";
import type { TokenDecoder, Tokenizer } from "../models/tokenizer.ts";
import type { Job } from "./job.ts";
import type { Finish, GeneratePart, Usage } from "./options.ts";
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
  #finish: Finish | undefined;
  #error: unknown;
  #over = false;
  #wake: (() => void) | undefined;
  #computed = 0;
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
    return this.#parts.sampler.top;
  }

  rows(entry: StepEntry): void {
    if (entry.kind === "prefill") this.#computed += entry.rows;
  }

  sample(entry: StepEntry, result: StepResult): number {
    const i = entry.wantedAt + entry.wanted - 1, row = this.#row;
    row.logits = result.logits(i);
    row.topIds = result.topIds(i);
    row.topLogits = result.topLogits(i);
    const token = this.#parts.sampler.next(row satisfies LogitsRow);
    if (token >= 0) return token;
    throw new Error(
      `Cannot continue: model "${this.#parts.model}" computed no finite logits (NaN) after ${
        this.#parts.prompt.length + this.#made
      } tokens; its weights may be damaged`,
    );
  }

  take(token: number): boolean {
    const { tokenizer, sampler, stop, ignoreEos } = this.#parts;
    this.#lastAt = performance.now();
    if (this.#made++ === 0) this.#firstAt = this.#lastAt;
    sampler.push(token);
    if (!ignoreEos && tokenizer.eog.has(token)) {
      this.#finish = "stop";
      return true;
    }
    this.#tokens.push(token);
    this.#text += stop.push(this.#decoder.push(token));
    if (stop.stopped) this.#finish = "stop";
    this.#wake?.();
    return stop.stopped;
  }

  ended(reason: FinishReason, error: unknown): void {
    const { stop } = this.#parts;
    this.#text += stop.push(this.#decoder.end()) + stop.end();
    this.#finish ??= stop.stopped ? "stop" : "length";
    this.#error = error;
    if (reason === "aborted") {
      this.#error ??= new DOMException("The request was ended", "AbortError");
    }
    this.#over = true;
    this.#wake?.();
  }

  /** Parts as they come; the last has `finish` and `usage`. */
  async *read(): AsyncGenerator<GeneratePart> {
    for (;;) {
      if (this.#over) break;
      if (this.#tokens.length > 0) yield this.#cut(undefined, undefined);
      else {
        await new Promise<void>((resolve) => this.#wake = resolve);
        this.#wake = undefined;
      }
    }
    if (this.#error !== undefined) throw this.#error;
    yield this.#cut(this.#finish, this.#usage());
  }

  #cut(finish: Finish | undefined, usage: Usage | undefined): GeneratePart {
    const part = { text: this.#text, tokens: this.#tokens, finish, usage };
    this.#text = "";
    this.#tokens = [];
    return part;
  }

  #usage(): Usage {
    const { prompt } = this.#parts;
    const ttftMs = this.#firstAt > 0 ? this.#firstAt - this.#started : 0;
    const decodeMs = this.#lastAt - this.#firstAt;
    const computed = Math.min(this.#computed, prompt.length);
    return {
      promptTokens: prompt.length,
      cachedTokens: prompt.length - computed,
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
