/**
 * The cases of the speed table, each run once on an engine.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import { load } from "../engine/load.ts";
import type { LoadOptions } from "../engine/options.ts";
import { createPrompts, type NextPrompt } from "./speed_prompts.ts";
import {
  CASES,
  type CaseWork,
  type FigureName,
  type SpeedCase,
} from "./speed_rows.ts";
import {
  batchRates,
  perSecond,
  rateBetween,
  tokenTimes,
} from "./speed_timing.ts";

/** What one run of a case gave, in the rows' units; some rows get several values. */
export type CaseValues = Readonly<
  Partial<Record<FigureName, number | readonly number[]>>
>;

/** Prompts for an engine's model. */
export function promptsOf(engine: Engine, seed: number): NextPrompt {
  const { spec: { vocab }, tokenizer } = engine;
  const bos = tokenizer.addBos ? tokenizer.bos : undefined;
  return createPrompts({ vocab, bos, not: tokenizer.eog }, seed);
}

/** Tokens a case needs in one sequence. */
export function lengthOf(work: CaseWork): number {
  if (work.kind === "depth") {
    return work.prompt + work.segment * work.segments + 1;
  }
  return work.prompt + ("make" in work ? work.make : 1);
}

/**
 * Loads a model, asks for one token and closes it: `load`, `firstToken` and
 * `loadAndFirstToken`.
 */
export async function timeLoad(
  model: string,
  how: LoadOptions,
  seed: number,
): Promise<CaseValues> {
  const start = performance.now();
  await using engine = await load(model, how);
  const ready = performance.now();
  const prompt = promptsOf(engine, seed)(
    Math.min(CASES.load.prompt, engine.context - 1),
  );
  const [firstToken] = await tokenTimes(engine, prompt, 1, how);
  const loading = ready - start;
  return {
    load: loading,
    firstToken: firstToken!,
    loadAndFirstToken: loading + firstToken!,
  };
}

/** Lets the JavaScript engine compile and the memory fill before any timing. */
export async function warmUp(
  engine: Engine,
  prompt: NextPrompt,
  signal: AbortSignal | undefined,
): Promise<void> {
  const make = Math.min(24, engine.context - 1);
  const length = Math.min(128, engine.context - make);
  await tokenTimes(engine, prompt(length), make, { signal });
}

/**
 * Runs one case on an engine that is loaded and warm.
 *
 * @throws {TypeError} for "load" and "memory", which make their own.
 */
export async function runCase(
  engine: Engine,
  prompt: NextPrompt,
  name: SpeedCase,
  work: CaseWork,
  signal: AbortSignal | undefined,
): Promise<CaseValues> {
  const run = (make: number, start?: number): Promise<number[]> =>
    tokenTimes(engine, prompt(work.prompt), make, { start, signal });
  const figure = name as FigureName;
  switch (work.kind) {
    case "prefill": {
      const [first] = await run(1);
      return { [figure]: perSecond(work.prompt, first!) };
    }
    case "decode":
      return { [figure]: rateBetween(await run(work.make)) };
    case "depth": {
      const { segment, segments } = work;
      const times = await run(segment * segments + 1);
      return {
        [figure]: Array.from(
          { length: segments },
          (_, i) => rateBetween(times, i * segment, (i + 1) * segment),
        ),
      };
    }
    case "batch": {
      const start = performance.now();
      const times = await Promise.all(
        Array.from({ length: work.requests }, () => run(work.make, start)),
      );
      const { all, decoding } = batchRates(times);
      return { [figure]: all, [`${figure}Decoding`]: decoding };
    }
    default:
      throw new TypeError(`Cannot time "${name}" as a request`);
  }
}
