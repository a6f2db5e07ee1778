import assert from "node:assert/strict";
import { createMerger } from "./merger.ts";

Deno.test("createMerger() asks for every pair as it is, commas and quotes too", () => {
  // All that are asked for merge, in this order.
  const merges = [", ,", '" ,', ', "', '\\ "', ",, a", "a ,", ", b"];
  const merger = createMerger((left, right) => {
    const rank = merges.indexOf(`${left} ${right}`);
    return rank < 0 ? undefined : rank;
  });
  for (
    const [word, tokens] of [
      [",,", [",,"]],
      [",b", [",b"]],
      ["a,", ["a,"]],
      [",,a", [",,a"]],
      ['",', ['",']],
      [',"', [',"']],
      ['\\"', ['\\"']],
      ["b,", ["b", ","]],
    ] as const
  ) {
    assert.deepEqual(merger(word), tokens, word);
  }
});
