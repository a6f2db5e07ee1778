/**
 * Whether a beam search can run here, and what it took.
 *
 * @module
 */
import type { BackendLimits } from "../core/backend.ts";
import type { KVCache } from "../core/cache.ts";
import type { BeamGroup } from "./beam_group.ts";
import type { Usage } from "./options.ts";

/**
 * Throws a RangeError where so many hypotheses do not fit into a step, the
 * sorted-out logits, or the K/V memory together.
 */
export function checkBeams(
  beams: number,
  prompt: number,
  maxTokens: number,
  ends: number,
  limits: BackendLimits,
  cache: Pick<KVCache, "forkedBytes" | "budgetBytes">,
): void {
  const rows = Math.min(limits.rows, limits.seqs, limits.wanted);
  if (beams > rows) {
    throw new RangeError(
      `Cannot search with ${beams} beams: ${rows} run together at most; load with a larger "parallel"`,
    );
  }
  if (beams + ends > limits.top) {
    throw new RangeError(
      `Cannot search with ${beams} beams: the backend sorts out ${limits.top} candidates a beam, ${
        beams + ends
      } are wanted; search with fewer`,
    );
  }
  const bytes = cache.forkedBytes(prompt + maxTokens - 1, prompt - 1, beams);
  if (bytes <= cache.budgetBytes) return;
  throw new RangeError(
    `Cannot search with ${beams} beams for ${maxTokens} tokens after ${prompt}: their K/V take up to ${bytes} bytes, the budget leaves ${cache.budgetBytes}; ` +
      'search with fewer, ask for fewer tokens, or raise "budget"',
  );
}

/** What a search took; every result is given the same times. */
export function beamUsage(
  { cached, miss, firstAt, lastAt }: BeamGroup,
  promptTokens: number,
  completionTokens: number,
  started: number,
): Usage {
  const ttftMs = firstAt - started, decodeMs = lastAt - firstAt;
  return {
    promptTokens,
    cachedTokens: cached,
    miss,
    completionTokens,
    ttftMs,
    decodeMs,
    promptPerSecond: ttftMs > 0 ? (promptTokens - cached) * 1000 / ttftMs : 0,
    tokensPerSecond: completionTokens > 1 && decodeMs > 0
      ? (completionTokens - 1) * 1000 / decodeMs
      : 0,
  };
}
