/**
 * How far one run of a model is from another, token by token of a text.
 *
 * @module
 */
import { quantile } from "../core/testing/compare.ts";
import { type Estimate, Mean, Perplexity } from "./perplexity.ts";

/** Largest logit of a row, and log of the sum of exp of all of them. */
export interface RowSum {
  readonly best: number;
  readonly log: number;
}

/** The two numbers of a row that everything else is made from. */
export function rowSum(logits: Float32Array): RowSum {
  let best = 0;
  for (let i = 1; i < logits.length; i++) {
    if (logits[i]! > logits[best]!) best = i;
  }
  const max = logits[best]!;
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i]! - max);
  return { best, log: max + Math.log(sum) };
}

/** Distances of a candidate's rows from a reference's. Nats. */
export interface DivergenceReport {
  /** Rows compared. */
  readonly rows: number;
  readonly reference: { readonly perplexity: Estimate };
  readonly candidate: { readonly perplexity: Estimate };
  /** Kullback-Leibler divergence of the candidate from the reference. */
  readonly kld: {
    readonly mean: Estimate;
    readonly median: number;
    readonly p99: number;
    readonly p999: number;
    readonly max: number;
  };
  /** Share of rows with the same likeliest token. */
  readonly sameTop: Estimate;
  /** Root mean square of what the next token's probability changed by. */
  readonly rmsDeltaP: Estimate;
}

/** Takes pairs of rows and keeps a few numbers of each. */
export class Divergence {
  readonly #reference = new Perplexity();
  readonly #candidate = new Perplexity();
  readonly #kld = new Mean();
  readonly #klds: number[] = [];
  readonly #squares = new Mean();
  #same = 0;

  /** Takes one row of logits of each run; `next` is the token that came. */
  add(reference: Float32Array, candidate: Float32Array, next: number): void {
    if (reference.length !== candidate.length) {
      throw new RangeError(
        `Cannot compare rows of ${reference.length} and ${candidate.length} logits: load the same model twice`,
      );
    }
    const a = rowSum(reference), b = rowSum(candidate);
    // Σ p (log p - log q), with the logarithms of the sums taken out of it.
    let sum = 0;
    for (let i = 0; i < reference.length; i++) {
      const x = reference[i]!;
      sum += Math.exp(x - a.log) * (x - candidate[i]!);
    }
    const kld = sum - a.log + b.log;
    this.#kld.add(kld);
    this.#klds.push(kld);
    const logP = reference[next]! - a.log, logQ = candidate[next]! - b.log;
    this.#reference.add(logP);
    this.#candidate.add(logQ);
    this.#squares.add((Math.exp(logQ) - Math.exp(logP)) ** 2);
    if (a.best === b.best) this.#same++;
  }

  /** The figures so far. */
  report(): DivergenceReport {
    const rows = this.#klds.length, same = this.#same / rows;
    const sorted = this.#klds.toSorted((a, b) => a - b);
    const squares = this.#squares.estimate, rms = Math.sqrt(squares.value);
    return {
      rows,
      reference: { perplexity: this.#reference.estimate },
      candidate: { perplexity: this.#candidate.estimate },
      kld: {
        mean: this.#kld.estimate,
        median: quantile(sorted, 0.5),
        p99: quantile(sorted, 0.99),
        p999: quantile(sorted, 0.999),
        max: sorted.at(-1) ?? NaN,
      },
      sameTop: {
        value: same,
        error: Math.sqrt(same * (1 - same) / (rows - 1)),
      },
      rmsDeltaP: {
        value: rms,
        error: squares.error / (2 * rms || 1),
      },
    };
  }
}
