import assert from "node:assert/strict";
import { VALUE } from "../models/gguf/value_types.ts";
import { type Bounds, checkLength, mostTokens } from "./lengths.ts";
import { collect, tinyEngine } from "./testing/tiny_engine.ts";

/** Blocks of 8 tokens, 100 bytes each. */
function bounds(budgetBytes: number): Bounds {
  const missingBytes = (length: number): number =>
    Math.max(0, Math.ceil(length / 8) * 100 - budgetBytes);
  return { context: 100, trained: 200, cache: { missingBytes } };
}

Deno.test("mostTokens() is what the context and the K/V memory leave, or what is wanted", () => {
  assert.equal(mostTokens(10, undefined, bounds(1e6)), 90);
  // 3 blocks hold 24 tokens; the last one made is never computed.
  assert.equal(mostTokens(10, undefined, bounds(350)), 15);
  assert.equal(mostTokens(24, undefined, bounds(350)), 1);
  assert.equal(mostTokens(50, undefined, bounds(350)), 1);
  // Whoever asks for more than fits hears so from the loop.
  assert.equal(mostTokens(10, 40, bounds(350)), 40);
  assert.equal(mostTokens(10, 400, bounds(350)), 90);
});

Deno.test("mostTokens() and checkLength() refuse what the context cannot hold", () => {
  for (const wanted of [0, -1, 0.5, NaN]) {
    assert.throws(() => mostTokens(1, wanted, bounds(1e6)), RangeError);
  }
  assert.throws(
    () => mostTokens(100, 1, bounds(1e6)),
    /"context" of up to 200/,
  );
  checkLength(100, bounds(0));
  assert.throws(() => checkLength(101, bounds(0)), /Cannot take 101 tokens/);
});

Deno.test("Engine.generate() makes what fits where memory is short, and load() says where nothing does", async () => {
  const key = "llama.context_length";
  const long = { [key]: [key, VALUE.U32, 2048] } as const;
  let used = 0, block = 0, context = 0;
  {
    await using engine = await tinyEngine({}, long);
    used = engine.memory().tiers.device!.used;
    block = engine.cache.peakBytes(1, 1);
    context = engine.context;
  }
  const short = { budget: used + block + 256 };
  {
    await using engine = await tinyEngine(short, long);
    const { tokens } = await collect(
      engine.generate({ tokens: [2], ignoreEos: true }),
    );
    const length = tokens.length;
    assert.ok(length < context - 1, "the budget is not short");
    assert.ok(engine.cache.peakBytes(length, 1) <= engine.cache.budgetBytes);
    assert.ok(engine.cache.peakBytes(length + 1, 1) > engine.cache.budgetBytes);
    await assert.rejects(
      collect(engine.generate({ tokens: [2], maxTokens: length + 1 })),
      /its K\/V lack \d+ of \d+ bytes/,
    );
  }
  const messages: string[] = [];
  for (const more of [64, 1024, 1900]) {
    await assert.rejects(
      tinyEngine({ budget: used + more }, long),
      (error: Error) => {
        messages.push(error.message);
        return error instanceof RangeError;
      },
    );
  }
  assert.match(
    messages[2]!,
    /"budget" of \d+ bytes: .* leave \d+, the K\/V of one token take \d+/,
  );
});
