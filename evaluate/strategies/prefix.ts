/**
 * `prefix`: how much sooner the first token of a prompt comes when its K and V
 * are there already, and that nothing else changes.
 *
 * @module
 */
import type { Engine } from "../../engine/engine.ts";
import { load } from "../../engine/load.ts";
import { type Answer, answer, sameTokens } from "./answer.ts";
import type { StrategyOptions } from "./options.ts";
import { percentiles } from "./percentiles.ts";
import { number, type Report } from "./report.ts";
import { type NextSlice, slicesOf } from "./texts.ts";

/** Tokens of a prompt, and of an answer. */
const PROMPT = 1000, MAKE = 64;

/** One prompt, cold and then again. */
interface Round {
  readonly coldMs: number;
  readonly hitMs: number;
  /** Tokens found. */
  readonly cached: number;
  /** Tokens, text and the bits of the logits after the prompt are the same. */
  readonly equal: boolean;
}

/** Runs the benchmark on the default engine. */
export async function prefixReport(
  { model, threads, rounds, data, sizes }: StrategyOptions,
  tell: (line: string) => void,
): Promise<Report> {
  const { prompt = PROMPT, make = MAKE } = sizes ?? {};
  await using engine = await load(model, { threads });
  const next = await slicesOf(data, engine.tokenizer);
  await warmUp(engine, next(prompt));
  const found: Round[] = [];
  for (let r = 0; r < rounds; r++) {
    const round = await runRound(engine, next, prompt, make);
    found.push(round);
    tell(
      `${r + 1} of ${rounds}: ${number(round.coldMs)} ms, then ${
        number(round.hitMs)
      } ms`,
    );
  }
  return report(found, prompt);
}

/** All that is run, once: a hit and logits as well. */
async function warmUp(engine: Engine, tokens: number[]): Promise<void> {
  for (let i = 0; i < 2; i++) await answer(engine, { tokens, maxTokens: 8 });
  await engine.logits(tokens);
}

async function runRound(
  engine: Engine,
  next: NextSlice,
  prompt: number,
  make: number,
): Promise<Round> {
  const tokens = next(prompt);
  engine.cache.evictIdle();
  const request = { tokens, maxTokens: make };
  const cold = await answer(engine, request);
  const hit = await answer(engine, request);
  // The bits: once more without the cache, then with it.
  engine.cache.evictIdle();
  const coldLogits = await engine.logits(tokens);
  const hitLogits = await engine.logits(tokens);
  return {
    coldMs: cold.firstMs,
    hitMs: hit.firstMs,
    cached: hit.usage.cachedTokens,
    equal: sameAnswers(cold, hit) && sameBits(coldLogits, hitLogits),
  };
}

function sameAnswers(a: Answer, b: Answer): boolean {
  return a.text === b.text && sameTokens(a.tokens, b.tokens);
}

function sameBits(a: Float32Array, b: Float32Array): boolean {
  const bits = (of: Float32Array): Uint32Array =>
    new Uint32Array(of.buffer, of.byteOffset, of.length);
  const x = bits(a), y = bits(b);
  return x.length === y.length && x.every((word, i) => word === y[i]);
}

function report(rounds: readonly Round[], prompt: number): Report {
  const cold = percentiles(rounds.map((r) => r.coldMs));
  const hit = percentiles(rounds.map((r) => r.hitMs));
  const ratio = percentiles(rounds.map((r) => r.coldMs / r.hitMs));
  const least = Math.min(...rounds.map((r) => r.coldMs / r.hitMs));
  const equal = rounds.filter((r) => r.equal).length;
  const cached = Math.min(...rounds.map((r) => r.cached));
  return {
    tables: [{
      title:
        `Time to the first token of a ${prompt}-token prompt, ${rounds.length} prompts`,
      head: ["", "median", "p95"],
      rows: [
        ["cold, ms", number(cold.p50), number(cold.p95)],
        ["again, ms", number(hit.p50), number(hit.p95)],
        ["cold over again", `${number(ratio.p50)}×`, ""],
      ],
    }],
    notes: [
      `The second time ${cached} of ${prompt} tokens were found; the least of the ratios is ${
        number(least)
      }×.`,
      `${equal} of ${rounds.length} pairs have equal tokens, equal text, and logits after the prompt that are equal in every bit.`,
    ],
    figures: { prompt, rounds, cold, hit, ratio, least, equal },
  };
}
