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

/** What the parts of this module share. */
interface Settings {
  readonly config: Config;
  /** The scaling's own keys. */
  readonly scaling: Config;
  readonly base: number;
  readonly dims: number;
  /** Longest context as the config has it. */
  readonly context: number;
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

/** What a scaling makes of the frequencies. */
function scale(
  settings: Settings,
): Rotation["words"] & { readonly divide?: number } {
  const { config, scaling } = settings;
  // Means nothing without a scaling.
  config.get("original_max_position_embeddings");
  const key = scaling.get("rope_type") === undefined ? "type" : "rope_type";
  scaling.get("type");
  const type = scaling.get(key) ?? "default";
  switch (type) {
    case "default":
      return {};
    case "linear":
      return { divide: scaling.positive("factor") };
    case "dynamic":
      // It changes with the length of the text; with 1 it never does.
      scaling.get("original_max_position_embeddings");
      if (scaling.positive("factor") !== 1) {
        scaling.refuse(key, `another than "dynamic" with a factor above 1`);
      }
      return {};
    case "llama3":
      return llama3(settings);
    case "yarn":
      return yarn(settings);
    case "longrope":
    case "su":
      return longRope(settings);
    default:
      return scaling.refuse(
        key,
        `"default", "linear", "llama3", "yarn", "longrope" or "dynamic" of factor 1`,
      );
  }
}

/** Length of the texts that the model saw before its context was made longer. */
function originalContext({ config, scaling, context }: Settings): number {
  const key = "original_max_position_embeddings";
  const inner = scaling.countIfSet(key);
  return config.countIfSet(key) ?? inner ?? context;
}

/** Radians a position of each pair, unscaled. */
function frequencies({ base, dims }: Settings): number[] {
  return Array.from({ length: dims / 2 }, (_, i) => base ** (-2 * i / dims));
}

/** Long waves are divided, short ones are not, those between in part. */
function llama3(settings: Settings): { readonly factors: number[] } {
  const { scaling } = settings;
  const factor = scaling.positive("factor");
  const low = scaling.positive("low_freq_factor");
  const high = scaling.positive("high_freq_factor");
  if (high <= low) {
    scaling.refuse("high_freq_factor", `more than "low_freq_factor", ${low}`);
  }
  const original = originalContext(settings);
  const factors = frequencies(settings).map((frequency) => {
    const waves = original * frequency / (2 * Math.PI);
    if (waves > high) return 1;
    if (waves < low) return factor;
    const smooth = (waves - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
  return { factors };
}

/** As llama3, between two pairs of a head; and q and k become longer. */
function yarn(settings: Settings): Rotation["words"] {
  const { scaling, base, dims, context } = settings;
  const original = originalContext(settings);
  const factor = scaling.positiveIfSet("factor") ?? context / original;
  const grown = (by: number) =>
    factor <= 1 ? 1 : 0.1 * by * Math.log(factor) + 1;
  const mscale = scaling.positiveIfSet("mscale");
  const mscaleAll = scaling.positiveIfSet("mscale_all_dim");
  const magnitude = scaling.positiveIfSet("attention_factor") ??
    (mscale !== undefined && mscaleAll !== undefined
      ? grown(mscale) / grown(mscaleAll)
      : grown(1));
  const truncate = scaling.get("truncate") === undefined ||
    scaling.flag("truncate");
  // The pair that turns so often within the original context.
  const pairOf = (turns: number) =>
    dims * Math.log(original / (turns * 2 * Math.PI)) / (2 * Math.log(base));
  const first = pairOf(scaling.positive("beta_fast", 32));
  const last = pairOf(scaling.positive("beta_slow", 1));
  const from = Math.max(truncate ? Math.floor(first) : first, 0);
  const to = Math.min(truncate ? Math.ceil(last) : last, dims - 1);
  const width = to === from ? 0.001 : to - from;
  const factors = Array.from({ length: dims / 2 }, (_, i) => {
    const divided = Math.min(1, Math.max(0, (i - from) / width));
    return 1 / (divided / factor + 1 - divided);
  });
  return { factors, magnitude };
}

/** Two sets of factors, one for texts as long as at first and one for longer ones. */
function longRope(settings: Settings): Rotation["words"] {
  const { scaling, dims, context } = settings;
  const original = originalContext(settings);
  const factor = scaling.positiveIfSet("factor") ?? context / original;
  const grown = factor <= 1
    ? 1
    : Math.sqrt(1 + Math.log(factor) / Math.log(original));
  return {
    factors: scaling.positives("short_factor", dims / 2),
    long: {
      beyond: original,
      factors: scaling.positives("long_factor", dims / 2),
    },
    magnitude: scaling.positiveIfSet("attention_factor") ?? grown,
  };
}
