/**
 * Choosing the next token from a row of logits.
 *
 * Order of the steps, as in llama.cpp: penalties and bias, top-k, top-p, min-p,
 * temperature. The workers have sorted out the largest logits already, so that
 * only a few candidates are looked at here; all of the vocabulary only where the
 * options ask for it.
 *
 * @module
 */
import type { SamplingOptions } from "./options.ts";
import { randomSeed, seeded } from "./random.ts";

/** One row's logits as a backend leaves them. */
export interface LogitsRow {
  readonly logits: Float32Array;
  /** The largest, best first; -1 ends the list. */
  readonly topIds: Int32Array;
  readonly topLogits: Float32Array;
}

/** Checked options, defaults filled in. */
type Settings = Required<
  { [K in keyof SamplingOptions]: NonNullable<SamplingOptions[K]> }
>;

/** Chooses tokens for one request. Allocates nothing per token once warm. */
export class Sampler {
  /** How many of the largest logits it wants sorted out for it. */
  readonly top: number;
  readonly #s: Settings;
  readonly #random: () => number;
  readonly #bias: readonly (readonly [number, number])[];
  readonly #penalises: boolean;
  /** Recent tokens, a ring. */
  readonly #recent: Int32Array;
  #pushed = 0;
  readonly #counts = new Map<number, number>();
  #ids = new Int32Array(256);
  #values = new Float64Array(256);
  #count = 0;

  /**
   * @param most Largest `top` the backend can serve.
   * @throws {RangeError} for an option out of bounds.
   */
  constructor(options: SamplingOptions, vocab: number, most: number) {
    const s = this.#s = settings(options);
    this.#random = seeded(s.seed);
    this.#bias = Object.entries(s.logitBias).map(([id, b]) => {
      const token = Number(id);
      if (!Number.isInteger(token) || token < 0 || token >= vocab) {
        throw new RangeError(
          `Cannot sample with "logitBias" for token "${id}": ids go from 0 to ${
            vocab - 1
          }`,
        );
      }
      return [token, b];
    });
    this.#penalises = s.repetitionPenalty !== 1 || s.presencePenalty !== 0 ||
      s.frequencyPenalty !== 0;
    this.#recent = new Int32Array(this.#penalises ? s.penaltyWindow : 0);
    const altered = this.#bias.length + this.#recent.length;
    const wanted = (s.temperature === 0 ? 1 : s.topK) + altered;
    const everything = s.temperature > 0 && s.topK === 0;
    this.top = everything || wanted > most ? 0 : wanted;
  }

  /** Notes a token that penalties will look back at. */
  push(token: number): void {
    const n = this.#recent.length;
    if (n === 0) return;
    const at = this.#pushed++ % n;
    if (this.#pushed > n) {
      const old = this.#recent[at]!, left = this.#counts.get(old)! - 1;
      if (left === 0) this.#counts.delete(old);
      else this.#counts.set(old, left);
    }
    this.#recent[at] = token;
    this.#counts.set(token, (this.#counts.get(token) ?? 0) + 1);
  }

  /** Chooses a token. */
  next(row: LogitsRow): number {
    const { temperature, topK } = this.#s;
    if (temperature === 0 && this.#bias.length === 0 && !this.#penalises) {
      return this.top > 0 ? row.topIds[0]! : largest(row.logits);
    }
    this.#gather(row);
    this.#sort();
    if (temperature === 0) return this.#ids[0]!;
    let n = this.#count;
    if (topK > 0) n = Math.min(n, topK);
    return this.#draw(this.#cut(n));
  }

  /** Candidates with their altered logits: the sorted-out ones, or all. */
  #gather({ logits, topIds, topLogits }: LogitsRow): void {
    const n = this.top > 0 ? Math.min(this.top, topIds.length) : logits.length;
    this.#room(n + this.#bias.length + this.#counts.size);
    this.#count = 0;
    for (let i = 0; i < n; i++) {
      const id = this.top > 0 ? topIds[i]! : i;
      if (id < 0) break;
      this.#ids[this.#count] = id;
      this.#values[this.#count++] = this.top > 0 ? topLogits[i]! : logits[i]!;
    }
    const { repetitionPenalty, presencePenalty, frequencyPenalty } = this.#s;
    for (const [id, count] of this.#counts) {
      const i = this.#find(id, logits), v = this.#values[i]!;
      this.#values[i] =
        (v > 0 ? v / repetitionPenalty : v * repetitionPenalty) -
        presencePenalty - frequencyPenalty * count;
    }
    for (const [id, bias] of this.#bias) {
      this.#values[this.#find(id, logits)]! += bias;
    }
  }

  /** Place of a candidate, which becomes one where it is not. */
  #find(id: number, logits: Float32Array): number {
    for (let i = 0; i < this.#count; i++) if (this.#ids[i] === id) return i;
    this.#ids[this.#count] = id;
    this.#values[this.#count] = logits[id]!;
    return this.#count++;
  }

  #room(n: number): void {
    if (this.#ids.length >= n) return;
    this.#ids = new Int32Array(n);
    this.#values = new Float64Array(n);
  }

  /** Best first, ties by lower id. Few candidates are nearly sorted already. */
  #sort(): void {
    const ids = this.#ids, values = this.#values, n = this.#count;
    if (n > 1024) {
      const order = Array.from(ids.subarray(0, n), (_, i) => i).sort((a, b) =>
        values[b]! - values[a]! || ids[a]! - ids[b]!
      );
      const sortedIds = order.map((i) => ids[i]!);
      const sortedValues = order.map((i) => values[i]!);
      ids.set(sortedIds);
      values.set(sortedValues);
      return;
    }
    for (let i = 1; i < n; i++) {
      const id = ids[i]!, v = values[i]!;
      let k = i;
      while (
        k > 0 &&
        (values[k - 1]! < v || (values[k - 1] === v && ids[k - 1]! > id))
      ) {
        ids[k] = ids[k - 1]!;
        values[k] = values[k - 1]!;
        k--;
      }
      ids[k] = id;
      values[k] = v;
    }
  }

  /** How many of the first `n` candidates top-p and min-p leave, 1 at least. */
  #cut(n: number): number {
    const { topP, minP } = this.#s, best = this.#values[0]!;
    let kept = n;
    if (topP < 1) {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += Math.exp(this.#values[i]! - best);
      let reached = 0;
      for (kept = 0; kept < n && reached < topP;) {
        reached += Math.exp(this.#values[kept++]! - best) / sum;
      }
    }
    if (minP > 0) {
      const least = best + Math.log(minP);
      while (kept > 1 && this.#values[kept - 1]! < least) kept--;
    }
    return Math.max(1, kept);
  }

  #draw(n: number): number {
    const values = this.#values, best = values[0]!, t = this.#s.temperature;
    let sum = 0;
    for (let i = 0; i < n; i++) {
      sum += values[i] = Math.exp((values[i]! - best) / t);
    }
    let left = this.#random() * sum;
    for (let i = 0; i < n; i++) {
      left -= values[i]!;
      if (left < 0) return this.#ids[i]!;
    }
    return this.#ids[n - 1]!;
  }
}

