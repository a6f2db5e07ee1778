import assert from "node:assert/strict";
import { checkLoadOptions, defaultThreads } from "./load_options.ts";

Deno.test("defaultThreads() is what the options allow, however many cores there are", () => {
  assert.equal(defaultThreads(2), 2);
  assert.equal(defaultThreads(192), 64);
  for (const cores of [1, 64, 65, 1000]) {
    checkLoadOptions({ threads: defaultThreads(cores) });
  }
  assert.ok(defaultThreads() >= 1);
});
