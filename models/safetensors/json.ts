/**
 * JSON of files nobody vouches for.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import { escaped, quote, show } from "../gguf/quote.ts";

/** An object of JSON whose values are not looked at yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a value is an object, and neither null nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Parses an object in UTF-8. A key that occurs twice in one object is refused, for
 * readers do not agree which one counts.
 *
 * @param what Named in the error: "its header", "it".
 * @param unique False leaves that out, for large texts.
 * @throws {ModelError} for all that is no such object.
 */
export function parseObject(
  path: string,
  what: string,
  bytes: Uint8Array,
  unique = true,
): JsonObject {
  let value: unknown, text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof TypeError
      ? "it is no UTF-8"
      : (cause as Error).message;
    throw new ModelError(
      path,
      `${what} is not JSON: ${escaped(why.slice(0, 200))}`,
      {
        cause,
      },
    );
  }
  if (!isObject(value)) {
    throw new ModelError(path, `${what} is ${kindOf(value)}, wanted an object`);
  }
  if (isDeeper(value, MOST_DEPTH)) {
    throw new ModelError(
      path,
      `${what} is nested more than ${MOST_DEPTH} deep, wanted less`,
    );
  }
  const twice = unique ? repeatedKey(text) : undefined;
  if (twice !== undefined) {
    throw new ModelError(
      path,
      `${what} has the key ${quote(twice)} twice in one object, wanted it once`,
    );
  }
  return value;
}

/** Levels of lists and objects; whoever walks them needs room for each. */
const MOST_DEPTH = 64;

/** Whether a value has more levels of lists and objects than that. */
function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  const values = Array.isArray(value) ? value : Object.values(value);
  return values.some((v) => isDeeper(v, levels - 1));
}

/** A value for a message: what it is, and what it says where that is short. */
export function kindOf(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (isObject(value)) return "an object";
  return show(value);
}

/** The first key that an object of a sound JSON text has twice. */
function repeatedKey(text: string): string | undefined {
  // Keys of the objects that are open, undefined for an open list.
  const open: (Set<string> | undefined)[] = [];
  const next = /["{}[\]]/g;
  for (let match; (match = next.exec(text)) !== null;) {
    switch (match[0]) {
      case "{":
        open.push(new Set());
        break;
      case "[":
        open.push(undefined);
        break;
      case '"': {
        const end = stringEnd(text, next.lastIndex);
        const keys = open.at(-1);
        COLON.lastIndex = end;
        if (keys !== undefined && COLON.test(text)) {
          const key = JSON.parse(text.slice(match.index, end)) as string;
          if (keys.has(key)) return key;
          keys.add(key);
        }
        next.lastIndex = end;
        break;
      }
      default:
        open.pop();
    }
  }
  return undefined;
}

/** Only a key has a colon behind it. */
const COLON = /\s*:/y;

/** Where a string ends that begins before `from`, its quote included. */
function stringEnd(text: string, from: number): number {
  for (let at = from;; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x5c) at++;
    else if (code === 0x22) return at + 1;
  }
}
