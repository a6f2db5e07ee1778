import assert from "node:assert/strict";
import { load } from "../engine/load.ts";
import type { LoadOptions } from "../engine/options.ts";
import { withFile } from "../models/testing/files.ts";
import { tinyChat } from "../models/testing/tiny_chat.ts";
import { slidingWindow } from "../plugins/sliding_window.ts";
import { parseCandidates, plain } from "./candidates.ts";
import { type KvBytes, kvBytes } from "./kv_bytes.ts";

const IDS = Array.from({ length: 200 }, (_, i) => (i * 7) % 250);

function measured(
  options: LoadOptions,
  ids: readonly number[] = IDS,
): Promise<KvBytes> {
  return withFile(tinyChat(), async (path) => {
    await using engine = await load(path, { threads: 1, ...options });
    const first = await kvBytes(engine, ids);
    // What was there before does not count.
    assert.equal((await kvBytes(engine, ids)).perToken, first.perToken);
    return first;
  });
}

Deno.test("kvBytes() gives what the model's heads take, open blocks left out", async () => {
  const f16 = await measured({ plugins: plain().plugins });
  // K and V of one head of 16 values in two bytes; 12 blocks of 16 and the next.
  assert.equal(f16.perToken, 64);
  assert.ok(f16.tokens > 192 && f16.tokens < 208, `${f16.tokens}`);
  assert.ok(f16.bytes >= 13 * 16 * 64);
  const f32 = await measured({ precision: "exact", plugins: plain().plugins });
  assert.equal(f32.perToken, 128);
});

Deno.test("kvBytes() of a codec is the plan's sealed bytes", async () => {
  await withFile(tinyChat(), async (path) => {
    for (const { plugins } of await parseCandidates("int8,int4,int8/int4")) {
      await using engine = await load(path, { threads: 1, plugins });
      const { perToken } = await kvBytes(engine, IDS);
      const { sealedBytes, shape } = engine.plan.groups[0]!;
      // Blocks begin at multiples of 64 bytes.
      const slot = Math.ceil(sealedBytes / 64) * 64;
      assert.equal(perToken, slot / shape.tokens);
    }
  });
});

Deno.test("kvBytes() does not grow where the window is full", async () => {
  const plugins = [...plain().plugins, slidingWindow({ window: 32 })];
  assert.equal((await measured({ plugins })).perToken, 0);
});

Deno.test("kvBytes() says nothing of a text shorter than a block", async () => {
  const short = await measured({ plugins: plain().plugins }, IDS.slice(0, 16));
  assert.equal(short.perToken, undefined);
  assert.ok(short.bytes > 0);
  await assert.rejects(() => measured({}, [1]), RangeError);
});
