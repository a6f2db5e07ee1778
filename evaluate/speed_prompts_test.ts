import assert from "node:assert/strict";
import { createPrompts } from "./speed_prompts.ts";

const source = { vocab: 50, bos: 1, not: new Set([2, 3]) };

Deno.test("createPrompts() gives exactly as many tokens, BOS first", () => {
  const prompt = createPrompts(source);
  for (const n of [1, 2, 20, 1000]) {
    const ids = prompt(n);
    assert.equal(ids.length, n);
    assert.equal(ids[0], 1);
    assert.ok(ids.every((id) => id >= 0 && id < 50));
    assert.ok(!ids.slice(1).some((id) => id <= 3 && id >= 1));
  }
});

Deno.test("createPrompts() repeats with the seed and not within it", () => {
  const a = createPrompts(source, 7), b = createPrompts(source, 7);
  const first = a(40);
  assert.deepEqual(b(40), first);
  assert.notDeepEqual(a(40), first);
  assert.notDeepEqual(createPrompts(source, 8)(40), first);
});

Deno.test("createPrompts() without BOS draws every token", () => {
  const ids = createPrompts({ ...source, bos: undefined })(2000);
  assert.ok(ids.includes(1));
  assert.ok(!ids.includes(2));
});
