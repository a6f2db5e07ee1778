/**
 * A layer's experts: which of them each row takes, and the sum of what they give.
 *
 * @module
 */
import {
  allExperts,
  type ExpertsSpec,
  type MlpSpec,
  type ModelSpec,
} from "../model.ts";
import { matmul } from "./matmul.ts";

/** An expert that a row takes, and its weight in the sum. */
export interface Taken {
  readonly expert: number;
  readonly weight: number;
}

/**
 * The experts of a row with these scores: largest first, ties by lower number. Weights
 * are a softmax over all scores, divided by their sum where `normalised`.
 */
export function route(
  scores: ArrayLike<number>,
  { used, normalised }: Pick<ExpertsSpec, "used" | "normalised">,
): readonly Taken[] {
  const all = Array.from(scores, (score, expert) => ({ score, expert }));
  const best = all.toSorted((a, b) => b.score - a.score || a.expert - b.expert);
  const top = best[0]!.score;
  const exp = (of: typeof all) => of.map((e) => Math.exp(e.score - top));
  const taken = best.slice(0, used), over = exp(normalised ? taken : all);
  const sum = over.reduce((sum, x) => sum + x, 0);
  const share = exp(taken).map((x) => x / sum);
  return taken.map(({ expert }, i) => ({ expert, weight: share[i]! }));
}

/** Where an expert's parts are, and room for one row of results. */
interface Parts {
  readonly spec: ModelSpec;
  weight(name: string): Float32Array;
  readonly activations: {
    readonly part: Float32Array;
    readonly scores: Float32Array;
  };
}

/**
 * Replaces each row of `y` by the sum of what its experts give, in the order of their
 * ranks, and of what `mlp` gives, where there is one. `run` computes an MLP.
 */
export function expertsOf(
  { spec: { hidden }, weight, activations }: Parts,
  experts: ExpertsSpec,
  mlp: MlpSpec | undefined,
  run: (one: MlpSpec, x: Float32Array, out: Float32Array) => void,
  y: Float32Array,
): void {
  const all = allExperts(experts), { shared } = experts;
  const part = activations.part.subarray(0, hidden);
  const sum = activations.part.subarray(hidden);
  const scores = activations.scores.subarray(0, experts.each.length);
  for (let from = 0; from < y.length; from += hidden) {
    const row = y.subarray(from, from + hidden);
    matmul(row, weight(experts.router), hidden, scores);
    const taken = [...route(scores, experts)];
    if (shared !== undefined) {
      const score = dot(row, weight(shared.gate));
      const share = 1 / (1 + Math.exp(-score));
      taken.push({ expert: all.length - 1, weight: share });
    }
    if (mlp === undefined) sum.fill(0);
    else run(mlp, row, sum);
    for (const { expert, weight } of taken) {
      run(all[expert]!, row, part);
      part.forEach((value, i) => sum[i]! += weight * value);
    }
    row.set(sum);
  }
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, x, i) => sum + x * b[i]!, 0);
}
