/**
 * What answers took, in clients' words.
 *
 * @module
 */
import type { Usage } from "../engine/options.ts";

/** Tokens, as clients count them. */
export interface UsageBody {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

/** Times, in the words of llama.cpp's server. Milliseconds, tokens per second. */
export interface Timings {
  readonly prompt_n: number;
  readonly cache_n: number;
  readonly prompt_ms: number;
  readonly prompt_per_second: number;
  readonly predicted_n: number;
  readonly predicted_ms: number;
  readonly predicted_per_second: number;
}

/** Sums what the answers of one request took. */
export class UsageSum {
  #prompt = 0;
  #cached = 0;
  #made = 0;
  #promptMs = 0;
  #madeMs = 0;

  /** Adds an answer; those after the first to a prompt have it in common. */
  add(usage: Usage, first: boolean): void {
    if (first) {
      this.#prompt += usage.promptTokens;
      this.#cached += usage.cachedTokens;
    }
    this.#made += usage.completionTokens;
    this.#promptMs = Math.max(this.#promptMs, usage.ttftMs);
    this.#madeMs = Math.max(this.#madeMs, usage.decodeMs);
  }

  /** Why a prompt was not found is left out: it would tell what others asked. */
  get body(): UsageBody {
    return {
      prompt_tokens: this.#prompt,
      completion_tokens: this.#made,
      total_tokens: this.#prompt + this.#made,
      prompt_tokens_details: { cached_tokens: this.#cached },
    };
  }

  /** Times are those of the slowest answer. */
  get timings(): Timings {
    const rate = (n: number, ms: number): number => ms > 0 ? n * 1000 / ms : 0;
    const computed = this.#prompt - this.#cached;
    return {
      prompt_n: computed,
      cache_n: this.#cached,
      prompt_ms: this.#promptMs,
      prompt_per_second: rate(computed, this.#promptMs),
      predicted_n: this.#made,
      predicted_ms: this.#madeMs,
      predicted_per_second: rate(this.#made, this.#madeMs),
    };
  }
}
