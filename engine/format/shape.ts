/**
 * What a schema asks of a value, keyword by keyword, and of several at once.
 *
 * @module
 */
import { FormatError } from "./error.ts";

/** A schema, and where it stands in the document. */
export interface Part {
  readonly schema: unknown;
  readonly path: string;
}

/** Names of types. */
export const TYPES = [
  "object",
  "array",
  "string",
  "number",
  "integer",
  "boolean",
  "null",
] as const;

/** One of {@linkcode TYPES}. */
export type Type = typeof TYPES[number];

/**
 * All that a schema without alternatives and references asks for. Lists have to be
 * kept to as a whole; undefined is nothing asked.
 */
export interface Shape {
  /** Where most of it stands. */
  readonly path: string;
  readonly types?: readonly Type[] | undefined;
  /** Of "enum" and "const". */
  readonly values?: readonly unknown[] | undefined;
  readonly minimum?: number | undefined;
  readonly maximum?: number | undefined;
  readonly exclusiveMinimum?: number | undefined;
  readonly exclusiveMaximum?: number | undefined;
  readonly multipleOf?: number | undefined;
  readonly minLength?: number | undefined;
  readonly maxLength?: number | undefined;
  /** Texts of "pattern" and "format". */
  readonly patterns?: readonly Part[] | undefined;
  readonly formats?: readonly Part[] | undefined;
  readonly properties?: ReadonlyMap<string, readonly Part[]> | undefined;
  readonly required?: readonly string[] | undefined;
  readonly additional?: readonly Part[] | undefined;
  readonly names?: readonly Part[] | undefined;
  readonly minProperties?: number | undefined;
  readonly maxProperties?: number | undefined;
  readonly prefix?: readonly (readonly Part[])[] | undefined;
  readonly items?: readonly Part[] | undefined;
  readonly minItems?: number | undefined;
  readonly maxItems?: number | undefined;
}

/** Nothing asked. */
export function anyShape(path: string): Shape {
  return { path };
}

/** JSON texts of equal values are equal but for the order of names. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (typeof a !== "object" || typeof b !== "object" || !a || !b) {
    return a === b;
  }
  const one = Object.entries(a), other = b as Record<string, unknown>;
  return Array.isArray(a) === Array.isArray(b) &&
    one.length === Object.keys(b).length &&
    one.every(([k, v]) => Object.hasOwn(b, k) && sameValue(v, other[k]));
}

/** What two shapes ask for together. */
export function merged(a: Shape, b: Shape): Shape {
  const most = (name: keyof Shape) => pick(a, b, name, Math.max);
  const least = (name: keyof Shape) => pick(a, b, name, Math.min);
  const { values: v, types: t } = b;
  return {
    path: b.path,
    types: a.types === undefined || t === undefined
      ? a.types ?? t
      : commonTypes(a.types, t),
    values: a.values === undefined || v === undefined
      ? a.values ?? v
      : a.values.filter((x) => v.some((y) => sameValue(x, y))),
    minimum: most("minimum"),
    maximum: least("maximum"),
    exclusiveMinimum: most("exclusiveMinimum"),
    exclusiveMaximum: least("exclusiveMaximum"),
    multipleOf: pick(a, b, "multipleOf", commonMultiple),
    minLength: most("minLength"),
    maxLength: least("maxLength"),
    patterns: joined(a.patterns, b.patterns),
    formats: joined(a.formats, b.formats),
    properties: mergedProperties(a, b),
    required: joined(a.required, b.required),
    additional: joined(a.additional, b.additional),
    names: joined(a.names, b.names),
    minProperties: most("minProperties"),
    maxProperties: least("maxProperties"),
    prefix: mergedPrefix(a, b),
    items: joined(a.items, b.items),
    minItems: most("minItems"),
    maxItems: least("maxItems"),
  };
}

function pick(
  a: Shape,
  b: Shape,
  name: keyof Shape,
  choose: (x: number, y: number) => number,
): number | undefined {
  const x = a[name] as number | undefined, y = b[name] as number | undefined;
  return x === undefined || y === undefined ? x ?? y : choose(x, y);
}

