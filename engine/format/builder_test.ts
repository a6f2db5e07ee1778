import assert from "node:assert/strict";
import { ALL_PIECES, pieceTokenizer } from "../testing/piece_tokenizer.ts";
import { validator } from "../testing/valid_answers.ts";
import { FormatError } from "./error.ts";
import { rulesOf } from "./rules.ts";

const TOKENIZER = pieceTokenizer(ALL_PIECES);

/** Whether a schema's grammar has the text. */
function has(schema: unknown, text: string): boolean {
  const { machine, start } = rulesOf({ type: "schema", schema }, TOKENIZER);
  let spot = start;
  for (const byte of new TextEncoder().encode(text)) {
    const next = machine.step(spot, byte);
    if (next === undefined) return false;
    spot = next;
  }
  return spot.done;
}

/** A schema, texts of its grammar, and texts that are not. */
type Case = readonly [unknown, readonly string[], readonly string[]];

const POINT = {
  type: "object",
  properties: { x: { type: "integer" }, y: { type: "integer" }, z: {} },
  required: ["x", "y"],
};

const CASES: readonly Case[] = [
  [true, ["null", "-0.5e3", '"a"', "[]", '{"a":[{}, 1]}'], ["", " 1", "[1,]"]],
  [{ type: "boolean" }, ["true", "false"], ["null", "True", "1"]],
  [{ type: ["string", "null"] }, ['""', "null"], ["1"]],
  [{ type: "integer" }, ["0", "-12"], ["1.0", "1e2", "01", '"1"']],
  [{ type: ["integer", "number"] }, ["1", "1.5"], ["true"]],
  [{ enum: [1, 12, "a", null, [1, { b: 2 }]] }, [
    ...["1", "12", '"a"', "null", '[1,{"b":2}]'],
  ], ["2", "13", '"b"', "[1, 2]"]],
  [{ const: 'a"\n' }, ['"a\\"\\n"'], ['"a"']],
  [{ enum: ["a", "bb", 7], type: "string", maxLength: 1 }, ['"a"'], [
    ...['"bb"', "7"],
  ]],
  [POINT, ['{"x":1,"y":2}', '{"x": 1, "y": 2, "z": [null]}'], [
    ...[
      "{}",
      '{"y":2,"x":1}',
      '{"x":1}',
      '{"x":1,"y":2,}',
      '{"x":1,"y":2,"w":1}',
    ],
    ...['{"x":1  ,"y":2}', '{ "x":1,"y":2}', '{"x":  1,"y":2}'],
  ]],
  [{ properties: { a: { type: "null" }, b: { type: "null" } } }, [
    ...["{}", '{"a":null}', '{"b":null}', '{"a":null,"b":null}'],
  ], ['{,"b":null}', '{"b":null,"a":null}']],
  [{ type: "object" }, ["{}", '{"any":{"b":1}}'], ["[]"]],
  [
    { ...POINT, additionalProperties: { type: "boolean" } },
    ['{"x":1,"y":2,"w":true,"v\\n":false}', '{"x":1,"y":2,"z":0,"w":true}'],
    ['{"x":1,"y":2,"w":1}', '{"x":1,"w":true,"y":2}', '{"x":1,"y":2,"x":true}'],
  ],
  [
    {
      additionalProperties: { type: "null" },
      propertyNames: { pattern: "^a+$" },
    },
    ["{}", '{"aa":null}'],
    ['{"b":null}', '{"":null}'],
  ],
  [{ propertyNames: { enum: ["p", "q"] }, additionalProperties: true }, [
    '{"p":1}',
  ], ['{"r":1}']],
  [{ type: "object", minProperties: 1, additionalProperties: true }, [
    '{"a":1}',
  ], ["{}"]],
  [{ properties: { a: true, b: true }, minProperties: 2 }, ['{"a":1,"b":2}'], [
    '{"a":1}',
  ]],
  [{ type: "object", maxProperties: 1, additionalProperties: true }, [
    ...["{}", '{"a":1}'],
  ], ['{"a":1,"b":2}']],
  [{ required: ["a"], type: "object" }, ['{"a":[]}'], ["{}", '{"b":1}']],
  [{ type: "array", items: { type: "null" }, minItems: 1, maxItems: 3 }, [
    ...["[null]", "[null, null,null]"],
  ], ["[]", "[null,null,null,null]", "[null,]", "[1]"]],
  [{ type: "array", minItems: 2 }, ["[1,2]", "[1,2,3,4]"], ["[1]"]],
  [{ prefixItems: [{ const: 1 }, { const: 2 }], items: { const: 3 } }, [
    ...["[]", "[1]", "[1,2]", "[1,2,3,3]"],
  ], ["[2]", "[1,2,2]", "[1,3]"]],
  [{ prefixItems: [{ const: 1 }], items: false }, ["[]", "[1]"], ["[1,1]"]],
  [{ type: "array", maxItems: 0 }, ["[]"], ["[1]"]],
  [{ minLength: 2, maxLength: 3 }, ['"ab"', '"日本語"'], [
    '"a"',
    '"abcd"',
    "1",
  ]],
  [{ type: "string", pattern: "^a|^b".slice(0, 2), maxLength: 2 }, ['"ax"'], [
    ...['"b"', '"axx"'],
  ]],
  [{ type: "string", format: "ipv4" }, ['"127.0.0.1"'], ['"256.1.1.1"']],
  [{ type: "string", format: "date" }, ['"2024-12-31"'], ['"2024-02-30"']],
  [{ type: "number", minimum: 0, maximum: 1 }, ["0", "0.25", "1", "1.0"], [
    ...["-0.1", "1.01", "2", "1e-1"],
  ]],
  [{ type: "integer", exclusiveMinimum: 3, maximum: 5 }, ["4", "5"], [
    "3",
    "6",
  ]],
  [{ type: "integer", multipleOf: 7, minimum: 10 }, ["14", "21"], ["7", "15"]],
  [{ anyOf: [{ const: 1 }, { type: "string" }, { const: 1 }] }, ["1", '"x"'], [
    "2",
  ]],
  [{
    ...POINT,
    anyOf: [{ required: ["z"] }, { properties: { x: { const: 5 } } }],
  }, [
    ...['{"x":1,"y":1,"z":1}', '{"x":5,"y":1}'],
  ], ['{"x":1,"y":1}']],
  [
    {
      allOf: [{ type: ["integer", "string"] }, { type: "number", maximum: 3 }],
    },
    [
      "3",
    ],
    ["4", '"a"', "2.5"],
  ],
  [
    {
      allOf: [
        { properties: { a: { type: "string" }, b: { type: "null" } } },
        { properties: { a: { maxLength: 1 } }, additionalProperties: false },
      ],
    },
    ["{}", '{"a":"x"}'],
    ['{"a":"xy"}', '{"b":null}'],
  ],
  [
    {
      oneOf: [
        {
          properties: { t: { const: "a" }, n: { type: "null" } },
          required: ["t"],
        },
        { properties: { t: { enum: ["b", "c"] } }, required: ["t"] },
      ],
    },
    ['{"t":"a","n":null}', '{"t":"c"}'],
    ['{"t":"b","n":null}', '{"t":"d"}'],
  ],
  [{ oneOf: [{ type: "string" }, { type: "integer" }] }, ["1", '""'], ["1.5"]],
  [{ type: "string", nullable: true }, ["null", '"a"'], ["1"]],
  [
    {
      $defs: {
        "a/b~c d": {
          type: "object",
          properties: { next: { $ref: "#/$defs/a~1b~0c%20d" } },
        },
      },
      $ref: "#/$defs/a~1b~0c%20d",
    },
    ["{}", '{"next":{"next":{}}}'],
    ['{"next":null}'],
  ],
  [{ type: "array", items: { $ref: "#" } }, ["[]", "[[],[[]]]"], ["[1]"]],
  [
    {
      $defs: {
        n: { anyOf: [{ type: "null" }, { $ref: "#/$defs/m" }] },
        m: { const: 2 },
      },
      $ref: "#/$defs/n",
    },
    ["null", "2"],
    ["1"],
  ],
  [
    {
      allOf: [
        { properties: { a: { const: 1 } }, unevaluatedProperties: false },
        { properties: { b: { const: 1 } } },
      ],
    },
    ["{}", '{"a":1}'],
    ['{"b":1}'],
  ],
  [
    {
      properties: { a: { const: 1 } },
      anyOf: [{ properties: { b: { const: 1 } } }],
      unevaluatedProperties: false,
    },
    ['{"a":1,"b":1}'],
    ['{"c":1}'],
  ],
  [{ prefixItems: [{ const: 1 }], unevaluatedItems: false }, ["[1]"], [
    "[1,1]",
  ]],
  [{ anyOf: [false, { const: 1 }] }, ["1"], ["2"]],
  [{ properties: { a: false, b: { const: 1 } } }, ["{}", '{"b":1}'], [
    '{"a":1}',
  ]],
];

