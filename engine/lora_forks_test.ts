import assert from "node:assert/strict";
import type { AdapterOptions } from "./adapters.ts";
import { withLora } from "./testing/lora_engine.ts";
import { make } from "./testing/sessions.ts";

const USES: readonly AdapterOptions[] = [
  {},
  { adapter: "a" },
  { adapters: [{ name: "b", scale: 0.5 }, "a"] },
];

const TOKENS = Array.from({ length: 20 }, (_, i) => 2 + (i * i * 5 + i) % 46);

Deno.test("answers that share a prompt, and beams, compute with its adapters", async () => {
  await withLora(async (open) => {
    for (const use of USES) {
      const request = {
        tokens: TOKENS,
        maxTokens: 6,
        ignoreEos: true,
        ...use,
      };
      const first: number[][] = [[], [], []];
      {
        await using engine = await open();
        const sampled = { ...request, temperature: 1, seed: 3 };
        const other = make(engine, {
          ...request,
          adapter: undefined,
          adapters: ["b"],
        });
        for await (const part of engine.generate({ ...sampled, n: 3 })) {
          first[part.index]!.push(...part.tokens);
        }
        await other;
        for (const [i, tokens] of first.entries()) {
          await using one = await open();
          const alone = await make(one, { ...sampled, seed: 3 + i });
          assert.deepEqual(alone.tokens, tokens);
        }
      }
      await using engine = await open();
      const greedy = await make(engine, request);
      const beam: number[] = [];
      for await (const part of engine.generate({ ...request, beams: 1 })) {
        beam.push(...part.tokens);
      }
      assert.deepEqual(beam, greedy.tokens);
      for await (const part of engine.generate({ ...request, beams: 4 })) {
        assert.equal(part.tokens.length, 6);
      }
      engine.check();
    }
  });
});
