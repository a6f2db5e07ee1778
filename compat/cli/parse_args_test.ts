import assert from "node:assert/strict";
import { parseArgs } from "@std/cli";

Deno.test("parseArgs() reads booleans, strings and operands", () => {
  const args = parseArgs(["run", "--json", "--seed", "7", "8", "--name=a=b"], {
    boolean: ["json", "quiet"],
    string: ["seed", "name", "stop"],
  });
  assert.deepEqual(args, {
    _: ["run", 8],
    json: true,
    quiet: false,
    seed: "7",
    name: "a=b",
  });
});

Deno.test("parseArgs() takes operands that look like numbers as text when told", () => {
  assert.deepEqual(parseArgs(["7", "0x10", "1e3", "1.5.2"])._, [
    7,
    16,
    1000,
    "1.5.2",
  ]);
  assert.deepEqual(parseArgs(["7"], { string: ["_"] })._, ["7"]);
});

Deno.test("parseArgs() stores a value under all names of an option", () => {
  const args = parseArgs(["-n", "5", "-v"], {
    string: ["max"],
    boolean: ["verbose"],
    alias: { max: "n", verbose: ["v", "loud"] },
  });
  assert.deepEqual({ ...args }, {
    _: [],
    max: "5",
    n: "5",
    verbose: true,
    v: true,
    loud: true,
  });
});

Deno.test("parseArgs() keeps the last of many, or all where they are collected", () => {
  const args = parseArgs(["--a", "1", "--a", "2", "--b", "1", "--b", "2"], {
    string: ["a", "b", "c"],
    collect: ["b", "c"],
  });
  assert.deepEqual({ ...args }, { _: [], a: "2", b: ["1", "2"], c: [] });
});

Deno.test("parseArgs() gives defaults, and lets --no- take a negatable option back", () => {
  const options = {
    boolean: ["color"],
    negatable: ["color"],
    default: { color: true },
  } as const;
  assert.equal(parseArgs([], options).color, true);
  assert.equal(parseArgs(["--no-color"], options).color, false);
  assert.equal(parseArgs(["--color=false"], options).color, false);
});

Deno.test("parseArgs() stops at the first operand, or at --, when told", () => {
  assert.deepEqual({ ...parseArgs(["a", "--b", "c"], { stopEarly: true }) }, {
    _: ["a", "--b", "c"],
  });
  assert.deepEqual({ ...parseArgs(["a", "--", "--b"]) }, { _: ["a", "--b"] });
  assert.deepEqual({ ...parseArgs(["a", "--", "--b"], { "--": true }) }, {
    _: ["a"],
    "--": ["--b"],
  });
});

Deno.test("parseArgs() hands what it does not know to unknown(), which may leave it out", () => {
  const seen: unknown[] = [];
  const args = parseArgs(["--what", "3", "--json", "x"], {
    boolean: ["json"],
    unknown: (...all: unknown[]) => {
      seen.push(all);
      return all.length === 1;
    },
  });
  assert.deepEqual(seen, [["--what", "what", 3], ["x"]]);
  assert.deepEqual({ ...args }, { _: ["x"], json: true });
});

Deno.test("parseArgs() gives a missing value as empty text, an unset one not at all", () => {
  const args = parseArgs(["--a"], { string: ["a", "b"] });
  assert.equal(args.a, "");
  assert.equal(args.b, undefined);
});
