/**
 * Scalings of rotation, by which contexts become longer than at first, as values.
 *
 * @module
 */
import type { RopeWords } from "../model_file.ts";
import type { Config } from "./config.ts";

/** What a scaling adds to rotation. */
export interface Scaled extends Omit<RopeWords, "style"> {
  /** Positions are divided by this. */
  readonly divide?: number;
}

/** What a scaling follows from. */
export interface Settings {
  readonly config: Config;
  /** The scaling's own keys. */
  readonly scaling: Config;
  readonly base: number;
  readonly dims: number;
  /** Longest context as the config has it. */
  readonly context: number;
}

/** What a scaling makes of the frequencies. */
export function scale(
  settings: Settings,
): Scaled {
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
function yarn(settings: Settings): Scaled {
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
function longRope(settings: Settings): Scaled {
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
