/**
 * How heads turn, from a config.json: bases, and scalings as values.
 *
 * ```text
 *  before  "rope_theta": 1e4, "rope_scaling": { "type": "linear", "factor": 4 }
 *  since   "rope_parameters": { "rope_type": "linear", "rope_theta": 1e4, "factor": 4 }
 *  or      "rope_parameters": { "full_attention": { … }, "sliding_attention": { … } }
 * ```
 *
 * @module
 */
import { Config } from "./config.ts";
import type { RopeWords } from "../model_file.ts";
import { scale } from "./scalings.ts";
import { isObject, type JsonObject } from "./json.ts";

/** Rotation of the layers that see everything. */
export interface Rotation {
  readonly base: number;
  /** Positions are divided by this. */
  readonly divide: number;
  /** Values of a head that turn. */
  readonly dims: number;
  /** What GGUF has no keys for. */
  readonly words: Omit<RopeWords, "style">;
  /** Base of windowed layers where they have their own. */
  readonly localBase?: number;
}

/**
 * Reads all keys about rotation.
 *
 * @param local Base of windowed layers where the model has two, by default.
 * @throws {ModelError} for a scaling that is not known, or lacks a number.
 */
export function rotationOf(
  config: Config,
  headDim: number,
  local?: number,
): Rotation {
  const { full, sliding } = parametersOf(config, local !== undefined);
  const scaling = new Config(config.path, full, {}, "rope_parameters.");
  const outer = {
    base: config.positive("rope_theta", 10_000),
    partial: config.positive("partial_rotary_factor", 1),
  };
  const base = scaling.positive("rope_theta", outer.base);
  const partial = scaling.positive("partial_rotary_factor", outer.partial);
  const dims = Math.floor(headDim * partial);
  if (dims < 2 || dims % 2 !== 0 || dims > headDim) {
    config.refuse(
      "partial_rotary_factor",
      `an even number of the ${headDim} values of a head`,
    );
  }
  const context = config.count("max_position_embeddings");
  const scaled = scale({ config, scaling, base, dims, context });
  const { divide = 1, ...words } = scaled;
  const { factors = [], magnitude = 1, long } = words;
  const all = [...factors, ...long?.factors ?? [], magnitude];
  if (!all.every((x) => Number.isFinite(x) && x > 0)) {
    scaling.refuse("rope_type", "numbers beside it that give frequencies");
  }
  scaling.checkAllAsked();
  const own = local === undefined
    ? undefined
    : localBaseOf(config, sliding, local);
  return {
    base,
    divide,
    dims,
    words,
    ...(own === undefined ? {} : { localBase: own }),
  };
}

/** The objects with the parameters, whichever way they are written. */
function parametersOf(
  config: Config,
  twoKinds: boolean,
): { readonly full: JsonObject; readonly sliding: JsonObject } {
  const given = config.get("rope_parameters") ?? {};
  const old = config.get("rope_scaling") ?? {};
  if (!isObject(given)) config.refuse("rope_parameters", "an object");
  if (!isObject(old)) config.refuse("rope_scaling", "an object");
  const { full_attention: full, sliding_attention: sliding, ...rest } =
    given as JsonObject;
  if (full === undefined && sliding === undefined) {
    return { full: { ...rest, ...old as JsonObject }, sliding: {} };
  }
  if (!twoKinds || Object.keys(rest).length > 0) {
    config.refuse("rope_parameters", "one set of parameters for all layers");
  }
  if (!isObject(full ?? {}) || !isObject(sliding ?? {})) {
    config.refuse("rope_parameters", "an object for each kind of layer");
  }
  return {
    full: { ...full as JsonObject, ...old as JsonObject },
    sliding: (sliding ?? {}) as JsonObject,
  };
}

function localBaseOf(
  config: Config,
  sliding: JsonObject,
  absent: number,
): number {
  const own = new Config(
    config.path,
    sliding,
    {},
    "rope_parameters.sliding_attention.",
  );
  own.only("rope_type", ["default"]);
  own.only("type", ["default"]);
  const outer = config.positive("rope_local_base_freq", absent);
  const base = own.positive("rope_theta", outer);
  own.checkAllAsked();
  return base;
}
