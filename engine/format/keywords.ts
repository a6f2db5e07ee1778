/**
 * Reading the keywords of one schema.
 *
 * @module
 */
import { type Part, refuse, type Shape, type Type, TYPES } from "./shape.ts";

/** A schema that is an object. */
export type Keywords = Readonly<Record<string, unknown>>;

/** Say nothing of which values are valid. */
const NOTES = new Set([
  "$schema",
  "$comment",
  "$defs",
  "definitions",
  "title",
  "description",
  "default",
  "example",
  "examples",
  "deprecated",
  "readOnly",
  "writeOnly",
  "contentEncoding",
  "contentMediaType",
]);

/** Lead to other schemas; see alternatives.ts. */
const LEADING = new Set(["$ref", "allOf", "anyOf", "oneOf"]);

/** Reads the keywords of a schema that are of itself. Throws a FormatError. */
export function shapeOf(schema: Keywords, path: string): Shape {
  const out: { -readonly [K in keyof Shape]: Shape[K] } = { path };
  const at = (name: string): Part => ({
    schema: schema[name],
    path: join(path, name),
  });
  for (const name of Object.keys(schema)) {
    const value = schema[name];
    const wrong = (wanted: string): never =>
      refuse(path, name, `${wanted} is wanted, got ${show(value)}`);
    const number = (): number =>
      typeof value === "number" && Number.isFinite(value)
        ? value
        : wrong("a number");
    const count = (): number =>
      Number.isSafeInteger(value) && (value as number) >= 0
        ? value as number
        : wrong("a whole number from 0");
    const text = (): string =>
      typeof value === "string" ? value : wrong("a text");
    switch (name) {
      case "type":
        out.types = typesFrom(value) ??
          wrong(`one or more of ${TYPES.join(", ")}`);
        break;
      case "enum":
        out.values = Array.isArray(value) && value.length > 0
          ? value
          : wrong("a list of values");
        break;
      case "const":
        out.values = [value];
        break;
      case "minimum":
      case "maximum":
      case "exclusiveMinimum":
      case "exclusiveMaximum":
        out[name] = number();
        break;
      case "multipleOf":
        out.multipleOf = number() > 0 ? number() : wrong("a number above 0");
        break;
      case "minLength":
      case "maxLength":
      case "minItems":
      case "maxItems":
      case "minProperties":
      case "maxProperties":
        out[name] = count();
        break;
      case "pattern":
        if (!isExpression(text())) wrong("a regular expression");
        out.patterns = [at(name)];
        break;
      case "format":
        text();
        out.formats = [at(name)];
        break;
      case "properties":
        if (!isObject(value)) wrong("an object of schemas");
        out.properties = new Map(
          Object.keys(value as Keywords).map((key) => [key, [{
            schema: (value as Keywords)[key],
            path: join(join(path, name), key),
          }]]),
        );
        break;
      case "required":
        out.required = isTexts(value) ? value : wrong("a list of names");
        break;
      case "additionalProperties":
        out.additional = [at(name)];
        break;
      case "unevaluatedProperties":
      case "unevaluatedItems":
        // See alternatives.ts.
        if (value !== false) refuse(path, name, "only false can be kept to");
        break;
      case "propertyNames":
        out.names = [at(name)];
        break;
      case "prefixItems":
        out.prefix = Array.isArray(value)
          ? value.map((
            schema,
            i,
          ) => [{ schema, path: `${join(path, name)}/${i}` }])
          : wrong("a list of schemas");
        break;
      case "items":
        if (Array.isArray(value)) wrong('a schema, or "prefixItems",');
        out.items = [at(name)];
        break;
      case "uniqueItems":
        if (value !== false) refuse(path, name, "it cannot be kept to");
        break;
      case "$id":
        // References within would be relative to it.
        if (path !== "#") refuse(path, name, "only the whole may have one");
        break;
      case "nullable":
        if (typeof value !== "boolean") wrong("true or false");
        break;
      default:
        if (NOTES.has(name) || LEADING.has(name) || name.startsWith("x-")) {
          break;
        }
        refuse(path, name, "no such keyword can be kept to; leave it out");
    }
  }
  return schema.nullable === true ? orNull(out) : out;
}

/** Nothing is asked of null but that it may be. */
function orNull(shape: Shape): Shape {
  const { types, values } = shape;
  return {
    ...shape,
    types: types === undefined ? undefined : [...types, "null"],
    values: values === undefined ? undefined : [...values, null],
  };
}

function typesFrom(value: unknown): Type[] | undefined {
  const list = Array.isArray(value) ? value : [value];
  const known = list.length > 0 && list.every((t) => TYPES.includes(t));
  return known ? list : undefined;
}

function isExpression(text: string): boolean {
  try {
    new RegExp(text, "u");
    return true;
  } catch {
    return false;
  }
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((v) => typeof v === "string");
}

/** Whether a schema has keywords. */
export function isObject(value: unknown): value is Keywords {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value in a message. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** The path of what stands under a name. */
export function join(path: string, name: string): string {
  return `${path}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}
