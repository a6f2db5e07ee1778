import assert from "node:assert/strict";
import { didYouMean, nearest } from "./nearest.ts";

const WORDS = ["--top-k", "--top-p", "--temperature", "--seed"];

Deno.test("nearest() finds the word with the fewest changes", () => {
  assert.equal(nearest("--temprature", WORDS), "--temperature");
  assert.equal(nearest("--top-q", WORDS), "--top-k");
  assert.equal(nearest("--sed", WORDS), "--seed");
  assert.equal(nearest("x", ["y", "xy"]), "y");
});

Deno.test("nearest() finds none where the words have little in common", () => {
  assert.equal(nearest("--quantise", WORDS), undefined);
  assert.equal(nearest("chat", []), undefined);
});

Deno.test("didYouMean() names the near word, else all", () => {
  assert.equal(didYouMean("--see", WORDS), 'did you mean "--seed"?');
  assert.equal(didYouMean("zzz", ["a", "b"]), "what works: a, b");
});
