import assert from "node:assert/strict";
import { benchOptions } from "./options.ts";

Deno.test("benchOptions() has defaults for everything", () => {
  const options = benchOptions([]);
  assert.deepEqual(options.models, ["smollm2"]);
  assert.equal(options.cases, undefined);
  assert.equal(options.reps, 3);
  assert.equal(options.rounds, 5);
  assert.equal(options.threads, undefined);
  assert.deepEqual(options.peers, []);
  assert.equal(options.json, false);
});

Deno.test("benchOptions() reads models, lists and numbers", () => {
  const options = benchOptions(
    "a.gguf gemma3-270m --json --cases decode,load --reps 5 --threads 1 --peers nlc,native --native-dir /n --peers-dir /p --record r.json --wait-idle 0"
      .split(" "),
  );
  assert.deepEqual(options.models, ["a.gguf", "gemma3-270m"]);
  assert.deepEqual(options.cases, ["load", "decode"]);
  assert.deepEqual(options.peers, ["nlc", "native"]);
  assert.deepEqual(
    [options.reps, options.threads, options.waitIdle],
    [5, 1, 0],
  );
  assert.deepEqual(
    [options.nativeDir, options.peersDir, options.record],
    ["/n", "/p", "r.json"],
  );
  assert.ok(options.json);
});

Deno.test("benchOptions() refuses what it does not know and says what works", () => {
  const refuses = (line: string, why: RegExp) =>
    assert.throws(() => benchOptions(line.split(" ")), why);
  refuses("--case decode", /"--case".*--help/);
  refuses("--cases decode9", /"decode9".*decode4000/);
  refuses("--peers vllm", /"vllm": wllama, nlc, native/);
  refuses("--peers native", /--native-dir/);
  for (const wrong of ["0", "-1", "1.5", "two"]) {
    refuses(`--reps=${wrong}`, /--reps .*whole number from 1/);
  }
});
