/**
 * Fewer bits for K and V, as the command line asks for them.
 *
 * @module
 */
import {
  findCalibration,
  kvAuto,
  kvCache,
  type KvFormat,
  ModelError,
  type Plugin,
  readCalibration,
} from "../mod.ts";
import { UsageError } from "./host.ts";

/** Formats of K and V, or "auto" for both. */
export const KV_FORMATS = [
  "int8",
  "int4",
  "fp4",
  "nvfp4",
  "mxfp4",
  "f16",
] as const;

/** Options of the group "kv", as they are read. */
export interface KvGiven {
  readonly kv?: KvFormat | "auto";
  readonly kvK?: KvFormat;
  readonly kvV?: KvFormat;
  readonly divergence?: number;
}

/** What is to be done; undefined: nothing. */
export type KvChoice =
  | { readonly k: KvFormat; readonly v: KvFormat }
  | { readonly auto: number | undefined };

/** Throws a UsageError for options that contradict each other. */
export function kvChoice(o: KvGiven): KvChoice | undefined {
  const { kv, kvK, kvV, divergence } = o;
  if (divergence !== undefined && kv !== "auto") {
    throw new UsageError(
      'Cannot use "--divergence" without "--kv auto": formats that are named need none',
    );
  }
  if (kv === "auto") {
    if (kvK === undefined && kvV === undefined) return { auto: divergence };
    throw new UsageError(
      'Cannot use "--kv auto" with "--kv-k" or "--kv-v": it chooses both',
    );
  }
  const k = kvK ?? kv, v = kvV ?? kv;
  if (k === undefined && v === undefined) return undefined;
  return { k: k ?? "f16", v: v ?? "f16" };
}

/**
 * The plugin for a choice. "auto" wants the model's calibration; FP4 takes its middle
 * of K where there is one.
 */
export async function kvPluginOf(
  choice: KvChoice,
  model: string,
): Promise<Plugin> {
  if ("auto" in choice) {
    const calibration = await readCalibration(model);
    if (calibration.losses === undefined) {
      throw new ModelError(
        model,
        `its calibration has no losses to choose by; run "quire calibrate ${model} --text FILE" without "--centre-only"`,
      );
    }
    const { auto: divergence } = choice;
    return kvAuto({
      calibration,
      ...(divergence === undefined ? {} : { divergence }),
    });
  }
  const { k, v } = choice;
  const centre = k.endsWith("fp4") ? await findCalibration(model) : undefined;
  return kvCache({
    k,
    v,
    // The first keys of a text stand far from the middle of all others.
    ...(centre === undefined ? {} : { centre, keepFirst: 1 }),
  });
}
