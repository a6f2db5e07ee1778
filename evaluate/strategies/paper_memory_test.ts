import assert from "node:assert/strict";
import { PaperMemory } from "./paper_memory.ts";

Deno.test("PaperMemory hands out all it was made for, beyond what this machine has", () => {
  const memory = new PaperMemory(2 ** 36);
  const span = memory.alloc(2 ** 36);
  assert.equal(span?.bytes, 2 ** 36);
  assert.equal(memory.alloc(64), undefined);
  memory.free(span!);
  memory.check();
});

Deno.test("PaperMemory.room() counts what fits in the gaps and leaves them free", () => {
  const memory = new PaperMemory(10 * 64);
  const [a, , c] = [2, 3, 1].map((units) => memory.alloc(units * 64)!);
  memory.free(a!);
  memory.free(c!);
  const { used } = memory.stat();
  // Gaps of 2 and 5 units: the odd one is of no use for pairs.
  assert.equal(memory.room(128), 3);
  assert.equal(memory.room(64), 7);
  assert.equal(memory.stat().used, used);
  memory.check();
});
