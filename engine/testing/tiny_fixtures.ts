/**
 * The tiny models with known outputs, and what an implementation must reach on
 * them. One suite for every backend: it sees ids going in and logits coming out.
 *
 * @module
 */
import {
  argMax,
  logSoftmax,
  maxAbsDiff,
  quantile,
  rmsDiff,
  sameTop,
} from "../../core/testing/compare.ts";

const FOLDER = new URL(
  "../../../shared/fixtures/tiny/dev/",
  import.meta.url,
);

/** One sequence of a fixture, from position 0. Log-probabilities are natural. */
export interface TinySequence {
  readonly name: string;
  readonly tokens: readonly number[];
  /** The five likeliest at every position, best first. */
  readonly top5_ids: readonly (readonly number[])[];
  readonly top5_logprobs: readonly (readonly number[])[];
  /**
   * With experts: how far the last one chosen is from the first not chosen, the least
   * of all layers, at every position of the sequence and its continuation.
   */
  readonly router_margins?: readonly number[];
  /** All logits at the last of `tokens`. */
  readonly last_logits: readonly number[];
  /** Arg max after arg max, from the end of `tokens`. */
  readonly greedy: {
    readonly tokens: readonly number[];
    /** Logit of the winner less the runner-up's. */
    readonly margins: readonly number[];
    readonly logprobs: readonly number[];
  };
}

/** A tiny model and its expected outputs. */
export interface TinyFixture {
  readonly name: string;
  /** Path of the GGUF file. */
  readonly path: string;
  readonly architecture: string;
  readonly sequences: readonly TinySequence[];
}

/** Logits, tokens × vocabulary row by row, of `ids` from position 0. */
export type TinyLogits = (ids: readonly number[]) => Promise<Float32Array>;

/** How an implementation computes, which says how near it must come. */
export type TinyLevel = "float32" | "half_kv" | "int8" | "int8_experts";

/** Distances from the reference over all sequences of one fixture. */
export interface TinyFigures {
  /** Whole vocabulary at the last positions, |d log-probability|. */
  readonly last: number;
  /** Its root mean square. */
  readonly rms: number;
  /** The reference's five best at every position, |d log-probability|. */
  readonly top5: number;
  /** Of the worst of the five at each position, what 95 % do not exceed. */
  readonly p95: number;
  /** And what half of them do not exceed. */
  readonly median: number;
  /** The same as `p95` of positions where no layer nearly chose another expert. */
  readonly calm: number;
  /** The greedy continuation's tokens, teacher forced, |d log-probability|. */
  readonly greedy: number;
  /** Positions whose five best are others, or in another order beyond a tie. */
  readonly reordered: number;
  /** Largest margin of a position whose arg max is another, 0 for none. */
  readonly flippedMargin: number;
  /** Positions of continuations whose arg max is another. */
  readonly greedyDiffers: number;
}

type Bounds = Partial<TinyFigures>;

/** The fixtures' own table of tolerances. */
const BOUNDS: Readonly<Record<TinyLevel, Bounds>> = {
  float32: {
    last: 5e-4,
    top5: 5e-4,
    greedy: 5e-4,
    reordered: 0,
    greedyDiffers: 0,
  },
  half_kv: { top5: 0.1, greedy: 0.1, flippedMargin: 0.2 },
  int8: { p95: 1, rms: 0.3, flippedMargin: 1.5 },
  // Another rounding may choose another expert: such a position may be far off.
  int8_experts: { median: 0.5, calm: 1 },
};

/** Two log-probabilities nearer than this may stand in either order. */
const TIE = 1e-3;

/** Router logits nearer than this may choose either expert in eight bits. */
const NEAR = 0.2;

/**
 * Names of the models; none where the fixtures are absent.
 */
