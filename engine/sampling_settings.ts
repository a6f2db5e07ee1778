/**
 * Sampling options, checked.
 *
 * @module
 */
import type { SamplingOptions } from "./options.ts";
import { randomSeed } from "./random.ts";

/** Checked options, defaults filled in. */
export type Settings = Required<
  { [K in keyof SamplingOptions]: NonNullable<SamplingOptions[K]> }
>;

/** Fills defaults in. Throws a RangeError for an option out of bounds. */
export function settingsOf(o: SamplingOptions): Settings {
  const check = (
    name: keyof SamplingOptions,
    fallback: number,
    low: number,
    high: number,
    whole = false,
  ): number => {
    const value = o[name] ?? fallback;
    if (
      typeof value !== "number" || !(value >= low && value <= high) ||
      (whole && !Number.isInteger(value))
    ) {
      throw new RangeError(
        `Cannot sample with "${name}" ${String(value)}: ${
          whole ? "a whole number" : "a number"
        } from ${low} to ${high} is wanted`,
      );
    }
    return value;
  };
  for (const [id, bias] of Object.entries(o.logitBias ?? {})) {
    if (typeof bias !== "number" || !(bias < Infinity)) {
      throw new RangeError(
        `Cannot sample with "logitBias" ${bias} for token "${id}": a number below Infinity is wanted`,
      );
    }
  }
  return {
    temperature: check("temperature", 0, 0, 100),
    topK: check("topK", 40, 0, 1e9, true),
    topP: check("topP", 0.95, 0, 1),
    minP: check("minP", 0.05, 0, 1),
    repetitionPenalty: check("repetitionPenalty", 1, 0.01, 100),
    presencePenalty: check("presencePenalty", 0, -100, 100),
    frequencyPenalty: check("frequencyPenalty", 0, -100, 100),
    penaltyWindow: check("penaltyWindow", 64, 1, 1e6, true),
    logitBias: o.logitBias ?? {},
    seed: check("seed", o.seed ?? randomSeed(), 0, 2 ** 53, true),
    drawn: check("drawn", 0, 0, 2 ** 32, true),
  };
}

const NAMES: Readonly<Record<keyof SamplingOptions, true>> = {
  temperature: true,
  topK: true,
  topP: true,
  minP: true,
  repetitionPenalty: true,
  presencePenalty: true,
  frequencyPenalty: true,
  penaltyWindow: true,
  logitBias: true,
  seed: true,
  drawn: true,
};

/** What of some options says how tokens are chosen; absent ones stay absent. */
export function samplingOf(options: SamplingOptions): SamplingOptions {
  return Object.fromEntries(
    Object.entries(options).filter(([name, value]) =>
      name in NAMES && value !== undefined
    ),
  );
}
