import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { CallReader } from "./call_reader.ts";
import { dialectOf, DIALECTS } from "./dialects.ts";
import type { Reader, Said } from "./reader.ts";

const NAMES = new Set(["get_weather", "add"]);
const reader = (name: string): Reader =>
  DIALECTS.find((d) => d.name === name)!.reader(NAMES);

/** What is said in all, in pieces cut at `cuts`. */
function read(
  make: () => Reader,
  text: string,
  cuts: readonly number[] = [],
): { text: string; calls: { name: string; arguments: string }[] } {
  const reader = make(), said: Said[] = [];
  const ends = [...cuts.map((c) => c % (text.length + 1)), text.length]
    .sort((a, b) => a - b);
  let from = 0;
  for (const end of ends) {
    said.push(...reader.push(text.slice(from, end)));
    from = end;
  }
  said.push(...reader.end());
  const out = { text: "", calls: [] as { name: string; arguments: string }[] };
  for (const one of said) {
    if ("text" in one) out.text += one.text;
    else if ("name" in one) {
      assert.equal(one.call, out.calls.length);
      out.calls.push({ name: one.name, arguments: "" });
    } else out.calls[one.call]!.arguments += one.arguments;
  }
  return out;
}

const weather = { name: "get_weather", arguments: '{"city": "a \\"}{b"}' };
const add = { name: "add", arguments: '{"a":[1,{"b":2}]}' };
const W = `{"name": "get_weather", "arguments": ${weather.arguments}}`;
const A = `{"name":"add","arguments":${add.arguments}}`;

/** Dialect, answer, what it says. */
const CASES: readonly [string, string, string, (typeof weather)[]][] = [
  ["hermes", "no call < at <tool all", "no call < at <tool all", []],
  ["hermes", `<tool_call>\n${W}\n</tool_call>`, "", [weather]],
  ["hermes", `Let me see. <tool_call>${W}</tool_call>`, "Let me see. ", [
    weather,
  ]],
  [
    "hermes",
    `<tool_call>${W}</tool_call>\n<tool_call>\n${A}\n</tool_call>`,
    "",
    [weather, add],
  ],
  ["hermes", `<tool_call>[${W}, ${A}]</tool_call>`, "", [weather, add]],
  ["hermes", `<tool_call>[]</tool_call>`, "", []],
  [
    "hermes",
    `<tool_call>{"arguments": {"x": 1}, "name": "add"}</tool_call>`,
    "",
    [{ name: "add", arguments: '{"x":1}' }],
  ],
  ["hermes", `<tool_call>{"name": "add"}</tool_call>`, "", [{
    name: "add",
    arguments: "{}",
  }]],
  [
    "hermes",
    `<tool_call>{"name": "rm", "arguments": {}}</tool_call>`,
    '{"name": "rm", "arguments": {}}',
    [],
  ],
  ["hermes", `<tool_call>{"name": "add", "arguments": {"a": 1`, "", [{
    name: "add",
    arguments: '{"a": 1',
  }]],
  ["hermes", `<tool_call>{"na`, '{"na', []],
  ["mistral", `[TOOL_CALLS][${W},${A}]`, "", [weather, add]],
  ["mistral", "a [TOOL", "a [TOOL", []],
  [
    "llama3",
    `{"name": "get_weather", "parameters": ${weather.arguments}}`,
    "",
    [weather],
  ],
  ["llama3", `${W}; ${A}`, "", [weather, add]],
  ["llama3", "The answer is 4", "The answer is 4", []],
  ["llama3", '{"a": 1} is JSON', '{"a": 1} is JSON', []],
];

Deno.test("calls are read as each dialect writes them, however they come", () => {
  for (const [dialect, answer, text, calls] of CASES) {
    const make = () => reader(dialect);
    assert.deepEqual(read(make, answer), { text, calls }, answer);
    const letters = Array.from(answer, (_, i) => i);
    assert.deepEqual(read(make, answer, letters), { text, calls }, answer);
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 6 }), (cuts) => {
        assert.deepEqual(read(make, answer, cuts), { text, calls }, answer);
      }),
      { numRuns: 30 },
    );
  }
});

Deno.test("arguments are told as they come, not when the call is whole", () => {
  const reader = new CallReader({ open: "<tool_call>" }, NAMES);
  const said = reader.push('<tool_call>{"name": "add", "arguments": {"a": 1');
  assert.deepEqual(said, [
    { call: 0, name: "add" },
    { call: 0, arguments: '{"a": 1' },
  ]);
  assert.deepEqual(reader.push("2}"), [{ call: 0, arguments: "2}" }]);
  assert.deepEqual(reader.push("}"), []);
});

Deno.test("a reader never fails, and loses no text but marks", () => {
  const pieces = fc.array(
    fc.constantFrom(
      "<tool_call>",
      "</tool_call>",
      "[TOOL_CALLS]",
      "{",
      "}",
      "[",
      "]",
      '"',
      "\\",
      ",",
      ":",
      '"name"',
      '"add"',
      '"arguments"',
      "x",
      " ",
      W,
      A,
    ),
    { maxLength: 20 },
  ).map((p) => p.join(""));
  fc.assert(fc.property(pieces, fc.array(fc.nat()), (text, cuts) => {
    for (const { name } of DIALECTS) {
      assert.deepEqual(
        read(() => reader(name), text, cuts),
        read(() => reader(name), text),
      );
    }
  }));
});

Deno.test("dialectOf() goes by the template, and knows where it takes no tools", () => {
  assert.equal(dialectOf(undefined), undefined);
  assert.equal(dialectOf("{{ messages }}"), undefined);
  assert.equal(dialectOf("{% if tools %}{{ tools }}{% endif %}"), undefined);
  const of = (mark: string) =>
    dialectOf(`{% if tools %}${mark}{% endif %}`)?.name;
  assert.equal(of("<tool_call>"), "hermes");
  assert.equal(of("[TOOL_CALLS]"), "mistral");
  assert.equal(of("Environment: ipython"), "llama3");
});
