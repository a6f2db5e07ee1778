import assert from "node:assert/strict";
import { peakMemory, peakResident } from "./peak_memory.ts";

Deno.test("peakResident() never falls and covers what is resident now", () => {
  const before = peakResident();
  // Written, so that the pages are really there.
  const bytes = new Uint8Array(64 << 20).fill(1);
  const after = peakResident();
  assert.ok(after >= Deno.memoryUsage().rss - (1 << 20));
  assert.ok(after >= before && bytes[0] === 1);
  assert.ok(after > 64 << 20, `${after}`);
});

Deno.test("peakMemory() says what its process said when it failed", async () => {
  await assert.rejects(
    peakMemory("/no/such/model.gguf"),
    /memory of "\/no\/such\/model\.gguf": [^]*no\/such/,
  );
});
