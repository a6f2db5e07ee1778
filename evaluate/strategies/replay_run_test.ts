import assert from "node:assert/strict";
import type { Usage } from "../../engine/options.ts";
import { type Answer, perToken, sameTokens } from "./answer.ts";
import { runFigures } from "./replay_run.ts";

const USAGE: Usage = {
  promptTokens: 10,
  cachedTokens: 0,
  miss: undefined,
  completionTokens: 0,
  ttftMs: 0,
  decodeMs: 0,
  promptPerSecond: 0,
  tokensPerSecond: 0,
};

function came(count: number, firstMs: number, lastMs: number): Answer {
  const tokens = Array.from({ length: count }, (_, i) => i);
  return { text: "", tokens, firstMs, lastMs, usage: USAGE };
}

Deno.test("runFigures() counts prompts and answers over all the time", () => {
  const answers = [came(5, 100, 300), came(1, 200, 200)];
  const { ttft, tpot, ...rates } = runFigures({ answers, ms: 2000 });
  assert.deepEqual(rates, {
    requestsPerSecond: 1,
    tokensPerSecond: 13,
    madePerSecond: 3,
  });
  assert.equal(ttft.p50, 150);
  // An answer of one token has no time of another one.
  assert.equal(tpot!.n, 1);
  assert.equal(tpot!.p50, 50);
  assert.equal(runFigures({ answers: [came(1, 5, 5)], ms: 9 }).tpot, undefined);
});

Deno.test("perToken() leaves the first token out", () => {
  assert.equal(perToken(came(3, 10, 50)), 20);
  assert.equal(perToken(came(1, 10, 10)), undefined);
});

Deno.test("sameTokens() sees another length and another token", () => {
  assert.ok(sameTokens([1, 2], [1, 2]));
  assert.ok(!sameTokens([1, 2], [1, 2, 3]));
  assert.ok(!sameTokens([1, 2], [1, 3]));
});
