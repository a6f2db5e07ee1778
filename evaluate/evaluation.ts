/**
 * Ways to keep K and V, judged against the exact run of the same model.
 *
 * ```text
 *  reference    weights, activations, K and V in f32, no codec
 *  candidates   as they run (int8 activations, f16 open blocks), or with `exact` all in
 *               f32 but the codec: its own error
 * ```
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import type { LoadOptions } from "../engine/options.ts";
import {
  type AgreementReport,
  compareGreedy,
  cutPrompts,
} from "./agreement.ts";
import { type Candidate, formatOf, plain } from "./candidates.ts";
import { compareRuns, perplexityOf } from "./compare_runs.ts";
import type { DivergenceReport } from "./divergence.ts";
import { type Filler, needleFiller, PASSKEY } from "./haystack.ts";
import { type KvBytes, kvBytes } from "./kv_bytes.ts";
import { type Chunk, cutChunks, type Estimate } from "./perplexity.ts";
import { compareRetrieval, type RetrievalReport } from "./retrieval.ts";

/** What to measure. */
export interface EvaluationOptions {
  /** For the report. */
  readonly model: string;
  /** Loads the model. */
  readonly open: (options: LoadOptions) => Promise<Engine>;
  /** Text to foretell. */
  readonly text: string;
  /** Tokens in a chunk. */
  readonly size: number;
  /** Most chunks. */
  readonly chunks: number;
  readonly candidates: readonly Candidate[];
  /** Candidates in exact precision too. */
  readonly exact: boolean;
  /** Perplexities only, without a reference. */
  readonly alone?: boolean;
  /** Tokens of texts with hidden keys; undefined asks for none. */
  readonly lengths?: readonly number[] | undefined;
  /** Whether greedy texts are compared. */
  readonly agreement?: boolean;
  /** What all engines are loaded with. */
  readonly load?: LoadOptions;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Hears what is measured and how much of it is done. */
export type OnProgress = (what: string, done: number, total: number) => void;

/** What was found of one candidate. */
export interface CandidateReport {
  /** As it was asked for. */
  readonly name: string;
  /** What full blocks are kept in. */
  readonly format: string;
  /** By the ledger, as the candidate ran. */
  readonly kv: KvBytes;
  /** `kv.perToken` over that of f16. */
  readonly kvRatio: number | undefined;
  readonly perplexity: Estimate;
  /** Absent without a reference, like all that follows. */
  readonly divergence?: DivergenceReport;
  readonly retrieval?: readonly RetrievalReport[];
  readonly agreement?: AgreementReport;
}

/** What an evaluation found. */
export interface EvaluationReport {
  readonly model: string;
  readonly chunks: number;
  readonly chunksOfText: number;
  readonly chunkTokens: number;
  /** Of the candidates. */
  readonly precision: "fast" | "exact";
  readonly seconds: number;
  /** Bytes a token takes in f16, in the default run without a codec. */
  readonly f16PerToken: number | undefined;
  readonly reference?: {
    readonly perplexity: Estimate;
    readonly retrieval?: readonly RetrievalReport[];
  };
  readonly candidates: readonly CandidateReport[];
}

/** Prompts of greedy texts, tokens of each at most, and tokens made. */
const GREEDY = { prompts: 16, size: 256, most: 128 } as const;

/** Where keys are hidden, and how many at each place. */
const GRID = { depths: [0, 0.25, 0.5, 0.75, 1], keys: 2, seed: 1 } as const;

/**
 * Measures all candidates against one reference, in one go.
 *
 * @throws {RangeError} for a text that is too short for what is asked for.
 */
export async function evaluate(
  options: EvaluationOptions,
): Promise<EvaluationReport> {
  const { size, candidates, exact, alone = false, signal } = options;
  if (candidates.length === 0) {
    throw new RangeError("Cannot measure without candidates: name one");
  }
  const fillers = fillersOf(options);
  await using engines = new Engines(options);
  const precision = exact ? "exact" : "fast";
  const reference = alone
    ? undefined
    : await engines.open({ precision: "exact", plugins: plain().plugins });
  const { chunks, whole, prompts, started, f16 } = await prepare(
    engines,
    reference,
    options,
  );
  const opened: Engine[] = [], books: KvBytes[] = [];
  for (const [i, { plugins }] of candidates.entries()) {
    const engine = await engines.open({ precision, plugins });
    // Before anything else is in its cache.
    books.push(await kvBytes(engine, chunks[0]!.ids, signal));
    opened.push(engine);
    options.onProgress?.("K/V bytes", i + 1, candidates.length);
  }
  const tell = (what: string) => (done: number, total: number): void =>
    options.onProgress?.(what, done, total);
  const onRun = tell(alone ? "perplexity" : "divergence");
  const common = (i: number) => ({
    name: candidates[i]!.name ?? formatOf(opened[i]!.plan),
    format: formatOf(opened[i]!.plan),
    kv: books[i]!,
    kvRatio: ratioOf(books[i]!.perToken, f16.perToken),
  });
  const report = (
    found: Pick<EvaluationReport, "reference" | "candidates">,
  ): EvaluationReport => ({
    model: options.model,
    chunks: chunks.length,
    chunksOfText: whole,
    chunkTokens: size,
    precision,
    seconds: Math.round(performance.now() - started) / 1000,
    f16PerToken: f16.perToken,
    ...found,
  });
  if (reference === undefined) {
    const found: CandidateReport[] = [];
    for (const [i, engine] of opened.entries()) {
      const { value, error } = await perplexityOf(engine, {
        chunks,
        onRun: (done) =>
          onRun(i * chunks.length + done, chunks.length * opened.length),
        signal,
      });
      found.push({ ...common(i), perplexity: { value, error } });
    }
    return report({ candidates: found });
  }
  const divergences = await compareRuns(reference, opened, {
    chunks,
    onRun,
    signal,
  });
  const keys: (readonly RetrievalReport[])[] = [];
  for (const filler of fillers) {
    keys.push(
      await compareRetrieval(reference, opened, {
        ...GRID,
        filler,
        lengths: options.lengths!,
        onRun: tell(filler.name),
        signal,
      }),
    );
  }
  const texts = prompts && await compareGreedy(reference, opened, {
    prompts,
    most: GREEDY.most,
    onRun: tell("greedy texts"),
    signal,
  });
  const retrieval = (i: number) =>
    keys.length > 0 ? { retrieval: keys.map((k) => k[i]!) } : {};
  return report({
    reference: {
      perplexity: divergences[0]!.reference.perplexity,
      ...retrieval(0),
    },
    candidates: divergences.map((divergence, i) => ({
      ...common(i),
      perplexity: divergence.candidate.perplexity,
      divergence,
      ...retrieval(i + 1),
      ...(texts ? { agreement: texts[i]! } : {}),
    })),
  });
}

/** Cuts the text and measures what all are compared with. */
async function prepare(
  engines: Engines,
  reference: Engine | undefined,
  options: EvaluationOptions,
): Promise<{
  chunks: readonly Chunk[];
  whole: number;
  prompts: readonly (readonly number[])[] | undefined;
  started: number;
  f16: KvBytes;
}> {
  const { text, size, agreement, signal } = options;
  // Open blocks are f16 here, whatever the candidates run on.
  await using first = await engines.alone({
    plugins: plain().plugins,
    backend: "auto",
  });
  const { tokenizer } = first;
  const { chunks, whole } = cutChunks(tokenizer, text, size, options.chunks);
  const prompts = agreement && reference !== undefined
    ? cutPrompts(tokenizer, text, GREEDY.prompts, promptTokens(size))
    : undefined;
  const started = performance.now();
  const f16 = await kvBytes(first, chunks[0]!.ids, signal);
  return { chunks, whole, prompts, started, f16 };
}

function fillersOf(
  { lengths, text }: EvaluationOptions,
): readonly Filler[] {
  return lengths === undefined ? [] : [PASSKEY, needleFiller(text)];
}

function promptTokens(size: number): number {
  return Math.min(GREEDY.size, size >> 1);
}

function ratioOf(
  a: number | undefined,
  b: number | undefined,
): number | undefined {
  return a === undefined || b === undefined ? undefined : a / b;
}

/** Loads engines with room for what is asked for, and closes them together. */
class Engines implements AsyncDisposable {
  readonly #options: EvaluationOptions;
  readonly #stack = new AsyncDisposableStack();

  constructor(options: EvaluationOptions) {
    this.#options = options;
  }

  /** An engine that is closed with the others. */
  async open(options: LoadOptions): Promise<Engine> {
    return this.#stack.use(await this.alone(options));
  }

  /** An engine that the caller closes. */
  alone(options: LoadOptions): Promise<Engine> {
    const { load, size, lengths = [], agreement, open } = this.#options;
    const greedy = agreement ? promptTokens(size) + GREEDY.most : 0;
    return open({
      ...load,
      // A few more for what is made after a text.
      context: Math.max(size, greedy, ...lengths.map((n) => n + 16)),
      parallel: agreement ? GREEDY.prompts : 1,
      ...options,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
