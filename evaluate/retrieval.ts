/**
 * Whether a key hidden in a long text is found, over depths and lengths.
 *
 * A small model often fails, whatever its cache is kept in. So besides the share of
 * keys that greedy answers contain, the log-probability of the right key is measured:
 * what a candidate loses of the reference's shows long before an answer is wrong.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import type { OnRun } from "./compare_runs.ts";
import { rowSum } from "./divergence.ts";
import { buildHaystack, type Filler, type Haystack } from "./haystack.ts";
import { type Estimate, Mean } from "./perplexity.ts";

/** A grid of texts with keys. */
export interface RetrievalOptions {
  /** What fills the texts. */
  readonly filler: Filler;
  /** Tokens of the texts, the key included. */
  readonly lengths: readonly number[];
  /** Where the key is, 0 (first) to 1 (last). */
  readonly depths: readonly number[];
  /** Keys for each length and depth. */
  readonly keys: number;
  /** Same seed, same texts. */
  readonly seed: number;
  /** Called after each text of each engine. */
  readonly onRun?: OnRun | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One length and depth. */
export interface RetrievalCell {
  readonly length: number;
  readonly depth: number;
  /** Keys that a greedy answer contained, of `keys`. */
  readonly found: number;
  readonly keys: number;
  /** Mean log-probability of the right key, nats. */
  readonly logProbability: number;
  /** That minus the reference's, 0 for the reference. */
  readonly difference: number;
}

/** What an engine found. */
export interface RetrievalReport {
  readonly task: string;
  /** Share of keys that greedy answers contained; the error of a binomial share. */
  readonly found: Estimate;
  /** Log-probability of the right key, nats. */
  readonly logProbability: Estimate;
  /** That minus the reference's, key by key. Below 0: less likely. */
  readonly difference: Estimate;
  readonly cells: readonly RetrievalCell[];
}

/** The part of an engine that is asked for keys. */
export type Asked = Pick<Engine, "eachLogits" | "generate" | "tokenizer">;

/** What `askForKey()` heard. */
interface Answer {
  readonly found: boolean;
  readonly logProbability: number;
}

/** Tokens that an answer may have before and after the key. */
const ROOM = 8;

/**
 * Asks all engines for the same keys. The first report is the reference's, the others
 * are the candidates' in their order.
 *
 * @throws {RangeError} for a length that has no room for a key, or an empty grid.
 */
export async function compareRetrieval(
  reference: Asked,
  candidates: readonly Asked[],
  { filler, lengths, depths, keys, seed, onRun, signal }: RetrievalOptions,
): Promise<readonly RetrievalReport[]> {
  const engines = [reference, ...candidates];
  const total = lengths.length * depths.length * keys * engines.length;
  if (!(total > 0)) {
    throw new RangeError(
      `Cannot ask for keys at ${lengths.length} lengths, ${depths.length} depths and ${keys} keys each: at least one of each is wanted`,
    );
  }
  const grids = engines.map(() => new Grid(filler.name));
  let done = 0;
  for (const length of lengths) {
    for (const [d, depth] of depths.entries()) {
      const heard: Answer[][] = engines.map(() => []);
      for (let k = 0; k < keys; k++) {
        const haystack = buildHaystack(reference.tokenizer, {
          filler,
          tokens: length,
          depth,
          seed: seed + d * keys + k,
        });
        for (const [i, engine] of engines.entries()) {
          heard[i]!.push(await askForKey(engine, haystack, signal));
          onRun?.(++done, total);
        }
      }
      grids.forEach((g, i) => g.add(length, depth, heard[i]!, heard[0]!));
    }
  }
  return grids.map((g) => g.report());
}

/** How likely the right key is, and whether the likeliest answer has it. */
async function askForKey(
  engine: Asked,
  { key, prompt, answer }: Haystack,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const ids = [...prompt, ...answer], from = prompt.length - 1;
  let logProbability = 0, best = true;
  await engine.eachLogits(ids.slice(0, -1), (position, logits) => {
    const sum = rowSum(logits), next = ids[position + 1]!;
    logProbability += logits[next]! - sum.log;
    best &&= sum.best === next;
  }, { from, signal });
  // Where each token of the key is the likeliest, the greedy answer begins with it.
  if (best) return { found: true, logProbability };
  let text = "";
  const maxTokens = answer.length + ROOM;
  for await (
    const part of engine.generate({ tokens: prompt, maxTokens, signal })
  ) text += part.text;
  return { found: text.includes(key), logProbability };
}

/** Gathers cells. */
class Grid {
  readonly #task: string;
  readonly #found = new Mean();
  readonly #logProbability = new Mean();
  readonly #difference = new Mean();
  readonly #cells: RetrievalCell[] = [];

  constructor(task: string) {
    this.#task = task;
  }

  add(
    length: number,
    depth: number,
    heard: readonly Answer[],
    reference: readonly Answer[],
  ): void {
    const mean = new Mean(), difference = new Mean();
    for (const [i, { found, logProbability }] of heard.entries()) {
      const less = logProbability - reference[i]!.logProbability;
      this.#found.add(found ? 1 : 0);
      for (const m of [mean, this.#logProbability]) m.add(logProbability);
      for (const m of [difference, this.#difference]) m.add(less);
    }
    this.#cells.push({
      length,
      depth,
      found: heard.filter((h) => h.found).length,
      keys: heard.length,
      logProbability: mean.estimate.value,
      difference: difference.estimate.value,
    });
  }

  report(): RetrievalReport {
    return {
      task: this.#task,
      found: this.#found.estimate,
      logProbability: this.#logProbability.estimate,
      difference: this.#difference.estimate,
      cells: this.#cells,
    };
  }
}
