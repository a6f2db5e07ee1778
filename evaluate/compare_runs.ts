/**
 * Several engines over the same chunks of text, one chunk at a time.
 *
 * Rows are teacher forced: each foretells the token that really comes. How a chunk is
 * cut into steps changes nothing, coded K and V included: a query reads every block
 * before its own as the codec keeps it, whether it is computed with that block in one
 * step or long after it. So chunks go as they are, in large steps, and the codec's loss
 * is in every row (`codec_steps_test.ts`).
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import { Divergence, type DivergenceReport, rowSum } from "./divergence.ts";
import { type Chunk, type Estimate, Perplexity } from "./perplexity.ts";

/** The part of an engine that an evaluation uses. */
export type Evaluated = Pick<Engine, "eachLogits" | "spec">;

/** Hears of each part of the work that is done, and of how many there are. */
export type OnRun = (done: number, total: number) => void;

/** How to go through chunks. */
export interface EvaluateOptions {
  readonly chunks: readonly Chunk[];
  /** Called after each chunk of each engine. */
  readonly onRun?: OnRun | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Compares candidates with a reference, row by row; the reference computes each chunk
 * once for all of them. Only the scored rows of one chunk are held, so a vocabulary of
 * any size and a text of any length will do.
 */
export async function compareRuns(
  reference: Evaluated,
  candidates: readonly Evaluated[],
  { chunks, onRun, signal }: EvaluateOptions,
): Promise<readonly DivergenceReport[]> {
  const { vocab } = reference.spec;
  const divergences = candidates.map(() => new Divergence());
  const held: Float32Array[] = [];
  const total = chunks.length * (1 + candidates.length);
  let done = 0;
  for (const { ids, from } of chunks) {
    const row = (position: number): Float32Array =>
      held[position - from] ??= new Float32Array(vocab);
    // The last row foretells a token of the next chunk.
    const scored = ids.slice(0, -1), options = { from, signal };
    await reference.eachLogits(scored, (position, logits) => {
      row(position).set(logits);
    }, options);
    onRun?.(++done, total);
    for (const [i, candidate] of candidates.entries()) {
      await candidate.eachLogits(scored, (position, logits) => {
        divergences[i]!.add(row(position), logits, ids[position + 1]!);
      }, options);
      onRun?.(++done, total);
    }
  }
  return divergences.map((d) => d.report());
}

/** The perplexity of one engine alone. */
export async function perplexityOf(
  engine: Evaluated,
  { chunks, onRun, signal }: EvaluateOptions,
): Promise<Estimate & { readonly rows: number }> {
  const perplexity = new Perplexity();
  for (const [i, { ids, from }] of chunks.entries()) {
    await engine.eachLogits(ids.slice(0, -1), (position, logits) => {
      perplexity.add(logits[ids[position + 1]!]! - rowSum(logits).log);
    }, { from, signal });
    onRun?.(i + 1, chunks.length);
  }
  return { ...perplexity.estimate, rows: perplexity.count };
}
