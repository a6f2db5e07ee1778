import assert from "node:assert/strict";
import type { Plugin } from "../core/plugin.ts";
import { dice } from "../core/testing/cache_driver.ts";
import { VALUE } from "../models/gguf/value_types.ts";
import type { WrittenFile } from "../models/testing/gguf_writer.ts";
import { tinyChat } from "../models/testing/tiny_chat.ts";
import { tinyLlama } from "../models/testing/tiny_llama.ts";
import { kvInt8 } from "../plugins/kv_int8.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { prefixCache } from "../plugins/prefix_cache.ts";
import { slidingWindow } from "../plugins/sliding_window.ts";
import type { Engine } from "./engine.ts";
import { SessionError } from "./session_error.ts";
import { FIXED } from "./session_format.ts";
import {
  collect,
  make,
  open,
  promptOf,
  withFolder,
  writeModel,
} from "./testing/sessions.ts";

/** An engine, a session of 48 positions in it, and what comes behind. */
interface Saved {
  readonly engine: Engine;
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly tokens: readonly number[];
  readonly next: readonly number[];
}

async function withSaved(
  use: (saved: Saved) => Promise<void>,
  plugins: readonly Plugin[] = [],
): Promise<void> {
  await withFolder(async (folder) => {
    const model = await writeModel(folder), path = `${folder}/a.quire`;
    await using engine = await open(model, plugins);
    const tokens = promptOf(50);
    const made = await make(engine, { tokens, maxTokens: 3 });
    await engine.save({ tokens }, path);
    const bytes = await Deno.readFile(path);
    await use({ engine, path, bytes, tokens, next: made.tokens });
  });
}

/**
 * Restores what may be damaged: an error, or K and V up to the damage and the right
 * tokens. Returns how many positions came.
 */
