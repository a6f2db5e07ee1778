/**
 * How long a candidate's greedy text stays the reference's.
 *
 * The likeliest token is often likeliest by little, and one other choice makes another
 * text, so lengths vary much: this shows what users may notice, divergence what is so.
 *
 * @module
 */
import { quantile } from "../core/testing/compare.ts";
import type { Engine } from "../engine/engine.ts";
import type { OnRun } from "./compare_runs.ts";
import { type ChunkTokenizer, type Estimate, Mean } from "./perplexity.ts";

/** Greedy texts compared. */
export interface AgreementReport {
  readonly prompts: number;
  /** Tokens made after each prompt: N. */
  readonly most: number;
  /** Tokens before the first that differs; N where none does. */
  readonly lengths: readonly number[];
  /** Their mean and its error. Texts that never differ count as N. */
  readonly mean: Estimate;
  readonly median: number;
  /** Share of texts that are the same to the end; the error of a binomial share. */
  readonly never: Estimate;
}

/** The part of an engine that continues texts. */
export type Continues = Pick<Engine, "generate">;

/** How texts are continued. */
export interface AgreementOptions {
  readonly prompts: readonly (readonly number[])[];
  /** Tokens made after each. */
  readonly most: number;
  /** Called after each engine. */
  readonly onRun?: OnRun | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * `count` prompts of `size` tokens, evenly over the text, BOS in front where the model
 * wants it.
 *
 * @throws {RangeError} for a text in which they would overlap.
 */
export function cutPrompts(
  tokenizer: ChunkTokenizer,
  text: string,
  count: number,
  size: number,
): readonly (readonly number[])[] {
  const { bos, addBos } = tokenizer;
  const ids = tokenizer.encode(text);
  if (ids.length < count * size) {
    throw new RangeError(
      `Cannot cut a text of ${ids.length} tokens into ${count} prompts of ${size}: pass a longer text`,
    );
  }
  const apart = ids.length / count;
  return Array.from({ length: count }, (_, i) => {
    const prompt = ids.slice(
      Math.floor(i * apart),
      Math.floor(i * apart) + size,
    );
    if (addBos && bos !== undefined) prompt[0] = bos;
    return prompt;
  });
}

/** Continues every prompt by the likeliest tokens, by the reference once. */
export async function compareGreedy(
  reference: Continues,
  candidates: readonly Continues[],
  { prompts, most, onRun, signal }: AgreementOptions,
): Promise<readonly AgreementReport[]> {
  const total = 1 + candidates.length;
  const run = async (engine: Continues, i: number): Promise<number[][]> => {
    // Together: what a text is does not depend on its company.
    const texts = await Promise.all(
      prompts.map((tokens) => greedy(engine, tokens, most, signal)),
    );
    onRun?.(i + 1, total);
    return texts;
  };
  const wanted = await run(reference, 0);
  const reports: AgreementReport[] = [];
  for (const [i, candidate] of candidates.entries()) {
    const got = await run(candidate, i + 1);
    reports.push(agreementOf(wanted, got, most));
  }
  return reports;
}

/** Counts tokens up to where each pair of texts first differs. */
export function agreementOf(
  wanted: readonly (readonly number[])[],
  got: readonly (readonly number[])[],
  most: number,
): AgreementReport {
  const lengths = wanted.map((tokens, i) => {
    const at = Array.from({ length: most }, (_, k) => k)
      .findIndex((k) => tokens[k] !== got[i]![k]);
    return at < 0 ? most : at;
  });
  const mean = new Mean(), { length } = lengths;
  for (const n of lengths) mean.add(n);
  const never = lengths.filter((n) => n === most).length / length;
  return {
    prompts: length,
    most,
    lengths,
    mean: mean.estimate,
    median: quantile(lengths, 0.5),
    never: {
      value: never,
      error: Math.sqrt(never * (1 - never) / (length - 1)),
    },
  };
}

/** The likeliest `most` tokens after `tokens`, whatever they are. */
async function greedy(
  engine: Continues,
  tokens: readonly number[],
  most: number,
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const made: number[] = [];
  const options = { tokens, maxTokens: most, ignoreEos: true, signal };
  for await (const part of engine.generate(options)) made.push(...part.tokens);
  return made;
}
