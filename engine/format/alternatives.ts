/**
 * References, "allOf", "anyOf" and "oneOf": a schema as shapes, one of which a value has.
 *
 * @module
 */
import { isObject, join, type Keywords, shapeOf, show } from "./keywords.ts";
import { accepts } from "./accepts.ts";
import {
  anyShape,
  commonTypes,
  meant,
  merged,
  type Part,
  refuse,
  sameValue,
  type Shape,
  together,
  typesOf,
} from "./shape.ts";

/** Most shapes of one schema. */
const MOST = 256;

/** Reads the schemas of one document. */
export class Alternatives {
  readonly #root: unknown;

  constructor(root: unknown) {
    this.#root = root;
  }

  /**
   * The shapes of a schema, none where nothing is valid. Throws a FormatError for what
   * cannot be kept to.
   */
  of({ schema, path }: Part, within: readonly string[] = []): readonly Shape[] {
    if (schema === true) return [anyShape(path)];
    if (schema === false) return [];
    if (!isObject(schema)) {
      refuse(path, "", `a schema is wanted, got ${show(schema)}`);
    }
    let shapes: readonly Shape[] = [shapeOf(schema, path)];
    const list = (name: string): Part[] => {
      const parts = schema[name];
      if (!Array.isArray(parts) || parts.length === 0) {
        refuse(path, name, `a list of schemas is wanted, got ${show(parts)}`);
      }
      return parts.map((schema, i) => ({
        schema,
        path: `${join(path, name)}/${i}`,
      }));
    };
    const and = (more: readonly Shape[]): void => {
      shapes = shapes.flatMap((a) => more.map((b) => merged(a, b)));
      if (shapes.length > MOST) {
        refuse(path, "", `more than ${MOST} alternatives come of it`);
      }
    };
    if (schema.$ref !== undefined) and(this.#referred(schema, path, within));
    if (schema.allOf !== undefined) {
      for (const part of list("allOf")) and(this.of(part, within));
    }
    if (schema.anyOf !== undefined) {
      and(list("anyOf").flatMap((part) => this.of(part, within)));
    }
    if (schema.oneOf !== undefined) {
      const groups = list("oneOf").map((part) => this.of(part, within));
      this.#checkApart(groups, join(path, "oneOf"));
      and(groups.flat().map(narrowed));
    }
    return shapes.map((shape) => closed(schema, shape));
  }

  #referred(
    { $ref }: Keywords,
    path: string,
    within: readonly string[],
  ): readonly Shape[] {
    const wrong = (why: string): never => refuse(path, "$ref", why);
    if (typeof $ref !== "string" || !/^#(\/|$)/.test($ref)) {
      return wrong(
        `a reference within the schema, like "#/$defs/name", is wanted, got ${
          show($ref)
        }`,
      );
    }
    if (within.includes($ref)) {
      return wrong(`"${$ref}" leads back to itself and nowhere else`);
    }
    let schema = this.#root;
    for (const step of $ref.split("/").slice(1)) {
      let key = step;
      try {
        key = decodeURIComponent(step);
      } catch {
        // As it stands, then.
      }
      key = key.replaceAll("~1", "/").replaceAll("~0", "~");
      const has = typeof schema === "object" && schema !== null &&
        Object.hasOwn(schema, key);
      if (!has) return wrong(`there is nothing at "${$ref}"`);
      schema = (schema as Keywords)[key];
    }
    return this.of({ schema, path: $ref }, [...within, $ref]);
  }

  /** Throws a FormatError unless no value can have shapes of two groups. */
  #checkApart(groups: readonly (readonly Shape[])[], path: string): void {
    groups.forEach((group, i) => {
      groups.slice(0, i).forEach((other, j) => {
        if (group.every((a) => other.every((b) => this.#apart(a, b)))) return;
        refuse(
          path,
          "",
          `branches ${j} and ${i} may both be valid; tell them apart by a type or by a required property with a "const", or use "anyOf"`,
        );
      });
    });
  }

  /** Whether it is certain that nothing made of one of them has the other shape. */
  #apart(a: Shape, b: Shape): boolean {
    return this.#never(narrowed(a), b) && this.#never(narrowed(b), a);
  }

  /** Whether it is certain that no value has both shapes. */
  #never(a: Shape, b: Shape): boolean {
    const types = commonTypes(typesOf(a), typesOf(b));
    if (types.length === 0) return true;
    if (a.values !== undefined && b.values !== undefined) {
      return !a.values.some((x) => b.values!.some((y) => sameValue(x, y)));
    }
    if (a.values !== undefined) {
      return a.values.every((x) => accepts(b, x) === false);
    }
    if (b.values !== undefined) {
      return b.values.every((x) => accepts(a, x) === false);
    }
    if (types.length > 1 || types[0] !== "object") return false;
    return this.#apartBy(a, b) || this.#apartBy(b, a);
  }

  /** Whether a property that `a` requires is never what `b` has there. */
  #apartBy(a: Shape, b: Shape): boolean {
    return (a.required ?? []).some((name) => {
      const own = a.properties?.get(name), other = b.properties?.get(name);
      if (other === undefined) {
        return b.additional?.some(({ schema }) => schema === false) ?? false;
      }
      if (own === undefined) return false;
      const mine = this.of(together(own)), others = this.of(together(other));
      return mine.every((x) =>
        others.every((y) =>
          x.values !== undefined && y.values !== undefined && this.#apart(x, y)
        )
      );
    });
  }
}

/** What nothing was said of may be forbidden. */
function closed(
  { unevaluatedProperties, unevaluatedItems }: Keywords,
  shape: Shape,
): Shape {
  const no: readonly Part[] = [{ schema: false, path: shape.path }];
  const properties = unevaluatedProperties === false;
  const items = unevaluatedItems === false;
  return {
    ...shape,
    additional: shape.additional ?? (properties ? no : undefined),
    items: shape.items ?? (items ? no : undefined),
  };
}

/** A shape without types, with those alone that are made of it. */
function narrowed(shape: Shape): Shape {
  const { types, values } = shape;
  return types !== undefined || values !== undefined
    ? shape
    : { ...shape, types: meant(shape) };
}
