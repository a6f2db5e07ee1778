/**
 * Random JSON Schemas of what answers can be held to.
 *
 * @module
 */
import { seeded } from "../random.ts";

/** A schema, as JSON. */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

const NAMES = [
  ..."abcdef",
  "name",
  "nam",
  "naïve",
  "with space",
  'quo"te',
  "back\\slash",
  "x/y~z",
  "日本",
  "",
  "0",
];
const TEXTS = [
  "",
  "a",
  "ab",
  "abc",
  'say "hi"',
  "tab\there",
  "é",
  "😀",
  "null",
];
const PATTERNS = [
  "^[a-z]{2,5}$",
  "^(?:foo|bar)+$",
  "\\d{3}",
  "^\\w+@\\w+\\.(?:com|org)$",
  "^[^a-z]*$",
  "x",
  "^[A-Z]",
  "[é-ü]$",
  "^(?!ab)[a-c]{1,4}$",
  "^\\S.{0,3}\\S$",
  "^[\\u{1F600}-\\u{1F64F}]+$",
];
const FORMATS = [
  "date",
  "time",
  "date-time",
  "duration",
  "email",
  "hostname",
  "ipv4",
  "ipv6",
  "uuid",
  "uri",
];

/** Makes schemas; the same ones for the same seed. */
export class RandomSchemas {
  readonly #random: () => number;
  /** Names of "$defs" that may be referred to. */
  #defs: string[] = [];

  constructor(seed: number) {
    this.#random = seeded(seed);
  }