async function restores(
  { engine, path, tokens, next }: Saved,
  bytes: Uint8Array,
): Promise<number | undefined> {
  await Deno.writeFile(path, bytes);
  engine.cache.evictIdle();
  try {
    const back = await engine.restore(path);
    assert.deepEqual(back.tokens, tokens);
    assert.equal(back.loss, back.cachedTokens < 48 ? "damaged" : undefined);
    const more = await make(engine, { tokens: back.tokens, maxTokens: 3 });
    assert.equal(more.usage.cachedTokens, back.cachedTokens);
    assert.deepEqual(more.tokens, next);
    return back.cachedTokens;
  } catch (error) {
    assert.ok(error instanceof SessionError, String(error));
    assert.match(error.message, /^Cannot restore session "/);
    assert.deepEqual(error.differs, []);
    assert.equal(engine.cache.stat().blocks.idle, 0, "nothing of it was used");
    return undefined;
  } finally {
    engine.check();
  }
}

Deno.test("a bit flipped anywhere in a session is a clear error, or a miss", async () => {
  await withSaved(async (saved) => {
    const { bytes } = saved, roll = dice(7);
    const found = new Set<number | undefined>();
    for (let i = 0; i < 200; i++) {
      // Half of them before the blocks, which are most of the file.
      const at = roll(i % 2 === 0 ? bytes.length : FIXED + 600);
      const bad = bytes.slice();
      bad[at]! ^= 1 << roll(8);
      const cached = await restores(saved, bad);
      found.add(cached);
      assert.notEqual(cached, 48, `byte ${at}`);
    }
    for (const cached of [undefined, 0, 8, 16, 24, 32, 40]) {
      assert.ok(found.has(cached), `${cached} positions`);
    }
  });
});

Deno.test("so it is where K and V are coded and within a window", async () => {
  const plugins = [slidingWindow({ window: 12, sinks: 3 }), kvInt8()];
  await withSaved(async (saved) => {
    const { bytes } = saved, roll = dice(9);
    const found = new Set<number | undefined>();
    for (let i = 0; i < 60; i++) {
      const bad = bytes.slice();
      bad[roll(bytes.length)]! ^= 1 << roll(8);
      found.add(await restores(saved, bad));
    }
    // A part of the window is of no use; the first block is, to a text that begins.
    assert.deepEqual(found, new Set([undefined, 0, 8]));
    assert.equal(await restores(saved, bytes.subarray(0, -99)), 8);
    assert.equal(await restores(saved, bytes), 48);
  }, plugins);
});

Deno.test("a session cut off anywhere is a clear error, or a miss", async () => {
  await withSaved(async (saved) => {
    const { bytes } = saved, block = 4 + 512;
    const at = bytes.length - 6 * block;
    const lengths = [0, 1, FIXED - 1, FIXED, FIXED + 1, at - 1, at];
    const roll = dice(3);
    for (let i = 0; i < 40; i++) lengths.push(roll(bytes.length));
    for (let b = 0; b < 6; b++) lengths.push(at + b * block + block - 1);
    for (const length of lengths) {
      const wanted = length < at
        ? undefined
        : Math.floor((length - at) / block) * 8;
      assert.equal(
        await restores(saved, bytes.subarray(0, length)),
        wanted,
        `${length} of ${bytes.length}`,
      );
    }
    const longer = new Uint8Array(bytes.length + 99);
    longer.set(bytes);
    assert.equal(await restores(saved, longer), 48);
    // Blocks that stand at one another's place.
    const swapped = bytes.slice();
    swapped.set(bytes.subarray(at + block, at + 2 * block), at + 2 * block);
    swapped.set(bytes.subarray(at + 2 * block, at + 3 * block), at + block);
    assert.equal(await restores(saved, swapped), 8);
    assert.equal(await restores(saved, bytes), 48);
  });
});

Deno.test("Engine.restore() refuses what is no session, and takes no memory for it", async () => {
  await withSaved(async (saved) => {
    const { engine, path, bytes } = saved;
    const fails = async (change: (b: Uint8Array) => void, why: RegExp) => {
      const bad = bytes.slice();
      change(bad);
      await Deno.writeFile(path, bad);
      await assert.rejects(engine.restore(path), why);
    };
    await fails((b) => b.set([71, 71, 85, 70]), /it is no session of Quire/);
    await fails((b) => b.fill(0xff, 16, 24), /its head is damaged/);
    await fails((b) => b.fill(0), /it is no session/);
    for (
      const [file, why] of [[`${path}x`, /there is no such file/], [
        path.replace(/a\.quire$/, ""),
        /it is no session/,
      ]] as const
    ) {
      await assert.rejects(engine.restore(file), (error: SessionError) => {
        assert.ok(error instanceof SessionError);
        assert.match(error.message, why);
        return true;
      });
    }
  });
});

/** The model with one tensor trained further. */
function trained(tensor: string): WrittenFile {
  const { tensors = [], ...file } = tinyChat();
  return {
    ...file,
    tensors: tensors.map((t) => {
      if (t.name !== tensor) return t;
      const bytes = t.bytes.slice(), values = new Float32Array(bytes.buffer);
      values.forEach((x, i) => values[i] = x * 1.01);
      return { ...t, bytes };
    }),
  };
}

Deno.test("Engine.restore() refuses a session of another model or plan, and says what differs", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/a.quire`;
    const model = await writeModel(folder), tokens = promptOf(33);
    {
      await using engine = await open(model);
      const talk = engine.conversation();
      await collect(talk.ask("hello", { maxTokens: 20, ignoreEos: true }));
      await engine.save(talk, path);
      await make(engine, { tokens, maxTokens: 2 });
      await engine.save({ tokens }, `${folder}/tokens.quire`);
    }
    const rope = tinyChat();
    const eos = tinyChat();
    const others: [string, () => Promise<Engine>, RegExp, string[]][] = [
      [
        "weights in one tensor",
        async () =>
          open(
            await writeModel(folder, trained("blk.0.ffn_up.weight"), "b.gguf"),
          ),
        /other weights \(model "model.gguf", here "b.gguf"\); restore it with "replay"/,
        ["weights"],
      ],
      [
        "rope",
        async () =>
          open(
            await writeModel(folder, {
              ...rope,
              entries: [...rope.entries!, [
                "llama.rope.freq_base",
                VALUE.F32,
                5e5,
              ]],
            }, "c.gguf"),
          ),
        /other weights .* and other RoPE settings; /,
        ["weights", "rope"],
      ],
      [
        "tokenizer",
        async () =>
          open(
            await writeModel(folder, {
              ...eos,
              entries: eos.entries!.map((e) =>
                e[0] === "tokenizer.ggml.eos_token_id"
                  ? [e[0], VALUE.U32, 256]
                  : e
              ),
            } as WrittenFile, "d.gguf"),
          ),
        /and another tokenizer; restore it with "replay" to compute all anew from its messages/,
        ["weights", "tokenizer"],
      ],
      [
        "codec",
        () => open(model, [kvInt8()]),
        /another plan \("wasm, layers 0 in f16, blocks of 8", here "wasm, layers 0 in int8h\/int8, blocks of 8"\)/,
        ["plan"],
      ],
      [
        "blocks",
        () =>
          open(model, [], {
            plugins: [pagedAttention({ blockTokens: 16 }), prefixCache()],
          }),
        /another plan/,
        ["plan"],
      ],
      [
        "precision",
        () => open(model, [], { precision: "exact" }),
        /another plan/,
        ["plan"],
      ],
      [
        "backend",
        () => open(model, [], { backend: "reference", precision: "exact" }),
        /another plan \("wasm, .*here "reference/,
        ["plan"],
      ],
    ];
    for (const [what, opening, message, differs] of others) {
      await using engine = await opening();
      const refused = (error: SessionError) => {
        assert.ok(error instanceof SessionError, what);
        assert.match(error.message, message);
        assert.deepEqual(error.differs, differs);
        return true;
      };
      await assert.rejects(engine.restore(path), refused);
      assert.equal(engine.cache.stat().blocks.sealed, 0);
      const back = await engine.restore(path, { replay: true });
      assert.deepEqual(back.differs, differs);
      assert.deepEqual([back.cachedTokens, back.loss], [0, "differs"]);
      assert.equal(back.conversation.messages.length, 2);
      assert.equal(back.tokens.length === 0, what === "tokenizer");
      const { usage } = await collect(
        back.conversation.ask("x", { maxTokens: 3 }),
      );
      assert.equal(usage.cachedTokens, 0);
      const bare = engine.restore(`${folder}/tokens.quire`, { replay: true });
      if (what !== "tokenizer") assert.deepEqual((await bare).tokens, tokens);
      else await assert.rejects(bare, /its tokens mean nothing here/);
      engine.check();
    }
  });
});

Deno.test("Engine.restore() brings as much as there is room for", async () => {
  await withSaved(async ({ path }) => {
    const model = path.replace("a.quire", "model.gguf");
    for (
      const [blocks, cached] of [[0, 0], [1, 8], [5, 40], [6, 48]] as const
    ) {
      await using engine = await open(model, [], {
        plugins: [
          pagedAttention({ blockTokens: 8 }),
          prefixCache({ mostBytes: blocks * 512 }),
        ],
      });
      await make(engine, { tokens: promptOf(40).reverse(), maxTokens: 2 });
      const back = await engine.restore(path);
      assert.deepEqual(
        [back.cachedTokens, back.loss],
        [cached, cached < 48 ? "full" : undefined],
      );
      engine.check();
    }
  });
});

Deno.test("Engine.restore() disturbs no request that runs, and none disturbs it", async () => {
  await withSaved(async ({ engine, path, tokens, next }) => {
    const model = path.replace("a.quire", "model.gguf");
    const prompts = [3, 5, 7].map((n) => promptOf(30 + n, 90 + n).reverse());
    const alone = [];
    for (const prompt of prompts) {
      alone.push(
        (await make(engine, { tokens: prompt, maxTokens: 40 })).tokens,
      );
    }
    for (const mostBytes of [1 << 20, 4 * 512]) {
      await using busy = await open(model, [], {
        plugins: [
          pagedAttention({ blockTokens: 8 }),
          prefixCache({ mostBytes }),
        ],
      });
      const running = prompts.map((tokens) =>
        make(busy, { tokens, maxTokens: 40 })
      );
      const back = await Promise.all([
        busy.restore(path),
        busy.restore(path),
        busy.restore(path, { tenant: "a" }),
      ]);
      const all = await Promise.all(running);
      assert.deepEqual(all.map((made) => made.tokens), alone);
      if (mostBytes > 4096) {
        assert.deepEqual(back.map((b) => b.cachedTokens), [48, 48, 48]);
      }
      for (const tenant of [undefined, "a"]) {
        const more = await make(busy, { tokens, maxTokens: 3, tenant });
        assert.deepEqual(more.tokens, next);
      }
      busy.check();
    }
  });
});

Deno.test("Engine.save() among running requests writes what is whole", async () => {
  await withSaved(async ({ engine, path, tokens, next }) => {
    const prompts = [3, 5, 7].map((n) => promptOf(30 + n, 90 + n).reverse());
    const running = prompts.map((tokens) =>
      make(engine, { tokens, maxTokens: 40 })
    );
    const saves = Array.from(
      { length: 4 },
      () => engine.save({ tokens }, path),
    );
    engine.cache.evictIdle();
    await Promise.all([...saves, ...running]);
    const { cachedTokens, savedTokens } = await engine.restore(path);
    assert.equal(cachedTokens, savedTokens);
    const more = await make(engine, { tokens, maxTokens: 3 });
    assert.deepEqual(more.tokens, next);
  });
});

Deno.test("Engine.save() and restore() refuse what cannot be", async () => {
  await withSaved(async ({ engine, path, tokens }) => {
    const before = await Deno.readFile(path);
    const { vocab } = engine.spec;
    for (
      const [session, message] of [
        [{ tokens: [vocab] }, /Cannot compute token/],
        [{ tokens, sampler: { temperature: -1 } }, /"temperature" -1/],
        [{ tokens, sampler: { drawn: 0.5 } }, /"drawn" 0.5/],
      ] as const
    ) await assert.rejects(engine.save(session, path), message);
    await assert.rejects(
      engine.save({ messages: [{ role: "user" } as never] }, path),
      TypeError,
    );
    const signal = AbortSignal.abort(new Error("enough"));
    await assert.rejects(engine.save({ tokens }, path, { signal }), /enough/);
    await assert.rejects(engine.restore(path, { signal }), /enough/);
    await assert.rejects(
      engine.restore(path, { cachePriority: 101 }),
      /"cachePriority" 101/,
    );
    await engine[Symbol.asyncDispose]();
    await assert.rejects(engine.save({ tokens }, path), /engine was closed/);
    await assert.rejects(engine.restore(path), /engine was closed/);
    assert.deepEqual(await Deno.readFile(path), before);
  });
});

Deno.test("Engine.restore() takes tokens of a model without a chat template", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/a.quire`;
    await using engine = await open(await writeModel(folder, tinyLlama()));
    const tokens = promptOf(30, 8);
    await make(engine, { tokens, maxTokens: 2 });
    await engine.save({ tokens }, path);
    const back = await engine.restore(path);
    assert.deepEqual([back.tokens.length, back.cachedTokens], [30, 24]);
    assert.deepEqual(back.conversation.messages, []);
  });
});