function largest(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) {
    if (logits[i]! > logits[best]!) best = i;
  }
  return best;
}

function settings(o: SamplingOptions): Settings {
  const check = (
    name: keyof SamplingOptions,
    fallback: number,
    low: number,
    high: number,
    whole = false,
  ): number => {
    const value = o[name] ?? fallback;
    if (
      typeof value !== "number" || !(value >= low && value <= high) ||
      (whole && !Number.isInteger(value))
    ) {
      throw new RangeError(
        `Cannot sample with "${name}" ${String(value)}: ${
          whole ? "a whole number" : "a number"
        } from ${low} to ${high} is wanted`,
      );
    }
    return value;
  };
  for (const [id, bias] of Object.entries(o.logitBias ?? {})) {
    if (typeof bias !== "number" || !(bias < Infinity)) {
      throw new RangeError(
        `Cannot sample with "logitBias" ${bias} for token "${id}": a number below Infinity is wanted`,
      );
    }
  }
  return {
    temperature: check("temperature", 0, 0, 100),
    topK: check("topK", 40, 0, 1e9, true),
    topP: check("topP", 0.95, 0, 1),
    minP: check("minP", 0.05, 0, 1),
    repetitionPenalty: check("repetitionPenalty", 1, 0.01, 100),
    presencePenalty: check("presencePenalty", 0, -100, 100),
    frequencyPenalty: check("frequencyPenalty", 0, -100, 100),
    penaltyWindow: check("penaltyWindow", 64, 1, 1e6, true),
    logitBias: o.logitBias ?? {},
    seed: check("seed", o.seed ?? randomSeed(), 0, 2 ** 53, true),
  };
}