  /** The next schema. */
  next(): JsonSchema {
    this.#defs = this.#chance(0.3) ? ["node", "leaf"] : [];
    const root = this.#schema(3);
    if (this.#defs.length === 0 || typeof root === "boolean") return root;
    // What recurs has to have a way out.
    const node = {
      type: "object",
      properties: {
        value: this.#scalar(),
        next: { anyOf: [{ type: "null" }, { $ref: "#/$defs/node" }] },
        more: { type: "array", items: { $ref: "#/$defs/node" }, maxItems: 2 },
      },
      required: this.#some(["value", "next", "more"]),
      additionalProperties: false,
    };
    return { ...root, $defs: { node, leaf: this.#scalar() } };
  }

  #whole(n: number): number {
    return Math.floor(this.#random() * n);
  }

  #chance(p: number): boolean {
    return this.#random() < p;
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#whole(list.length)]!;
  }

  #some<T>(list: readonly T[]): T[] {
    return list.filter(() => this.#chance(0.5));
  }

  #schema(depth: number): JsonSchema {
    if (depth > 0 && this.#chance(0.55)) {
      return this.#pick([
        () => this.#object(depth),
        () => this.#object(depth),
        () => this.#array(depth),
        () => this.#anyOf(depth),
        () => this.#oneOf(depth),
        () => this.#allOf(depth),
      ])();
    }
    if (this.#defs.length > 0 && this.#chance(0.3)) {
      return { $ref: `#/$defs/${this.#pick(this.#defs)}` };
    }
    return this.#chance(0.03) ? true : this.#scalar();
  }

  #scalar(): { readonly [keyword: string]: unknown } {
    return this.#pick([
      () => this.#string(),
      () => this.#string(),
      () => this.#number(),
      () => ({ type: "boolean" }),
      () => ({ type: "null" }),
      () => ({ enum: [...this.#some(TEXTS), this.#whole(100), null, [1, {}]] }),
      () => ({ const: this.#pick([...TEXTS, -1.5, true, { a: ["b"] }]) }),
      () => ({
        type: this.#pick([["string", "null"], ["integer", "boolean"]]),
      }),
      () => ({ ...this.#string(), nullable: true }),
      () => ({ enum: ["a", "bc", 3], type: "string", maxLength: 1 }),
    ])();
  }

  #string(): { readonly [keyword: string]: unknown } {
    const kind = this.#whole(4), low = this.#whole(4);
    if (kind === 0) return { type: "string", pattern: this.#pick(PATTERNS) };
    if (kind === 1) return { type: "string", format: this.#pick(FORMATS) };
    return {
      type: "string",
      ...(this.#chance(0.4) ? { minLength: low } : {}),
      ...(this.#chance(0.5) ? { maxLength: low + this.#whole(12) } : {}),
      ...(this.#chance(0.1) ? { pattern: "^[ab\\n]*$" } : {}),
      title: "A text",
    };
  }

  #number(): { readonly [keyword: string]: unknown } {
    const whole = this.#chance(0.5), by = 10 ** this.#whole(5);
    const low = whole
      ? this.#whole(by) - this.#whole(by)
      : (this.#whole(20_000) - 10_000) / by;
    const bounds = this.#pick([
      {},
      { minimum: low },
      { maximum: low },
      { exclusiveMinimum: low, maximum: low + 20 },
      { minimum: low, exclusiveMaximum: low + 3 },
      { minimum: low, maximum: low + this.#whole(1000) },
    ]);
    const wide = !("maximum" in bounds || "exclusiveMaximum" in bounds);
    return {
      type: whole ? "integer" : "number",
      ...bounds,
      ...(whole && wide && this.#chance(0.3)
        ? { multipleOf: 1 + this.#whole(30) }
        : {}),
    };
  }

  #object(depth: number): { readonly [keyword: string]: unknown } {
    if (this.#chance(0.15)) {
      return {
        type: "object",
        additionalProperties: this.#schema(depth - 1),
        ...(this.#chance(0.3)
          ? { propertyNames: { pattern: "^[a-z]{1,6}$" } }
          : {}),
        ...(this.#chance(0.3) ? { minProperties: 1 } : {}),
        ...(this.#chance(0.3) ? { maxProperties: 1 + this.#whole(3) } : {}),
      };
    }
    const names = this.#some(NAMES).slice(0, 1 + this.#whole(6));
    const properties = Object.fromEntries(
      names.map((name) => [name, this.#schema(depth - 1)]),
    );
    return {
      type: "object",
      properties,
      ...(this.#chance(0.7) ? { required: this.#some(names) } : {}),
      ...this.#pick([
        {},
        { additionalProperties: false },
        { additionalProperties: this.#scalar() },
      ]),
    };
  }

  #array(depth: number): JsonSchema {
    const low = this.#whole(3);
    const prefix = this.#chance(0.25)
      ? { prefixItems: [this.#scalar(), this.#schema(depth - 1)] }
      : {};
    const items = this.#chance(0.9) ? { items: this.#schema(depth - 1) } : {};
    return {
      type: "array",
      ...prefix,
      ...("prefixItems" in prefix && this.#chance(0.4)
        ? { items: false }
        : { ...items, ...(this.#chance(0.4) ? { minItems: low } : {}) }),
      ...(this.#chance(0.6) ? { maxItems: low + this.#whole(5) } : {}),
    };
  }

  #anyOf(depth: number): JsonSchema {
    return {
      anyOf: Array.from(
        { length: 1 + this.#whole(4) },
        () => this.#schema(depth - 1),
      ),
    };
  }

  #oneOf(depth: number): JsonSchema {
    const kinds = ["circle", "square", "line"];
    return {
      oneOf: kinds.slice(0, 2 + this.#whole(2)).map((kind) => ({
        type: "object",
        properties: {
          kind: { const: kind },
          [this.#pick(NAMES)]: this.#schema(depth - 1),
        },
        required: ["kind"],
      })),
    };
  }

  #allOf(depth: number): JsonSchema {
    const [a, b] = [this.#pick(NAMES), this.#pick(NAMES)];
    return this.#pick<() => JsonSchema>([
      () => ({
        allOf: [
          { type: "object", properties: { [a]: this.#schema(depth - 1) } },
          { properties: { [b]: true, z: this.#scalar() }, required: [b] },
        ],
      }),
      () => ({
        type: "string",
        allOf: [{ minLength: 2 }, { maxLength: 9 }, { pattern: "^[a-p]" }],
      }),
      () => ({ allOf: [{ minimum: 3 }, { type: "integer", maximum: 70 }] }),
    ])();
  }
}
