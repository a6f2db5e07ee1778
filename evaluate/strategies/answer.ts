/**
 * One request as its reader sees it: tokens, and when they came.
 *
 * @module
 */
import type { Engine } from "../../engine/engine.ts";
import type { GenerateOptions, Usage } from "../../engine/options.ts";

/** What came of a request. */
export interface Answer {
  readonly text: string;
  readonly tokens: readonly number[];
  /** Milliseconds from the request to the first token and to the last. */
  readonly firstMs: number;
  readonly lastMs: number;
  readonly usage: Usage;
}

/**
 * Runs a request that gives one answer, ends of text ignored.
 *
 * @throws {Error} if no token comes.
 */
export async function answer(
  engine: Pick<Engine, "generate">,
  options: GenerateOptions,
): Promise<Answer> {
  const start = performance.now();
  const tokens: number[] = [];
  let text = "", firstMs = NaN, lastMs = NaN;
  let usage: Usage | undefined;
  for await (const part of engine.generate({ ignoreEos: true, ...options })) {
    text += part.text;
    if (part.tokens.length > 0) {
      lastMs = performance.now() - start;
      if (tokens.length === 0) firstMs = lastMs;
      tokens.push(...part.tokens);
    }
    usage = part.usage ?? usage;
  }
  if (usage === undefined || tokens.length === 0) {
    throw new Error("Cannot measure a request: no token came");
  }
  return { text, tokens, firstMs, lastMs, usage };
}

/** Milliseconds of each token after the first; undefined for one token. */
export function perToken(a: Answer): number | undefined {
  const more = a.tokens.length - 1;
  return more > 0 ? (a.lastMs - a.firstMs) / more : undefined;
}

/** Whether two lists of tokens are the same. */
export function sameTokens(
  a: readonly number[],
  b: readonly number[],
): boolean {
  return a.length === b.length && a.every((token, i) => token === b[i]);
}
