/**
 * Whether a model will run here, and with which options.
 *
 * @module
 */
import type { ModelSpec } from "../../core/model.ts";
import { PlanError } from "../../core/plugin.ts";
import type { WeightSizes } from "../../core/weight_plan.ts";
import {
  type LoadOptions,
  pagedAttention,
  parseBytes,
  prefixCache,
  weightOffload,
} from "../../mod.ts";
import { contextOf } from "../../engine/context.ts";
import type { ModelFile } from "../../models/model_file.ts";
import { planOnly, sizesOnly } from "../plan_only.ts";
import { formatBytes } from "../statistics.ts";

/** An answer, with the numbers. */
export interface Fit {
  readonly runs: boolean;
  /** The answer in words. */
  readonly says: string;
  /** Options that it takes, besides those given. */
  readonly options: readonly string[];
  /** Bytes; undefined for a backend that cannot say. */
  readonly bytes?: {
    readonly weights: number;
    /** Activations, tables and all else. */
    readonly working: number;
    /** K and V of one sequence as long as `context`. */
    readonly kv: number;
    /** The most there may be. */
    readonly limit: number;
  };
  /** The context asked for, or the usual one, tokens. */
  readonly context: number;
  /** The longest for which there is room, up to what the model was trained for. */
  readonly longest?: number;
}

/** What 32-bit addresses reach. */
const REACH = 2 ** 32;

/** `machine`: bytes that are free on it, undefined where it may not be asked. */
export async function fitOf(
  file: ModelFile,
  spec: ModelSpec,
  options: LoadOptions,
  machine: number | undefined,
): Promise<Fit> {
  const context = contextOf(spec, options);
  const sizes = await sizesOnly(file, spec, options);
  if (sizes === undefined) {
    const says = "yes, slowly: the reference backend is for comparisons";
    return { runs: true, says, options: [], context };
  }
  const wanted = options.budget === undefined
    ? sizes.budget
    : Math.min(sizes.budget, parseBytes(options.budget));
  const limit = Math.min(wanted, machine ?? Infinity);
  const bytes = { ...partsOf(sizes), limit };
  const { weights, working, kv } = bytes;
  const needs = `weights ${formatBytes(weights)}, working memory ${
    formatBytes(working)
  }, K and V of ${context} tokens ${formatBytes(kv)}`;
  const of = limitWords(limit, wanted, options.budget !== undefined);
  const given = { bytes, context };
  if (weights + working + sizes.leastKv <= limit) {
    const longest = await longestOf(file, spec, options, limit);
    const runs = { runs: true, options: [], ...given, longest };
    return weights + working + kv <= limit
      ? {
        ...runs,
        says: `yes: ${needs}, together ${
          formatBytes(weights + working + kv)
        } of ${of}`,
      }
      : {
        ...runs,
        says:
          `yes, for up to ${longest} tokens at once: ${needs} are more than ${of}`,
      };
  }
  const no = `${needs}, together more than ${of}`;
  const streams = options.plugins?.some((p) => p.name === "weight-offload");
  if (await streamsFrom(file, spec, options, limit, streams === true)) {
    return {
      runs: true,
      says: streams
        ? `yes, its layers come from below: ${no}`
        : `with --weights disk, at the speed of the drive: ${no}`,
      options: streams ? [] : ["--weights", "disk"],
      ...given,
    };
  }
  return {
    runs: false,
    says: `no: ${no}, and its layers cannot be streamed through it`,
    options: [],
    ...given,
  };
}

function partsOf(
  { fixed, layers, steps, contextKv }: WeightSizes,
): { weights: number; working: number; kv: number } {
  const weights = layers.reduce((sum, bytes) => sum + bytes, fixed);
  return { weights, working: steps[0]!.bytes, kv: contextKv };
}

function limitWords(limit: number, wanted: number, said: boolean): string {
  const bytes = formatBytes(limit);
  if (limit < wanted) return `the ${bytes} that are free on this machine`;
  if (said) return `the budget's ${bytes}`;
  return `the ${formatBytes(REACH)} that 32-bit addresses reach`;
}

/** The longest context for which there is room, 1 or more. */
async function longestOf(
  file: ModelFile,
  spec: ModelSpec,
  options: LoadOptions,
  limit: number,
): Promise<number> {
  const fits = async (context: number): Promise<boolean> => {
    const sizes = await sizesOnly(file, spec, { ...options, context });
    const { weights, working, kv } = partsOf(sizes!);
    return weights + working + kv <= limit;
  };
  let low = 1, high = spec.context;
  if (await fits(high)) return high;
  // Fits for `low`, not for `high`; nobody asks for the last token.
  while (high - low > Math.max(1, low >> 6)) {
    const middle = Math.floor((low + high) / 2);
    if (await fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** Whether there is a plan within `limit` whose layers are streamed. */
async function streamsFrom(
  file: ModelFile,
  spec: ModelSpec,
  options: LoadOptions,
  limit: number,
  given: boolean,
): Promise<boolean> {
  const { plugins = [pagedAttention(), prefixCache()] } = options;
  const all = given ? plugins : [...plugins, weightOffload({ from: "disk" })];
  try {
    await planOnly(file, spec, { ...options, budget: limit, plugins: all });
    return true;
  } catch (error) {
    if (error instanceof PlanError || error instanceof RangeError) return false;
    throw error;
  }
}
