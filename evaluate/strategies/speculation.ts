/**
 * `speculation`: tokens per second with prompt lookup and without, on texts that
 * repeat themselves and on one that does not.
 *
 * @module
 */
import type { Engine } from "../../engine/engine.ts";
import { load } from "../../engine/load.ts";
import { pagedAttention } from "../../plugins/paged_attention.ts";
import { promptLookup } from "../../plugins/prompt_lookup.ts";
import { rateBetween, tokenTimes } from "../speed_timing.ts";
import { median } from "../statistics.ts";
import { answer, sameTokens } from "./answer.ts";
import type { StrategyOptions } from "./options.ts";
import { number, percent, type Report } from "./report.ts";
import {
  speculationPrompts,
  type SpokenPrompt,
} from "./speculation_prompts.ts";
import { slicesOf } from "./texts.ts";

/** Tokens of an answer. */
const MAKE = 128;

/** One prompt on both engines. */
interface Found {
  readonly name: string;
  readonly repeats: boolean;
  /** Tokens/s between the first token and the last, medians. */
  readonly plain: number;
  readonly lookup: number;
  /** Tokens guessed in one answer, and how many of them were right. */
  readonly drafted: number;
  readonly accepted: number;
  readonly made: number;
  /** Both made the same tokens. */
  readonly equal: boolean;
}

/** Runs the benchmark. */
export async function speculationReport(
  { model, threads, rounds, data, sizes }: StrategyOptions,
  tell: (line: string) => void,
): Promise<Report> {
  const make = sizes?.make ?? MAKE;
  const how = { threads };
  await using plain = await load(model, {
    ...how,
    plugins: [pagedAttention()],
  });
  await using lookup = await load(model, {
    ...how,
    plugins: [pagedAttention(), promptLookup()],
  });
  const next = await slicesOf(data, plain.tokenizer);
  const prompts = speculationPrompts(plain, next, sizes?.prompt ?? 200)
    .filter(({ tokens }) => tokens.length + make <= plain.context);
  const found: Found[] = [];
  for (const prompt of prompts) {
    const one = await runPrompt(plain, lookup, prompt, make, rounds);
    tell(
      `${one.name}: ${number(one.plain)}, then ${number(one.lookup)} tokens/s`,
    );
    found.push(one);
  }
  return report(found, rounds);
}

async function runPrompt(
  plain: Engine,
  lookup: Engine,
  { name, repeats, tokens }: SpokenPrompt,
  make: number,
  rounds: number,
): Promise<Found> {
  // The first run of each warms up, and is what is compared.
  const request = { tokens, maxTokens: make };
  const before = lookup.scheduler.stat();
  const a = await answer(plain, request), b = await answer(lookup, request);
  const after = lookup.scheduler.stat();
  const rates: [number[], number[]] = [[], []];
  for (let r = 0; r < rounds; r++) {
    for (const [i, engine] of [plain, lookup].entries()) {
      rates[i]!.push(rateBetween(await tokenTimes(engine, tokens, make)));
    }
  }
  return {
    name,
    repeats,
    plain: median(rates[0]),
    lookup: median(rates[1]),
    drafted: after.drafted - before.drafted,
    accepted: after.accepted - before.accepted,
    made: b.tokens.length,
    equal: sameTokens(a.tokens, b.tokens),
  };
}

function report(found: readonly Found[], rounds: number): Report {
  const equal = found.filter((f) => f.equal).length;
  return {
    tables: [{
      title: `Decoding with prompt lookup, medians of ${rounds} rounds in turn`,
      head: [
        "prompt",
        "without, tokens/s",
        "with, tokens/s",
        "ratio",
        "guessed",
        "right",
        "tokens made",
      ],
      rows: found.map((f) => [
        f.name,
        number(f.plain),
        number(f.lookup),
        `${(f.lookup / f.plain).toFixed(2)}×`,
        String(f.drafted),
        f.drafted > 0 ? percent(f.accepted / f.drafted) : "–",
        String(f.made),
      ]),
    }],
    notes: [
      `${equal} of ${found.length} answers have the same tokens with and without.`,
    ],
    figures: { rounds, found, equal },
  };
}
