/**
 * Whether a value that a schema spells out has what the schema asks for besides.
 *
 * @module
 */
import { commonTypes, type Shape, typeOf } from "./shape.ts";
import { formatPattern } from "./string_formats.ts";

/** True or false where that is certain; undefined where it cannot be said. */
export function accepts(shape: Shape, value: unknown): boolean | undefined {
  const { types } = shape;
  if (
    types !== undefined && commonTypes(types, [typeOf(value)]).length === 0
  ) return false;
  if (typeof value === "number") return acceptsNumber(shape, value);
  if (typeof value === "string") return acceptsText(shape, value);
  const asked = Array.isArray(value)
    ? [shape.prefix, shape.items, shape.minItems, shape.maxItems]
    : typeof value === "object" && value !== null
    ? [
      ...[shape.properties, shape.required, shape.additional, shape.names],
      ...[shape.minProperties, shape.maxProperties],
    ]
    : [];
  return asked.every((x) => x === undefined) ? true : undefined;
}

function acceptsNumber(s: Shape, x: number): boolean {
  return x >= (s.minimum ?? -Infinity) && x <= (s.maximum ?? Infinity) &&
    x > (s.exclusiveMinimum ?? -Infinity) &&
    x < (s.exclusiveMaximum ?? Infinity) &&
    (s.multipleOf === undefined || x % s.multipleOf === 0);
}

function acceptsText(s: Shape, text: string): boolean | undefined {
  const { length } = [...text];
  if (length < (s.minLength ?? 0)) return false;
  if (length > (s.maxLength ?? Infinity)) return false;
  for (const { schema } of s.patterns ?? []) {
    if (!new RegExp(schema as string, "u").test(text)) return false;
  }
  // A format's own expression is of some of its texts only.
  const known = (s.formats ?? []).every(({ schema }) =>
    new RegExp(formatPattern(schema as string) ?? "^(?!)", "u").test(text)
  );
  return known ? true : undefined;
}
