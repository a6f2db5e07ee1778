/**
 * Beam search: which hypotheses live on, by the definitions of Hugging Face
 * transformers. Knows nothing of caches or backends.
 *
 * Transformers has had two forms of it. Where they differ, this follows the one
 * that `generate()` runs today (the vectorised loop), so that results can be
 * compared with it:
 *
 * - At `maxTokens` the best `width` candidates of the last step, end tokens among
 *   them, are added to the finished ones together. The older scorer added its live
 *   hypotheses afterwards, and none where the last end tokens had made it done.
 * - "Can a live one still get better" looks at the best live hypothesis. The older
 *   scorer looked at the best candidate, which may have just ended.
 * - Lengths count made tokens only, the end token included. Early versions counted
 *   the prompt as well and the end token not.
 *
 * Two things differ from both, by intent. Where there are fewer candidates than
 * `width`, there are fewer live hypotheses; transformers keeps copies of the prompt
 * at -1e9, which can even finish and so stop a search. And sums are f64, not f32.
 *
 * @module
 */
import type { Finish } from "./options.ts";

/** Most hypotheses side by side. */
const MOST_WIDTH = 64;

/** Settings of a search. */
export interface BeamOptions {
  /** Hypotheses side by side, 1 to 64. */
  readonly width: number;
  /**
   * A finished hypothesis scores its sum of log-probabilities divided by its
   * length to this power: above 0 favours long ones, below 0 short ones. Default 1.
   */
  readonly lengthPenalty?: number | undefined;
  /**
   * When to stop once `width` are finished. true: at once. false (default): when
   * the best live one, scored as it is, is no better than the worst of them.
   * "never": when no live one can become better.
   */
  readonly earlyStopping?: boolean | "never" | undefined;
  /** Most tokens of a hypothesis, the end token included. */
  readonly maxTokens: number;
  /** Tokens that end a hypothesis. */
  readonly eog: ReadonlySet<number>;
  /** How many results, 1 to `width`. Default 1. */
  readonly returns?: number | undefined;
}

/** What may follow one live hypothesis. */
export interface BeamCandidates {
  /** Different tokens, in any order; a negative one ends the list. */
  readonly ids: Int32Array;
  /** Their natural log-probabilities; one that is no finite number is left out. */
  readonly logProbs: Float32Array | Float64Array;
}

/** Checked options, defaults filled in. */
type Checked = Required<
  { [K in keyof BeamOptions]: NonNullable<BeamOptions[K]> }
>;

/** A finished hypothesis. */
export interface BeamResult {
  /** Its tokens; the last is an end token where `finish` is "stop". */
  readonly tokens: number[];
  /** Whether an end token or `maxTokens` ended it. */
  readonly finish: Finish;
  /** Sum of the log-probabilities of its tokens. */
  readonly logProb: number;
  /** `logProb` after the length penalty. */
  readonly score: number;
}

/**
 * One search. Allocates nothing per token, but for a history that doubles.
 *
 * ```text
 *  history   0     1  2     3    4  5        one node a token, numbered as made
 *            root  live     end  live        live ones of a step lie together
 *                  ▲ #first before           ▲ #first after the second step
 * ```
 */
export class BeamSearch {
  /**
   * How many of its likeliest tokens (ties: the lower ids) a live hypothesis must
   * bring. More cannot matter: `width` decide which end tokens count, and among
   * this many are `width` that are no end tokens. So the (1 + ends) × width best
   * of all, which the definition looks at, never leave out one that would live.
   */
  readonly candidatesWanted: number;
  /** Live hypotheses: 1, the prompt, before the first step; 0 when done. */
  live = 1;
  /** Which hypothesis of the step before each live one goes on from. */
  readonly parents: Int32Array;
  /** The newest token of each live one. */
  readonly tokens: Int32Array;
  /** Tokens that each live one has made. */
  length = 0;
  readonly #o: Checked;
  /** The best candidates of a step, and the best that are no end tokens. */
  readonly #best: Ranking;
  readonly #next: Ranking;
  /** Scores and nodes. */
  readonly #finished: Ranking;
  #nodes = 1;
  #first = 0;
  #parentOf = new Int32Array(256);
  #tokenOf = new Int32Array(256);
  #sumOf = new Float64Array(256);

  /** Throws a RangeError for an option out of bounds. */
  constructor(options: BeamOptions) {
    const o = this.#o = checked(options), width = o.width;
    this.candidatesWanted = width + o.eog.size;
    this.parents = new Int32Array(width);
    this.tokens = new Int32Array(width);
    this.#best = new Ranking(width);
    this.#next = new Ranking(width);
    this.#finished = new Ranking(width);
  }

  /** Nothing goes on; `results()` are final. */
  get done(): boolean {
    return this.live === 0;
  }

  /** Sum of the log-probabilities of a live hypothesis. */
  logProb(beam: number): number {
    return this.#sumOf[this.#first + beam]!;
  }

