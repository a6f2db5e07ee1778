/**
 * From the fields of a request to options of the engine.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import type { AnswerFormat, GenerateOptions } from "../engine/options.ts";
import { badRequest } from "./errors.ts";
import type { ResponseFormat } from "./schema/format.ts";
import type { Settings } from "./settings.ts";

/** Fields that chat and completions have in common; null is absent. */
export interface Fields {
  readonly temperature?: number | null | undefined;
  readonly top_p?: number | null | undefined;
  readonly top_k?: number | null | undefined;
  readonly min_p?: number | null | undefined;
  readonly presence_penalty?: number | null | undefined;
  readonly frequency_penalty?: number | null | undefined;
  readonly repetition_penalty?: number | null | undefined;
  readonly logit_bias?: Readonly<Record<string, number>> | null | undefined;
  readonly seed?: number | null | undefined;
  readonly stop?: string | readonly string[] | null | undefined;
  readonly ignore_eos?: boolean | null | undefined;
  readonly n?: number | null | undefined;
  readonly priority?: number | null | undefined;
  readonly cache_priority?: number | null | undefined;
  readonly deadline_ms?: number | null | undefined;
}

/** How an answer is made: all but its prompt. Throws an ApiError for unknown tokens. */
export function wantedOf(
  f: Fields,
  most: number | null | undefined,
  engine: Engine,
  settings: Settings,
): Omit<GenerateOptions, "tokens"> {
  const deadline = Math.min(
    f.deadline_ms ?? Infinity,
    settings.deadlineMs ?? Infinity,
  );
  return given({
    temperature: f.temperature ?? settings.temperature,
    topP: f.top_p,
    topK: f.top_k,
    minP: f.min_p,
    presencePenalty: f.presence_penalty,
    frequencyPenalty: f.frequency_penalty,
    repetitionPenalty: f.repetition_penalty,
    logitBias: f.logit_bias && biasOf(f.logit_bias, engine.spec.vocab),
    seed: f.seed === -1 ? undefined : f.seed,
    stop: f.stop,
    ignoreEos: f.ignore_eos,
    n: f.n,
    priority: f.priority,
    cachePriority: f.cache_priority,
    deadlineMs: deadline === Infinity ? undefined : deadline,
    maxTokens: most === -1 ? undefined : most,
  });
}

/** Without what is null or undefined. */
function given<T extends Record<string, unknown>>(
  all: T,
): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(
    Object.entries(all).filter(([, v]) => v !== null && v !== undefined),
  ) as { [K in keyof T]?: NonNullable<T[K]> };
}

/** -100 is never, as with others. */
function biasOf(
  bias: Readonly<Record<string, number>>,
  vocab: number,
): Record<number, number> {
  return Object.fromEntries(
    Object.entries(bias).map(([id, value]) => {
      if (Number(id) < vocab) return [id, value === -100 ? -Infinity : value];
      throw badRequest(
        `Cannot bias token ${id}: ids go from 0 to ${vocab - 1}`,
        "logit_bias",
      );
    }),
  );
}

/** What a `response_format` asks for; undefined for any text. */
export function formatOf(
  format: ResponseFormat | null | undefined,
): AnswerFormat | undefined {
  if (format === null || format === undefined || format.type === "text") {
    return undefined;
  }
  const schema = format.type === "json_object"
    ? format.schema
    : format.json_schema.schema ?? {};
  return schema === undefined || schema === null
    ? { type: "json" }
    : { type: "schema", schema };
}
