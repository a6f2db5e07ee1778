/**
 * Choosing the next token from a row of logits.
 *
 * Order of the steps, as in llama.cpp: penalties and bias, top-k, top-p, min-p,
 * temperature. Where a format says what may follow, other tokens are left out before
 * all of these. The workers have sorted out the largest logits already, so that
 * only a few candidates are looked at here; all of the vocabulary only where the
 * options ask for it.
 *
 * @module
 */
import { Candidates } from "./candidates.ts";
import { allows, type Mask } from "./format/masks.ts";
import type { SamplingOptions } from "./options.ts";
import { seeded } from "./random.ts";
import { type Settings, settingsOf } from "./sampling_settings.ts";

/** One row's logits as a backend leaves them. */
export interface LogitsRow {
  readonly logits: Float32Array;
  /** The largest, best first; -1 ends the list. */
  readonly topIds: Int32Array;
  readonly topLogits: Float32Array;
}

/** Chooses tokens for one request. Allocates nothing per token once warm. */
export class Sampler {
  readonly #s: Settings;
  readonly #random: () => number;
  /** How many of the likeliest; 0: all. */
  readonly #k: number;
  readonly #most: number;
  readonly #bias: readonly (readonly [number, number])[];
  readonly #penalises: boolean;
  /** Recent tokens, a ring. */
  readonly #recent: Int32Array;
  #pushed = 0;
  /** How often each of them occurs there. */
  readonly #counts = new Map<number, number>();
  readonly #candidates = new Candidates();
  /** What may follow, while a token is chosen. */
  #mask: Mask | undefined;
  readonly #allowed = (id: number): boolean => allows(this.#mask!, id);

  /**
   * @param most Largest `top` the backend can serve.
   * @throws {RangeError} for an option out of bounds.
   */
  constructor(options: SamplingOptions, vocab: number, most: number) {
    const s = this.#s = settingsOf(options);
    this.#random = seeded(s.seed, s.drawn);
    this.#k = s.topK < vocab ? s.topK : 0;
    this.#most = most;
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
  }