export function tinyModels(): readonly string[] {
  let text: string;
  try {
    text = Deno.readTextFileSync(new URL("index.json", FOLDER));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  const { models } = JSON.parse(text) as {
    models: {
      model: string;
    }[];
  };
  return models
    .map((m) => m.model.replace(/\.gguf$/, ""));
}

/** Reads the expected outputs of a model `tinyModels()` names. */
export async function openTiny(name: string): Promise<TinyFixture> {
  const text = await Deno.readTextFile(new URL(`${name}.json`, FOLDER));
  const path = decodeURIComponent(new URL(`${name}.gguf`, FOLDER).pathname);
  return { ...JSON.parse(text), name, path };
}

/**
 * Runs every sequence with its continuation, teacher forced, and measures.
 * Only the first `limit` sequences (5, 40 and 150 tokens) where one is given.
 */
export async function measureTiny(
  fixture: TinyFixture,
  logits: TinyLogits,
  limit = Infinity,
): Promise<TinyFigures> {
  const most = {
    last: 0,
    top5: 0,
    greedy: 0,
    reordered: 0,
    flippedMargin: 0,
    greedyDiffers: 0,
  };
  const positions: number[] = [], calm: number[] = [];
  const rms: number[] = [];
  for (const sequence of fixture.sequences.slice(0, limit)) {
    const ids = [...sequence.tokens, ...sequence.greedy.tokens];
    const all = await logits(ids);
    const vocab = sequence.last_logits.length;
    if (all.length !== ids.length * vocab) {
      throw new RangeError(
        `Cannot measure "${fixture.name}": ${all.length} logits came, wanted ${ids.length} rows of ${vocab}`,
      );
    }
    const row = (i: number) =>
      logSoftmax(all.subarray(i * vocab, (i + 1) * vocab));
    const flips = (got: Float64Array, winner: number, margin: number) => {
      if (argMax(got) === winner) return false;
      most.flippedMargin = Math.max(most.flippedMargin, margin);
      return true;
    };
    sequence.top5_ids.forEach((best, i) => {
      const got = row(i);
      const wanted = sequence.top5_logprobs[i]!;
      const worst = maxAbsDiff(best.map((id) => got[id]!), wanted);
      positions.push(worst);
      const margin = sequence.router_margins?.[i] ?? Infinity;
      if (margin >= NEAR) calm.push(worst);
      most.top5 = Math.max(most.top5, worst);
      if (!sameTop(got, best, TIE)) most.reordered++;
      flips(got, best[0]!, wanted[0]! - wanted[1]!);
    });
    const last = row(sequence.tokens.length - 1);
    const wanted = logSoftmax(sequence.last_logits);
    most.last = Math.max(most.last, maxAbsDiff(last, wanted));
    rms.push(rmsDiff(last, wanted));
    const { tokens, logprobs, margins } = sequence.greedy;
    tokens.forEach((token, i) => {
      const got = row(sequence.tokens.length - 1 + i);
      most.greedy = Math.max(most.greedy, Math.abs(got[token]! - logprobs[i]!));
      if (flips(got, token, margins[i]!)) most.greedyDiffers++;
    });
  }
  const squares = rms.reduce((sum, x) => sum + x * x, 0);
  return {
    ...most,
    rms: Math.sqrt(squares / rms.length),
    p95: quantile(positions, 0.95),
    median: quantile(positions, 0.5),
    calm: quantile(calm, 0.95),
  };
}

/** What of `figures` misses the level, in words; nothing for a pass. */
export function missesOf(figures: TinyFigures, level: TinyLevel): string[] {
  return Object.entries(BOUNDS[level]).flatMap(([name, bound]) => {
    const actual = figures[name as keyof TinyFigures];
    // Written so that NaN misses.
    return actual <= bound
      ? []
      : [`"${name}" is ${actual}, wanted ${bound} or less`];
  });
}

/** Measures and throws an error that lists every miss. */
export async function checkTiny(
  fixture: TinyFixture,
  level: TinyLevel,
  logits: TinyLogits,
): Promise<TinyFigures> {
  const figures = await measureTiny(fixture, logits);
  const misses = missesOf(figures, level);
  if (misses.length > 0) {
    throw new Error(
      `"${fixture.name}" misses level "${level}": ${misses.join("; ")}`,
    );
  }
  return figures;
}