  /**
   * Takes the candidates of live hypothesis i from `candidates[i]`, and sets
   * `live`, `parents` and `tokens`. Throws an Error where the search is done, a
   * RangeError where lists are missing.
   */
  step(candidates: readonly BeamCandidates[]): void {
    if (this.done) {
      throw new Error(
        `Cannot step "beam search": it is done, take its results`,
      );
    }
    if (candidates.length < this.live) {
      throw new RangeError(
        `Cannot step "beam search": ${this.live} lists of candidates are wanted, there are ${candidates.length}, give one for each live hypothesis`,
      );
    }
    const { width, eog, maxTokens } = this.#o;
    const best = this.#best, next = this.#next;
    this.#rank(candidates);
    const last = ++this.length === maxTokens;
    for (let i = 0; i < best.count; i++) {
      const token = best.rights[i]!;
      if (!last && !eog.has(token)) continue;
      const sum = best.values[i]!, node = this.#nodes;
      if (!this.#finished.offer(this.#score(sum, this.length), node, 0)) {
        continue;
      }
      this.#add(best.lefts[i]!, token, sum);
    }
    const first = this.#nodes;
    this.live = 0;
    if (last) return;
    if (this.#finished.count === width && this.#enough(next.values[0]!)) return;
    for (let i = 0; i < next.count; i++) {
      this.parents[i] = next.lefts[i]!;
      this.tokens[i] = next.rights[i]!;
      this.#add(next.lefts[i]!, next.rights[i]!, next.values[i]!);
    }
    this.#first = first;
    this.live = next.count;
  }

  /** The best finished ones, best first; fewer than `returns` where there are not more. */
  results(): BeamResult[] {
    const finished = this.#finished, results: BeamResult[] = [];
    for (let i = 0; i < Math.min(this.#o.returns, finished.count); i++) {
      const tokens: number[] = [], end = finished.lefts[i]!;
      for (let node = end; node > 0; node = this.#parentOf[node]!) {
        tokens.push(this.#tokenOf[node]!);
      }
      results.push({
        tokens: tokens.reverse(),
        finish: this.#o.eog.has(this.#tokenOf[end]!) ? "stop" : "length",
        logProb: this.#sumOf[end]!,
        score: finished.values[i]!,
      });
    }
    return results;
  }

  #rank(candidates: readonly BeamCandidates[]): void {
    const best = this.#best, next = this.#next, eog = this.#o.eog;
    best.count = next.count = 0;
    for (let beam = 0; beam < this.live; beam++) {
      const { ids, logProbs } = candidates[beam]!;
      const before = this.logProb(beam);
      for (let i = 0; i < ids.length && ids[i]! >= 0; i++) {
        const sum = before + logProbs[i]!;
        if (!Number.isFinite(sum)) continue;
        best.offer(sum, beam, ids[i]!);
        if (!eog.has(ids[i]!)) next.offer(sum, beam, ids[i]!);
      }
    }
  }

  /** `width` are finished: whether that is enough. `sum`: of the best live one. */
  #enough(sum: number): boolean {
    const { width, earlyStopping, lengthPenalty, maxTokens } = this.#o;
    if (earlyStopping === true) return true;
    const far = earlyStopping === "never" && lengthPenalty > 0;
    return this.#finished.values[width - 1]! >=
      this.#score(sum, far ? maxTokens : this.length);
  }

  #score(sum: number, length: number): number {
    // 0 / 0 where a large negative penalty makes the divisor vanish.
    return sum === 0 ? 0 : sum / length ** this.#o.lengthPenalty;
  }

  #add(beam: number, token: number, sum: number): void {
    const node = this.#nodes++;
    if (node === this.#sumOf.length) this.#grow(2 * node);
    this.#parentOf[node] = this.#first + beam;
    this.#tokenOf[node] = token;
    this.#sumOf[node] = sum;
  }

  #grow(room: number): void {
    const parents = this.#parentOf, tokens = this.#tokenOf, sums = this.#sumOf;
    (this.#parentOf = new Int32Array(room)).set(parents);
    (this.#tokenOf = new Int32Array(room)).set(tokens);
    (this.#sumOf = new Float64Array(room)).set(sums);
  }
}

/** The largest values offered, best first; ties by the lower left, then right. */
class Ranking {
  count = 0;
  readonly values: Float64Array;
  readonly lefts: Int32Array;
  readonly rights: Int32Array;

  constructor(most: number) {
    this.values = new Float64Array(most);
    this.lefts = new Int32Array(most);
    this.rights = new Int32Array(most);
  }

  /** Whether it is kept; the worst goes where there is no room. */
  offer(value: number, left: number, right: number): boolean {
    const { values, lefts, rights } = this;
    let at = this.count;
    if (at < values.length) this.count++;
    else if (this.#before(value, left, right, at - 1)) at--;
    else return false;
    for (; at > 0 && this.#before(value, left, right, at - 1); at--) {
      values[at] = values[at - 1]!;
      lefts[at] = lefts[at - 1]!;
      rights[at] = rights[at - 1]!;
    }
    values[at] = value;
    lefts[at] = left;
    rights[at] = right;
    return true;
  }

  #before(value: number, left: number, right: number, rank: number): boolean {
    const v = this.values[rank]!, l = this.lefts[rank]!;
    if (value !== v) return value > v;
    return left < l || (left === l && right < this.rights[rank]!);
  }
}

/** Fills defaults in. Throws a RangeError for an option out of bounds. */
function checked(o: BeamOptions): Checked {
  const { lengthPenalty = 1, earlyStopping = false, returns = 1 } = o;
  const refuse = (name: keyof BeamOptions, wanted: string): never => {
    throw new RangeError(
      `Cannot search with "${name}" ${String(o[name])}: ${wanted} is wanted`,
    );
  };
  const whole = (
    name: "width" | "maxTokens" | "returns",
    value: number,
    most: number,
  ) => {
    if (Number.isInteger(value) && value >= 1 && value <= most) return;
    refuse(
      name,
      most === Infinity
        ? "a whole number from 1"
        : `a whole number from 1 to ${most}`,
    );
  };
  whole("width", o.width, MOST_WIDTH);
  whole("maxTokens", o.maxTokens, Infinity);
  whole("returns", returns, o.width);
  if (!Number.isFinite(lengthPenalty)) {
    refuse("lengthPenalty", "a finite number");
  }
  if (typeof earlyStopping !== "boolean" && earlyStopping !== "never") {
    refuse("earlyStopping", `true, false or "never"`);
  }
  return { ...o, lengthPenalty, earlyStopping, returns };
}
