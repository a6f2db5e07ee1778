import assert from "node:assert/strict";
import { UsageError } from "./host.ts";
import {
  BENCH,
  COMMON,
  MODEL,
  type Option,
  optionHelp,
  readOptions,
  SAMPLING,
  SYSTEM,
} from "./options.ts";

const ALL: readonly Option[] = [
  MODEL,
  SYSTEM,
  ...SAMPLING,
  ...BENCH,
  ...COMMON,
];

function read(...args: string[]) {
  return readOptions(args, ALL);
}

Deno.test("readOptions() puts every option where it belongs", () => {
  const options = read(
    ..."--threads 2 --context=512 --budget 1GiB --precision exact".split(" "),
    ..."--backend reference -m smollm2 --system short".split(" "),
    ..."--temperature 0.5 --top-k 3 --top-p=0.9 --min-p 0 --seed 7".split(" "),
    ..."--max-tokens 9 --stop a --stop=b --repetition-penalty 1.1".split(" "),
    ..."--presence-penalty=-0.5 --frequency-penalty 0.1".split(" "),
    ..."--ignore-eos --json --reps 2".split(" "),
    "17",
    "two words",
  );
  assert.deepEqual(options, {
    operands: ["17", "two words"],
    load: {
      threads: 2,
      context: 512,
      budget: "1GiB",
      precision: "exact",
      backend: "reference",
    },
    generate: {
      temperature: 0.5,
      topK: 3,
      topP: 0.9,
      minP: 0,
      seed: 7,
      maxTokens: 9,
      stop: ["a", "b"],
      repetitionPenalty: 1.1,
      presencePenalty: -0.5,
      frequencyPenalty: 0.1,
      ignoreEos: true,
    },
    bench: { reps: 2 },
    json: true,
    help: false,
    version: false,
    model: "smollm2",
    system: "short",
  });
});

Deno.test("readOptions() leaves out what was not given", () => {
  const { load, generate, operands, json, model } = read();
  assert.deepEqual([load, generate, operands], [{}, {}, []]);
  assert.equal(json, false);
  assert.equal(model, undefined);
});

Deno.test("readOptions() takes all after -- as operands", () => {
  assert.deepEqual(read("--json", "--", "--seed", "x").operands, [
    "--seed",
    "x",
  ]);
});

const refused: readonly (readonly [string[], RegExp])[] = [
  [["--temprature", "1"], /"--temprature": did you mean "--temperature"\?/],
  [["--frobnicate=1"], /option "--frobnicate": what works: --model/],
  [["-q"], /option "-q"/],
  [["--seed", "x"], /"--seed" with "x": a whole number is wanted/],
  [["--seed", "1.5"], /"--seed" with "1.5": a whole number/],
  [["--seed"], /"--seed" with "": a whole number/],
  [["--top-p", "Infinity"], /"--top-p" with "Infinity": a number/],
  [["--backend", "gpu"], /"--backend" with "gpu": "auto" or "wasm" or/],
  [["--stop", ""], /"--stop" with "": a text/],
  [["--model="], /"--model" with "": a text/],
];

for (const [args, why] of refused) {
  Deno.test(`readOptions() refuses ${args.join(" ")}`, () => {
    assert.throws(() => read(...args), (error: Error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, why);
      return true;
    });
  });
}

Deno.test("optionHelp() has one line for each option", () => {
  const lines = optionHelp(ALL).split("\n");
  assert.equal(lines.length, ALL.length);
  assert.ok(lines.every((line) => line.length <= 80));
});
