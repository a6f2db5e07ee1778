/**
 * Two engines over the same chunks of text, one chunk at a time.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import { Divergence, type DivergenceReport, rowSum } from "./divergence.ts";
import { type Chunk, type Estimate, Perplexity } from "./perplexity.ts";

/** The part of an engine that an evaluation uses. */
export type Evaluated = Pick<Engine, "eachLogits" | "spec">;

/** How to go through chunks. */
export interface EvaluateOptions {
  readonly chunks: readonly Chunk[];
  /** Called after each chunk with how many are done. */
  readonly onChunk?: ((done: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Compares a candidate with a reference, row by row. Only the scored rows of one
 * chunk are held, so a vocabulary of any size and a text of any length will do.
 */
export async function compareRuns(
  reference: Evaluated,
  candidate: Evaluated,
  { chunks, onChunk, signal }: EvaluateOptions,
): Promise<DivergenceReport> {
  const { vocab } = reference.spec;
  const divergence = new Divergence();
  const held: Float32Array[] = [];
  for (const [i, { ids, from }] of chunks.entries()) {
    const row = (position: number): Float32Array =>
      held[position - from] ??= new Float32Array(vocab);
    // The last row foretells a token of the next chunk.
    const scored = ids.slice(0, -1), options = { from, signal };
    await reference.eachLogits(scored, (position, logits) => {
      row(position).set(logits);
    }, options);
    await candidate.eachLogits(scored, (position, logits) => {
      divergence.add(row(position), logits, ids[position + 1]!);
    }, options);
    onChunk?.(i + 1);
  }
  return divergence.report();
}

/** The perplexity of one engine alone. */
export async function perplexityOf(
  engine: Evaluated,
  { chunks, onChunk, signal }: EvaluateOptions,
): Promise<Estimate & { readonly rows: number }> {
  const perplexity = new Perplexity();
  for (const [i, { ids, from }] of chunks.entries()) {
    await engine.eachLogits(ids.slice(0, -1), (position, logits) => {
      perplexity.add(logits[ids[position + 1]!]! - rowSum(logits).log);
    }, { from, signal });
    onChunk?.(i + 1);
  }
  return { ...perplexity.estimate, rows: perplexity.count };
}
