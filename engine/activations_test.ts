import assert from "node:assert/strict";
import type { Plugin } from "../core/plugin.ts";
import { deeper } from "../models/testing/tiny_llama.ts";
import { checkpointing } from "../plugins/checkpointing.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { collect, tinyEngine } from "./testing/tiny_engine.ts";

const { changes, shapes } = deeper(2, 8192);

/** Most bytes that activations ever took, for a prompt of so many tokens. */
async function peak(length: number, plugins: readonly Plugin[]) {
  await using engine = await tinyEngine(
    { chunk: 256, check: false, plugins: [pagedAttention(), ...plugins] },
    changes,
    shapes,
  );
  const tokens = Array.from({ length }, (_, i) => 2 + (i * i) % 6);
  await collect(engine.generate({ tokens, maxTokens: 2, ignoreEos: true }));
  const { lines, tiers } = engine.memory();
  const owned = lines.filter((l) => l.owner === "activations");
  const kv = lines.filter((l) => l.owner === "kv" && l.tier === "device");
  const sum = (of: typeof lines) => of.reduce((n, l) => n + l.peak, 0);
  assert.ok(tiers.device!.peak <= tiers.device!.capacity);
  return { activations: sum(owned), kv: sum(kv) };
}

Deno.test("A prompt of 7,000 tokens needs the activations of one of 512, at the same chunk", async () => {
  for (
    const plugins of [[], [checkpointing({ every: 1, bytes: 1 << 20 })]]
  ) {
    const short = await peak(512, plugins), long = await peak(7000, plugins);
    assert.ok(short.activations > 0);
    const more = long.activations / short.activations;
    assert.ok(more <= 1.05, `${more} times as much`);
    // What grows with the prompt is seen to grow.
    assert.ok(long.kv > 4 * short.kv);
  }
});
