/**
 * What files say, in messages: escaped and never longer than a line.
 *
 * @module
 */

/** Most characters of a name or a value that are shown. */
const MOST = 80;

/** What a terminal acts on, or shows as something else, and JSON leaves as it is. */
const UNSAFE = /[\p{Cc}\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu;

/** A name from a file as it may be printed: quoted, escaped, not too long. */
export function quote(name: string): string {
  const short = name.length > MOST ? name.slice(0, MOST) + "…" : name;
  return escaped(JSON.stringify(short));
}

/** A text with parts of a file in it as it may be printed. */
export function escaped(text: string): string {
  return text.replace(
    UNSAFE,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** A value of the metadata for a message. */
export function show(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (typeof value !== "object" || value === null) return String(value);
  const { name } = value.constructor ?? { name: "Object" };
  const { length } = value as ArrayLike<unknown>;
  return length === undefined ? name : `${name} of ${length} values`;
}