function commonMultiple(x: number, y: number): number {
  let a = x, b = y;
  while (b !== 0) [a, b] = [b, a % b];
  return x / a * y;
}

function joined<T>(
  a: readonly T[] | undefined,
  b: readonly T[] | undefined,
): readonly T[] | undefined {
  return a === undefined || b === undefined ? a ?? b : [...a, ...b];
}

/** Types of both; a whole number is a number. */
export function commonTypes(
  a: readonly Type[],
  b: readonly Type[],
): readonly Type[] {
  const has = (list: readonly Type[], type: Type): boolean =>
    list.includes(type) || (type === "integer" && list.includes("number"));
  return TYPES.filter((type) => has(a, type) && has(b, type));
}

/** What is no property of one of them is additional to it. */
function mergedProperties(a: Shape, b: Shape): Shape["properties"] {
  if (a.properties === undefined && b.properties === undefined) {
    return undefined;
  }
  const out = new Map<string, readonly Part[]>();
  const none = new Map<string, readonly Part[]>();
  const { properties: p = none, additional: x = [] } = a;
  const { properties: q = none, additional: y = [] } = b;
  for (const [name, parts] of p) out.set(name, [...parts, ...q.get(name) ?? y]);
  for (const [name, parts] of q) {
    if (!p.has(name)) out.set(name, [...parts, ...x]);
  }
  return out;
}

function mergedPrefix(a: Shape, b: Shape): Shape["prefix"] {
  if (a.prefix === undefined || b.prefix === undefined) {
    const [long, other] = a.prefix === undefined ? [b, a] : [a, b];
    return long.prefix?.map((parts) => [...parts, ...other.items ?? []]);
  }
  const length = Math.max(a.prefix.length, b.prefix.length);
  return Array.from({ length }, (_, i) => [
    ...a.prefix![i] ?? a.items ?? [],
    ...b.prefix![i] ?? b.items ?? [],
  ]);
}

/** Several schemas as one. */
export function together(parts: readonly Part[]): Part {
  const seen = new Map(
    parts.map((part) => [JSON.stringify(part.schema), part]),
  );
  const [first, ...more] = seen.values();
  if (first === undefined) return { schema: true, path: "#" };
  if (more.length === 0) return first;
  const allOf = [...seen.values()].map(({ schema }) => schema);
  return { schema: { allOf }, path: first.path };
}

/** Types that a value of the shape may have, by what is said of types alone. */
export function typesOf({ types, values }: Shape): readonly Type[] {
  if (values === undefined) return types ?? TYPES;
  const own = values.map(typeOf);
  return types === undefined ? own : commonTypes(types, own);
}

/** What a shape without types is about; all types where nothing says. */
export function meant(s: Shape): readonly Type[] {
  const about: (readonly [Type, readonly unknown[]])[] = [
    ["object", [
      ...[s.properties, s.required, s.additional, s.names],
      ...[s.minProperties, s.maxProperties],
    ]],
    ["array", [s.prefix, s.items, s.minItems, s.maxItems]],
    ["string", [s.minLength, s.maxLength, s.patterns, s.formats]],
    ["number", [
      ...[s.minimum, s.maximum, s.exclusiveMinimum, s.exclusiveMaximum],
      s.multipleOf,
    ]],
  ];
  const types = about.flatMap(([type, asked]) =>
    asked.some((x) => x !== undefined) ? [type] : []
  );
  return types.length > 0 ? types : TYPES;
}

/** The type of a value. */
export function typeOf(value: unknown): Type {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") {
    return Number.isInteger(value) ? "integer" : "number";
  }
  return typeof value as Type;
}

/** Throws what is wrong with a keyword. */
export function refuse(path: string, name: string, why: string): never {
  const key = name.replaceAll("~", "~0").replaceAll("/", "~1");
  throw new FormatError(name === "" ? path : `${path}/${key}`, why);
}
