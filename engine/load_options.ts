/**
 * Options of `load()`, checked.
 *
 * @module
 */
import { QUANTIZE } from "../models/quantise_at_load.ts";
import type { LoadOptions } from "./options.ts";

/** Most compute workers. */
const MOST_THREADS = 64;

/** Compute workers where none are asked for. */
export function defaultThreads(
  cores: number = navigator.hardwareConcurrency,
): number {
  return Math.min(cores, MOST_THREADS);
}

/**
 * Throws a RangeError for an option that no model could be loaded with, before
 * anything is read.
 */
export function checkLoadOptions(options: LoadOptions): void {
  const whole = (
    name: "threads" | "chunk" | "parallel",
    most: number,
  ): void => {
    const value = options[name];
    if (value === undefined) return;
    if (Number.isInteger(value) && value >= 1 && value <= most) return;
    throw new RangeError(
      `Cannot load with "${name}" ${value}: a whole number from 1 to ${most} is wanted`,
    );
  };
  whole("threads", MOST_THREADS);
  whole("chunk", 4096);
  whole("parallel", 1024);
  const among = (
    name: "backend" | "precision" | "build" | "quantize",
    values: readonly string[],
  ): void => {
    const value = options[name];
    if (value === undefined || values.includes(value)) return;
    throw new RangeError(
      `Cannot load with "${name}" "${value}": ${
        values.map((v) => `"${v}"`).join(", ")
      } are possible`,
    );
  };
  among("backend", ["auto", "wasm", "reference"]);
  among("precision", ["fast", "exact"]);
  among("build", ["simd", "relaxed"]);
  among("quantize", QUANTIZE);
}
