import assert from "node:assert/strict";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { prefixCache } from "../plugins/prefix_cache.ts";
import type { Engine } from "./engine.ts";
import type { GenerateOptions, Usage } from "./options.ts";
import { tinyEngine } from "./testing/tiny_engine.ts";

const PROMPT = Array.from({ length: 40 }, (_, i) => 2 + (i * i) % 6);

async function run(
  engine: Engine,
  options: GenerateOptions,
): Promise<{ tokens: number[]; usage: Usage; finish: string }> {
  const tokens: number[] = [];
  for await (
    const part of engine.generate({ maxTokens: 8, ignoreEos: true, ...options })
  ) {
    tokens.push(...part.tokens);
    if (part.usage === undefined) continue;
    return { tokens, usage: part.usage, finish: part.finish! };
  }
  throw new Error("no last part");
}

/** An engine with blocks of 8 tokens. */
function engineOf8(): Promise<Engine> {
  return tinyEngine({
    plugins: [pagedAttention({ blockTokens: 8 }), prefixCache()],
  });
}

Deno.test("Engine.generate() finds a repeated prompt, with the same bits", async () => {
  await using engine = await engineOf8();
  const cold = await run(engine, { tokens: PROMPT });
  assert.equal(cold.usage.cachedTokens, 0);
  assert.equal(cold.usage.miss?.reason, "unseen");
  const warm = await run(engine, { tokens: PROMPT });
  // The last token is computed for its logits, and with it its block.
  assert.equal(warm.usage.cachedTokens, 32);
  assert.equal(warm.usage.miss, undefined);
  assert.deepEqual(warm.tokens, cold.tokens);
  const { hits, misses, hitTokens } = engine.cache.stat();
  assert.deepEqual([hits, misses.unseen, hitTokens], [1, 1, 32]);
});

Deno.test("Engine.generate() finds what a running request has computed", async () => {
  await using engine = await engineOf8();
  const first = engine.generate({
    tokens: PROMPT,
    maxTokens: 20,
    ignoreEos: true,
  });
  await first.next();
  const { usage } = await run(engine, { tokens: [...PROMPT, 3] });
  assert.equal(usage.cachedTokens, 40);
  await first.return(undefined);
});

Deno.test("Engine.generate() says why a prompt was not found", async () => {
  await using engine = await engineOf8();
  await run(engine, { tokens: PROMPT, tenant: "a" });
  const why = async (options: GenerateOptions) => {
    const { usage } = await run(engine, { maxTokens: 1, ...options });
    const { miss } = usage;
    return [usage.cachedTokens, miss?.reason, miss?.block, miss?.position];
  };
  const other = [...PROMPT];
  other[21] = 7 - other[21]!;
  assert.deepEqual(await why({ tokens: PROMPT, tenant: "a" }), [
    32,
    undefined,
    undefined,
    undefined,
  ]);
  assert.deepEqual(
    await why({ tokens: other, tenant: "a" }),
    [16, "differs", 2, 21],
  );
  assert.deepEqual(
    await why({ tokens: PROMPT, tenant: "b" }),
    [0, "salted", 0, 0],
  );
  assert.deepEqual(
    await why({ tokens: PROMPT.slice(0, 8), tenant: "a" }),
    [0, "short", 0, 0],
  );
  engine.cache.evictIdle();
  assert.deepEqual(
    await why({ tokens: PROMPT, tenant: "a" }),
    [0, "evicted", 0, 0],
  );
});

Deno.test("prefixCache({ mostBytes }) keeps no more than that of what nobody uses", async () => {
  // A block of 8 tokens takes 512 bytes.
  for (const [mostBytes, cached] of [[3 * 512, 24], [100, 0]] as const) {
    await using engine = await tinyEngine({
      plugins: [
        pagedAttention({ blockTokens: 8 }),
        prefixCache({ mostBytes }),
      ],
    });
    await run(engine, { tokens: PROMPT });
    assert.equal(engine.cache.stat().blocks.idle, Math.floor(mostBytes / 512));
    const { usage } = await run(engine, { tokens: PROMPT });
    assert.equal(usage.cachedTokens, cached);
  }
  assert.throws(() => prefixCache({ mostBytes: -1 }), /"mostBytes" -1/);
});

Deno.test("Engine.generate() never shares between tenants", async () => {
  await using engine = await engineOf8();
  for (const tenant of ["a", "b", "", "a/b"]) {
    const { usage } = await run(engine, { tokens: PROMPT, tenant });
    assert.equal(usage.cachedTokens, 0, tenant);
  }
  for (const tenant of ["a", "b", "", "a/b"]) {
    const { usage } = await run(engine, { tokens: PROMPT, tenant });
    assert.equal(usage.cachedTokens, 32, tenant);
  }
});

Deno.test("Engine.generate() ends at its deadline with what there is", async () => {
  await using engine = await tinyEngine({ threads: 1 });
  const now = await run(engine, { tokens: PROMPT, deadlineMs: 0 });
  assert.deepEqual([now.tokens, now.finish], [[], "deadline"]);
  const later = await run(engine, {
    tokens: [2, 3],
    maxTokens: 5,
    deadlineMs: 60_000,
  });
  assert.deepEqual([later.tokens.length, later.finish], [5, "length"]);
  await assert.rejects(
    run(engine, { tokens: PROMPT, beams: 2, deadlineMs: 0 }),
    { name: "TimeoutError" },
  );
});

Deno.test("Engine.generate() refuses priorities and deadlines out of bounds", async () => {
  await using engine = await tinyEngine();
  for (
    const [options, message] of [
      [{ cachePriority: 101 }, /"cachePriority" 101: a number from 0 to 100/],
      [{ cachePriority: -1 }, /"cachePriority" -1/],
      [{ priority: NaN }, /"priority" NaN/],
      [{ deadlineMs: -5 }, /"deadlineMs" -5/],
    ] as const
  ) {
    await assert.rejects(run(engine, { tokens: [2], ...options }), message);
  }
});