Deno.test("buildGrammar() has texts that a schema accepts, and no others", () => {
  for (const [schema, good, bad] of CASES) {
    const isValid = validator(schema as Record<string, unknown>);
    for (const text of good) {
      assert.ok(has(schema, text), `${JSON.stringify(schema)} ${text}`);
      assert.ok(isValid(JSON.parse(text)), `${JSON.stringify(schema)} ${text}`);
    }
    for (const text of bad) {
      assert.ok(!has(schema, text), `${JSON.stringify(schema)} ${text}`);
    }
  }
});

Deno.test("rulesOf() refuses what cannot be kept to, by its path", () => {
  const deep = JSON.parse("[".repeat(200) + "]".repeat(200));
  const cases: readonly (readonly [unknown, string, RegExp])[] = [
    [{ not: {} }, "#/not", /leave it out/],
    [{ properties: { a: { if: {} } } }, "#/properties/a/if", /keyword/],
    [{ items: { uniqueItems: true } }, "#/items/uniqueItems", /cannot be kept/],
    [{ type: "text" }, "#/type", /one or more of object/],
    [{ type: [] }, "#/type", /one or more/],
    [{ enum: [] }, "#/enum", /a list of values/],
    [{ minLength: -1 }, "#/minLength", /a whole number from 0/],
    [{ maximum: "1" }, "#/maximum", /a number is wanted/],
    [{ required: "a" }, "#/required", /a list of names/],
    [{ properties: [] }, "#/properties", /an object of schemas/],
    [{ properties: { "a/b": 5 } }, "#/properties/a~1b", /a schema is wanted/],
    [{ items: [{}] }, "#/items", /prefixItems/],
    [{ pattern: "(" }, "#/pattern", /a regular expression/],
    [{ pattern: "(a)\\1" }, "#/pattern", /cannot be kept to/],
    [{ format: "iri" }, "#/format", /none of date/],
    [{ multipleOf: 0.1 }, "#/multipleOf", /whole numbers from 1/],
    [{ multipleOf: 0 }, "#/multipleOf", /above 0/],
    [{ minItems: 3000, items: {} }, "#/minItems", /up to 2000/],
    [
      { minProperties: 3, additionalProperties: true },
      "#/minProperties",
      /up to 1/,
    ],
    [{ unevaluatedProperties: {} }, "#/unevaluatedProperties", /only false/],
    [{ $ref: "https://x" }, "#/$ref", /within the schema/],
    [{ $ref: "#/$defs/a" }, "#/$ref", /nothing at/],
    [{ $ref: "#" }, "#/$ref", /leads back/],
    [{ items: { $id: "x" } }, "#/items/$id", /only the whole/],
    [{ anyOf: [] }, "#/anyOf", /a list of schemas/],
    [
      { oneOf: [{ type: "number" }, { minimum: 3 }] },
      "#/oneOf",
      /both be valid/,
    ],
    [{ oneOf: [{ properties: {} }, { type: "object" }] }, "#/oneOf", /0 and 1/],
    [{ enum: [{}], minProperties: 1 }, "#", /cannot be said/],
    [{ pattern: "a", maxLength: 5000 }, "#/maxLength", /up to 1000/],
    [{ pattern: "^(?:.{0,900}x){60}$" }, "#/pattern", /too many states/],
    [false, "#", /nothing is valid/],
    [{ type: "string", minimum: 3, enum: [4] }, "#", /nothing is valid/],
    [{ minimum: 3, maximum: 2 }, "#", /nothing is valid/],
    [{ required: ["a"], properties: { a: false } }, "#", /nothing is valid/],
    [
      { properties: { a: { $ref: "#" } }, required: ["a"] },
      "#",
      /nothing is valid/,
    ],
    [deep, "#", /deeper than 100/],
    [undefined, "#", /no JSON value/],
    [7, "#", /a schema is wanted, got 7/],
    [{ description: "x".repeat(1 << 18) }, "#", /characters/],
  ];
  for (const [schema, path, why] of cases) {
    const format = { type: "schema", schema } as const;
    assert.throws(() => rulesOf(format, TOKENIZER), (error) => {
      assert.ok(error instanceof FormatError, String(error));
      assert.equal(error.path, path);
      assert.match(error.message, why);
      assert.match(error.message, /^Cannot keep to the format at ".*": /);
      return true;
    });
  }
  assert.throws(
    () => rulesOf({ type: "xml" as "json" }, TOKENIZER),
    /"json" or "schema" is wanted/,
  );
});

Deno.test("rulesOf() is found again for an equal schema", () => {
  const schema = () => ({ type: "array", items: { type: "null" } });
  const first = rulesOf({ type: "schema", schema: schema() }, TOKENIZER);
  assert.equal(rulesOf({ type: "schema", schema: schema() }, TOKENIZER), first);
});

Deno.test("rulesOf() refuses a vocabulary that cannot spell the format", () => {
  const without = (c: string) =>
    pieceTokenizer(ALL_PIECES.filter((p) => !p.includes(c)));
  const schema = { properties: { a: { const: 7 } }, required: ["a"] };
  const format = { type: "schema", schema } as const;
  rulesOf(format, without("8"));
  assert.throws(() => rulesOf(format, without("7")), /nothing is valid/);
  assert.throws(() => rulesOf(format, without("}")), /nothing is valid/);
});
