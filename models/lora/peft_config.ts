/**
 * `adapter_config.json` of PEFT: what of it changes results is read, or refused by name.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import { quote } from "../gguf/walk.ts";
import { isObject, kindOf, parseObject } from "../safetensors/json.ts";

/** How products of modules are scaled. */
export interface PeftConfig {
  /** Rank of a module. */
  rankOf(module: string): number;
  /** What its product is multiplied by. */
  factorOf(module: string): number;
}

/** Where it came from, and how it was trained: nothing that changes what it computes. */
const TELLS_NOTHING = new Set([
  "auto_mapping",
  "base_model_name_or_path",
  "ensure_weight_tying",
  "eva_config",
  "exclude_modules",
  "inference_mode",
  "layers_pattern",
  "layers_to_transform",
  "lora_dropout",
  "megatron_config",
  "megatron_core",
  "peft_version",
  "qalora_group_size",
  "revision",
  "runtime_config",
  "target_modules",
  "task_type",
]);

/** Ways to begin a training that leave the model's own matrices alone. */
const BEGINNINGS: readonly unknown[] = [
  undefined,
  null,
  true,
  false,
  "gaussian",
  "eva",
  "orthogonal",
];

/** Keys that are read here. */
const READ = new Set([
  "peft_type",
  "bias",
  "init_lora_weights",
  "r",
  "lora_alpha",
  "use_rslora",
  "rank_pattern",
  "alpha_pattern",
]);

/** Reads the file's bytes. Throws a ModelError for all that cannot be computed. */
export function peftConfig(path: string, bytes: Uint8Array): PeftConfig {
  const config = parseObject(path, "it", bytes);
  const refuse = (key: string, wanted: string): never => {
    throw new ModelError(
      path,
      `${quote(key)} is ${kindOf(config[key])}, wanted ${wanted}`,
    );
  };
  if (config.peft_type !== "LORA") refuse("peft_type", '"LORA"');
  if (![undefined, null, "none"].includes(config.bias as string)) {
    refuse("bias", '"none": biases are not supported');
  }
  if (!BEGINNINGS.includes(config.init_lora_weights)) {
    refuse(
      "init_lora_weights",
      "true: it changed the model's own matrices; convert it to plain LoRA",
    );
  }
  for (const [key, value] of Object.entries(config)) {
    if (READ.has(key) || TELLS_NOTHING.has(key) || isEmpty(value)) continue;
    refuse(key, "it absent: that is not supported");
  }
  const rank = wholeOf(config.r) ?? refuse("r", "a whole number from 1");
  const alpha = config.lora_alpha;
  if (typeof alpha !== "number") return refuse("lora_alpha", "a number");
  const rooted = config.use_rslora ?? false;
  if (typeof rooted !== "boolean") return refuse("use_rslora", "true or false");
  const patterns = (key: "rank_pattern" | "alpha_pattern"): Patterns => {
    const value = config[key] ?? {};
    return isObject(value)
      ? patternsOf(path, key, value)
      : refuse(key, "an object");
  };
  const ranks = patterns("rank_pattern"), alphas = patterns("alpha_pattern");
  for (const [pattern, value] of ranks) {
    if (wholeOf(value) !== undefined) continue;
    throw new ModelError(
      path,
      `the rank of ${
        quote(pattern.source)
      } is ${value}, wanted a whole number from 1`,
    );
  }
  const rankOf = (module: string): number => first(ranks, module) ?? rank;
  return {
    rankOf,
    factorOf: (module) => {
      const r = rankOf(module), a = first(alphas, module) ?? alpha;
      return a / (rooted ? Math.sqrt(r) : r);
    },
  };
}

/** In the order of the file: the first that matches counts. */
type Patterns = readonly (readonly [RegExp, number])[];

function first(patterns: Patterns, module: string): number | undefined {
  return patterns.find(([pattern]) => pattern.test(module))?.[1];
}

/**
 * Names of modules, or their ends, in a small part of the language of regular
 * expressions, none of which can take long: names, ".", digits, alternatives, and few
 * repetitions, none of them of a group.
 */
const SIMPLE =
  /^\^?(?:[\w-]|\.|\\\.|\\d|\[0-9\]|\|(?!$)|\((?:\?:)?(?=[\w\\.[(])|\)(?![*+?{])|(?<=\.|\\d|\])[*+])*\$?$/;

function patternsOf(
  path: string,
  key: string,
  patterns: Readonly<Record<string, unknown>>,
): Patterns {
  return Object.entries(patterns).map(([source, value]) => {
    if (typeof value !== "number") {
      throw new ModelError(
        path,
        `"${key}" of ${quote(source)} is ${kindOf(value)}, wanted a number`,
      );
    }
    const repeats = source.match(/[*+]/g)?.length ?? 0;
    try {
      if (SIMPLE.test(source) && repeats <= 3 && source.length <= 200) {
        return [new RegExp(`^(?:.*\\.)?(?:${source})$`), value];
      }
    } catch {
      // Refused below.
    }
    throw new ModelError(
      path,
      `"${key}" has the pattern ${quote(source)}, wanted names of modules ` +
        `with ".", "\\d", "*", "+", "|" and groups at most`,
    );
  });
}

function wholeOf(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && value as number >= 1
    ? value as number
    : undefined;
}

function isEmpty(value: unknown): boolean {
  return value === null || value === false || value === "" ||
    (Array.isArray(value) && value.length === 0) ||
    (isObject(value) && Object.keys(value).length === 0);
}
