/**
 * How far one run of a model is from another, token by token of a text.
 *
 * The figures are those of llama.cpp's perplexity tool with `--kl-divergence`. A row
 * has the reference's probabilities p, the candidate's q, and the token t that came:
 *
 * ```text
 *  kld        Σ p (ln p - ln q) over the whole vocabulary
 *  lnRatio    ln p(t) - ln q(t); its mean is ln (PPL of the candidate / PPL of the reference)
 *  Δp         q(t) - p(t)
 *  sameTop    the largest of p and of q is the same token, the lower id of equal ones
 * ```
 * An error is the standard error of a mean over rows, as if rows were independent. The
 * paired error of `lnRatio` is far smaller than those of two perplexities together.
 *
 * @module
 */
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
  /** Mean of ln (perplexity of the candidate / of the reference), row by row. */
  readonly lnRatio: Estimate;
  /** exp of that: the candidate's perplexity over the reference's; its error by the slope. */
  readonly ratio: Estimate;
  /**
   * Kullback-Leibler divergence of the candidate from the reference. `p90` is the value
   * that 90 % of the rows do not exceed, between two rows by straight line.
   */
  readonly kld: {
    readonly mean: Estimate;
    readonly median: number;
    readonly p90: number;
    readonly p95: number;
    readonly p99: number;
    readonly p999: number;
    readonly max: number;
  };
  /** Share of rows with the same likeliest token; the error of a binomial share. */
  readonly sameTop: Estimate;
  /** Mean of what the next token's probability changed by; below 0: less likely. */
  readonly meanDeltaP: Estimate;
  /** Its root mean square; the error is that of the mean square, by the root's slope. */
  readonly rmsDeltaP: Estimate;
}

/** Takes pairs of rows and keeps a few numbers of each. */
export class Divergence {
  readonly #reference = new Perplexity();
  readonly #candidate = new Perplexity();
  readonly #kld = new Mean();
  readonly #klds: number[] = [];
  readonly #lnRatio = new Mean();
  readonly #deltaP = new Mean();
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
    this.#lnRatio.add(logP - logQ);
    const deltaP = Math.exp(logQ) - Math.exp(logP);
    this.#deltaP.add(deltaP);
    this.#squares.add(deltaP ** 2);
    if (a.best === b.best) this.#same++;
  }

  /** The figures so far. NaN in one row shows in all of them but `sameTop`. */
  report(): DivergenceReport {
    const rows = this.#klds.length, same = this.#same / rows;
    const mean = this.#kld.estimate, lnRatio = this.#lnRatio.estimate;
    const sorted = Float64Array.from(this.#klds).sort();
    const at = (share: number): number =>
      Number.isNaN(mean.value) ? NaN : between(sorted, share);
    const squares = this.#squares.estimate, rms = Math.sqrt(squares.value);
    const ratio = Math.exp(lnRatio.value);
    return {
      rows,
      reference: { perplexity: this.#reference.estimate },
      candidate: { perplexity: this.#candidate.estimate },
      lnRatio,
      ratio: { value: ratio, error: ratio * lnRatio.error },
      kld: {
        mean,
        median: at(0.5),
        p90: at(0.9),
        p95: at(0.95),
        p99: at(0.99),
        p999: at(0.999),
        max: at(1),
      },
      sameTop: {
        value: same,
        error: Math.sqrt(same * (1 - same) / (rows - 1)),
      },
      meanDeltaP: this.#deltaP.estimate,
      rmsDeltaP: {
        value: rms,
        error: squares.error / (2 * rms || 1),
      },
    };
  }
}

/** The value of `sorted` at a share of its length, between two by straight line. */
function between(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1), low = Math.floor(at);
  const a = sorted[low]!, b = sorted[Math.min(low + 1, sorted.length - 1)]!;
  return a + (b - a) * (at - low);
}
