/**
 * What a session's file says in words: who made it, and what was said.
 *
 * @module
 */
import type { ChatMessage } from "../models/chat_template.ts";
import type { AdapterMark } from "./adapters.ts";
import type { Fingerprints } from "./fingerprints.ts";
import type { SamplingOptions } from "./options.ts";
import { samplingOf, settingsOf } from "./sampling_settings.ts";
import { damaged } from "./session_error.ts";
import type { SessionState } from "./session_types.ts";

/** The words. */
export interface SessionText extends Omit<SessionState, "tokens"> {
  /** The model's file, without its folder, and the plan in words: for messages. */
  readonly model: string;
  /** See `model`. */
  readonly plan: string;
  /** What tokens, K and V depend on. */
  readonly prints: Fingerprints;
}

/** As JSON. Throws a TypeError for messages that JSON cannot hold. */
export function textOf(text: SessionText): string {
  const { sampler, ...rest } = text;
  if (sampler === undefined) return JSON.stringify(rest);
  const { logitBias = {}, ...options } = sampler;
  // JSON knows no infinity.
  const bias = Object.entries(logitBias).map(([id, b]) => [id, `${b}`]);
  return JSON.stringify({ ...rest, sampler: { ...options, bias } });
}

/** Throws a SessionError for a text of another form, whatever its checksum says. */
export function readText(path: string, json: string): SessionText {
  try {
    const all = record(JSON.parse(json)), prints = record(all.prints);
    return {
      model: string(all.model),
      plan: string(all.plan),
      prints: {
        weights: string(prints.weights),
        tokenizer: string(prints.tokenizer),
        rope: string(prints.rope),
        plan: string(prints.plan),
        address: string(prints.address),
      },
      messages: list(all.messages).map(messageOf),
      past: string(all.past),
      sampler: all.sampler === undefined ? undefined : samplerOf(all.sampler),
      cut: all.cut === true,
      adapters: all.adapters === undefined
        ? []
        : list(all.adapters).map(markOf),
    };
  } catch (cause) {
    if (
      cause instanceof TypeError || cause instanceof RangeError ||
      cause instanceof SyntaxError
    ) throw damaged(path, "its text");
    throw cause;
  }
}

/** Throws a TypeError for what no chat template could be given. */
export function messageOf(value: unknown): ChatMessage {
  const message = record(value);
  return {
    ...message,
    role: string(message.role),
    content: string(message.content),
  };
}

function markOf(value: unknown): AdapterMark {
  const { name, id, scale } = record(value);
  if (typeof scale !== "number" || !Number.isFinite(scale)) {
    throw new TypeError("a finite scale is wanted");
  }
  return { name: string(name), id: string(id), scale };
}

function samplerOf(value: unknown): SamplingOptions {
  const { bias, ...options } = record(value);
  const sampler = samplingOf({
    ...options,
    logitBias: Object.fromEntries(
      list(bias).map((pair) => {
        const [id, b] = list(pair);
        return [string(id), Number(string(b))];
      }),
    ),
  });
  settingsOf(sampler);
  return sampler;
}

function record(value: unknown): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new TypeError(`an object is wanted, got ${typeof value}`);
}

function list(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new TypeError(`a list is wanted, got ${typeof value}`);
}

function string(value: unknown): string {
  if (typeof value === "string") return value;
  throw new TypeError(`a text is wanted, got ${typeof value}`);
}