  /**
   * How many of the largest logits it wants sorted out for the next token; 0: it
   * looks at all of them. Every altered logit may push one more out of the best.
   */
  get top(): number {
    const greedy = this.#s.temperature === 0;
    if (!greedy && this.#k === 0) return 0;
    const wanted = (greedy ? 1 : this.#k) + this.#bias.length +
      this.#counts.size;
    return wanted > this.#most ? 0 : wanted;
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

  /** As `top`, for `nextOf()`: enough for most masks. */
  get topOf(): number {
    return this.#most;
  }

  /**
   * Chooses a token that a mask allows; -1 where no logit is a finite number. `row` has
   * `topOf` logits sorted out.
   */
  nextOf(row: LogitsRow, mask: Mask): number {
    this.#mask = mask;
    this.#gatherOf(row, mask);
    const c = this.#candidates;
    this.#alter();
    let best = c.count === 0 ? -1 : c.best();
    if (best < 0 || !Number.isFinite(c.value(best))) {
      // A bias forbids all that may follow: the format is what counts.
      this.#gatherAll(row, mask);
      best = c.best();
      if (!Number.isFinite(c.value(best))) return -1;
    }
    return this.#s.temperature === 0 ? c.id(best) : this.#choose(c.value(best));
  }

  /** The largest that are allowed, as many as count; or all of them. */
  #gatherOf(row: LogitsRow, mask: Mask): void {
    const { topIds, topLogits, logits } = row, c = this.#candidates;
    const greedy = this.#s.temperature === 0, k = greedy ? 1 : this.#k;
    const altered = this.#bias.length + this.#counts.size;
    const sorted = Math.min(this.#most, topIds.length);
    if (mask.ids === undefined && k > 0) {
      c.some(logits, topIds, topLogits, sorted, altered);
      c.filter(this.#allowed);
      if (c.count >= k + altered) return;
    }
    this.#gatherAll(row, mask);
  }

  #gatherAll({ logits }: LogitsRow, { ids, bits, count }: Mask): void {
    const altered = this.#bias.length + this.#counts.size;
    if (ids !== undefined) this.#candidates.listed(logits, ids, altered);
    else this.#candidates.marked(logits, bits!, count + altered);
  }

  /** Chooses a token; -1 where the largest logit is not a finite number. */
  next(row: LogitsRow): number {
    this.#mask = undefined;
    const { topIds, topLogits, logits } = row, top = this.top;
    const first = top > 0 ? topIds[0]! : largest(logits);
    const value = top > 0 ? topLogits[0]! : logits[first]!;
    if (first < 0 || !Number.isFinite(value)) return -1;
    const greedy = this.#s.temperature === 0;
    if (greedy && this.#bias.length === 0 && !this.#penalises) return first;
    this.#gather(row, top);
    const c = this.#candidates, best = c.best();
    return greedy ? c.id(best) : this.#choose(c.value(best));
  }

  /** Candidates with their altered logits: the sorted-out ones, or all. */
  #gather({ logits, topIds, topLogits }: LogitsRow, top: number): void {
    const c = this.#candidates, altered = this.#bias.length + this.#counts.size;
    if (top === 0) c.all(logits);
    else {
      c.some(logits, topIds, topLogits, Math.min(top, topIds.length), altered);
    }
    this.#alter();
  }

  #alter(): void {
    const c = this.#candidates;
    this.#counts.forEach(this.#penalise);
    for (let i = 0; i < this.#bias.length; i++) {
      const [id, bias] = this.#bias[i]!;
      if (this.#mask !== undefined && !allows(this.#mask, id)) continue;
      const at = c.find(id);
      c.set(at, c.value(at) + bias);
    }
  }

  readonly #penalise = (times: number, id: number): void => {
    if (this.#mask !== undefined && !allows(this.#mask, id)) return;
    const { repetitionPenalty, presencePenalty, frequencyPenalty } = this.#s;
    const c = this.#candidates, at = c.find(id), v = c.value(at);
    c.set(
      at,
      (v > 0 ? v / repetitionPenalty : v * repetitionPenalty) -
        presencePenalty - frequencyPenalty * times,
    );
  };

  /** Cuts by top-k, top-p and min-p, and draws. `best`: the largest value. */
  #choose(best: number): number {
    const { topP, minP } = this.#s, k = this.#k, c = this.#candidates;
    const least = minP > 0 ? best + Math.log(minP) : -Infinity;
    let kept = c.count;
    if (k > 0) {
      kept = Math.min(k, kept);
      c.order();
      for (let i = 0; i < kept; i++) c.take();
    }
    let enough = Infinity;
    if (topP < 1) {
      enough = 0;
      for (let i = 1; i <= kept; i++) {
        enough += Math.exp(c.value(c.count - i) - best);
      }
      enough *= topP;
    }
    if (k === 0) {
      // What min-p leaves out needs no order; without top-p nothing does.
      c.drop(least);
      kept = c.count;
      if (topP < 1) c.order();
    }
    if (k > 0 || topP < 1) {
      let reached = 0, n = 0;
      for (; n < kept && (n === 0 || reached < enough); n++) {
        if (k === 0) c.take();
        const v = c.value(c.count - 1 - n);
        if (n > 0 && v < least) break;
        reached += Math.exp(v - best);
      }
      kept = n;
    }
    return this.#draw(kept, best);
  }

  /** One of the last `n` candidates. */
  #draw(n: number, best: number): number {
    const c = this.#candidates, t = this.#s.temperature, end = c.count - 1;
    let sum = 0;
    for (let i = 0; i < n; i++) {
      const p = Math.exp((c.value(end - i) - best) / t);
      c.set(end - i, p);
      sum += p;
    }
    let left = this.#random() * sum;
    for (let i = 0; i < n; i++) {
      left -= c.value(end - i);
      if (left < 0) return c.id(end - i);
    }
    return c.id(end - n + 1);
  }
}

/** The id of the largest, -1 where none is above -Infinity. NaN is no number. */
function largest(logits: Float32Array): number {
  let best = -1, value = -Infinity;
  for (let i = 0; i < logits.length; i++) {
    if (!(logits[i]! > value)) continue;
    best = i;
    value = logits[i]!;
  }
  return best;
}
