import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import type { Plugin } from "../core/plugin.ts";
import { modelTest } from "../models/testing/files.ts";
import { cpuOffload } from "../plugins/cpu_offload.ts";
import { kvCache } from "../plugins/kv_cache.ts";
import { kvInt4 } from "../plugins/kv_int4.ts";
import { kvInt8 } from "../plugins/kv_int8.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { prefixCache } from "../plugins/prefix_cache.ts";
import { promptLookup } from "../plugins/prompt_lookup.ts";
import { slidingWindow } from "../plugins/sliding_window.ts";
import { load } from "./load.ts";
import type { LoadOptions, SamplingOptions } from "./options.ts";
import { ignore, names, why } from "./testing/laws.ts";
import {
  collect,
  make,
  open,
  promptOf,
  withFolder,
  writeModel,
} from "./testing/sessions.ts";
import { openTinyModel } from "./testing/tiny_models.ts";

Deno.test("Engine.restore() finds what Engine.save() wrote, token for token", async () => {
  await withFolder(async (folder) => {
    const model = await writeModel(folder), path = `${folder}/a.quire`;
    const prompt = promptOf(40);
    let tokens: number[];
    {
      await using engine = await open(model);
      const made = await make(engine, { tokens: prompt, maxTokens: 13 });
      tokens = [...prompt, ...made.tokens];
      const saved = await engine.save({ tokens }, path);
      // The last token was never computed, and 52 positions have 6 whole blocks.
      assert.deepEqual([saved.tokens, saved.cachedTokens], [53, 48]);
      assert.equal(saved.bytes, (await Deno.stat(path)).size);
      assert.equal(
        engine.cache.stat().hits,
        0,
        "saving is no use of the cache",
      );
      engine.check();
    }
    await using engine = await open(model);
    const restored = await engine.restore(pathToFileURL(path));
    assert.deepEqual(restored.tokens, tokens);
    assert.deepEqual(
      [restored.savedTokens, restored.cachedTokens, restored.loss],
      [48, 48, undefined],
    );
    assert.equal(restored.bytes, (await Deno.stat(path)).size);
    assert.deepEqual(restored.differs, []);
    engine.check();
    const { blocks } = engine.cache.stat();
    assert.deepEqual(blocks, { open: 0, sealed: 6, idle: 6 });
    const { usage } = await make(engine, { tokens, maxTokens: 4 });
    assert.equal(usage.cachedTokens, 48);
    assert.equal(usage.miss, undefined);
    engine.cache.evictIdle();
    engine.check();
    assert.equal(engine.cache.stat().tiers[0]!.used, 0);
  });
});

/** What changes how K and V are kept, and on which models. */
const WAYS: Readonly<Record<string, () => readonly Plugin[]>> = {
  "f16": () => [],
  "int8": () => [kvInt8()],
  "int4, first block open": () => [kvInt4({ keepFirst: 1 })],
  "by layer": () => [
    kvInt8({ layers: (l) => l.layer % 2 === 1 }),
    kvCache({ k: "int4", v: "int8", layers: [0] }),
  ],
  "window and sinks": () => [slidingWindow({ window: 12, sinks: 3 })],
  "window on some, int8": () => [
    slidingWindow({ window: 12, layers: (l) => l.layer % 2 === 0 }),
    kvInt8(),
  ],
  "guesses and a tier": () => [
    promptLookup(),
    cpuOffload({ bytes: 1 << 20 }),
  ],
};

const SAMPLERS: readonly SamplingOptions[] = [
  {},
  {
    temperature: 0.9,
    seed: 11,
    repetitionPenalty: 1.3,
    frequencyPenalty: 0.2,
    penaltyWindow: 20,
    logitBias: { 3: -Infinity, 4: 0.5 },
  },
  { temperature: 1.2, seed: 2 ** 52 + 1, topK: 0, topP: 1, minP: 0 },
];

const BACKENDS: Readonly<Record<string, LoadOptions>> = {
  wasm: { backend: "wasm" },
  exact: { backend: "wasm", precision: "exact" },
  reference: { backend: "reference" },
};

for (const [label, backend] of Object.entries(BACKENDS)) {
  Deno.test({
    name:
      `a text saved, restored and gone on with is the text in one go: ${label}${why}`,
    ignore,
    fn: async (t) => {
      const some = label === "wasm" ? names : names.slice(1, 2);
      for (const [way, plugins] of Object.entries(WAYS)) {
        for (const name of some) {
          if (label === "reference" && !/f16|int8/.test(way)) continue;
          await t.step(
            `${name}, ${way}`,
            () =>
              goesOn(name, plugins, { context: 128, chunk: 24, ...backend }),
          );
        }
      }
    },
  });
}

async function goesOn(
  name: string,
  plugins: () => readonly Plugin[],
  options: LoadOptions,
): Promise<void> {
  const { fixture, spec } = await openTinyModel(name);
  const prompt = promptOf(29, spec.vocab), first = 10, then = 12;
  await withFolder(async (folder) => {
    await using engine = await open(fixture.path, plugins(), options);
    await using other = await open(fixture.path, plugins(), options);
    for (const [i, sampling] of SAMPLERS.entries()) {
      const request = { ...sampling, tokens: prompt };
      const whole = await make(engine, { ...request, maxTokens: first + then });
      engine.cache.evictIdle();
      const begun = await make(engine, { ...request, maxTokens: first });
      const tokens = [...prompt, ...begun.tokens];
      const path = `${folder}/${i}.quire`;
      const sampler = { ...sampling, drawn: first };
      const saved = await engine.save({ tokens, sampler }, path);
      assert.equal(saved.cachedTokens, 32);
      other.cache.evictIdle();
      const back = await other.restore(path);
      assert.deepEqual(back.sampler, { logitBias: {}, ...sampler });
      assert.equal(back.cachedTokens, 32);
      other.check();
      const rest = await make(other, {
        ...back.sampler,
        tokens: back.tokens,
        maxTokens: then,
      });
      assert.equal(rest.usage.cachedTokens, 32);
      assert.deepEqual([...begun.tokens, ...rest.tokens], whole.tokens);
    }
  });
}

Deno.test("a conversation saved and restored goes on as if nothing had been", async () => {
  await withFolder(async (folder) => {
    const model = await writeModel(folder), path = `${folder}/a.quire`;
    const turn = { ignoreEos: true, temperature: 0.8, seed: 5, maxTokens: 12 };
    await using engine = await open(model);
    const talk = engine.conversation("be brief");
    await collect(talk.ask("hello", { ...turn, presencePenalty: 0.3 }));
    const saved = await engine.save(talk, path);
    await using other = await open(model);
    const { conversation, cachedTokens, tokens } = await other.restore(path);
    assert.equal(cachedTokens, saved.cachedTokens);
    assert.equal(tokens.length, saved.tokens);
    assert.deepEqual(conversation.messages, talk.messages);
    assert.ok(conversation.unfinished);
    const more = { maxTokens: 9, ignoreEos: true };
    const here = await collect(talk.more(more));
    const there = await collect(conversation.more(more));
    assert.deepEqual(there.tokens, here.tokens);
    assert.equal(there.usage.cachedTokens, saved.cachedTokens);
    const next = await collect(talk.ask("again", turn));
    const again = await collect(conversation.ask("again", turn));
    assert.deepEqual(again.tokens, next.tokens);
    assert.deepEqual(conversation.messages, talk.messages);
    assert.equal(again.usage.cachedTokens, next.usage.cachedTokens);
  });
});

Deno.test("Engine.save() takes a conversation as of its last whole turn", async () => {
  await withFolder(async (folder) => {
    const model = await writeModel(folder), path = `${folder}/a.quire`;
    await using engine = await open(model);
    const empty = engine.conversation("be brief");
    assert.equal((await engine.save(empty, path)).tokens, 0);
    assert.deepEqual(
      (await engine.restore(path)).conversation.messages,
      empty.messages,
    );
    const talk = engine.conversation();
    await collect(talk.ask("hello", { maxTokens: 9, ignoreEos: true }));
    const { messages } = talk;
    const running = talk.ask("one", { maxTokens: 30, ignoreEos: true });
    await running.next();
    await engine.save(talk, path);
    await running.return(undefined);
    const { conversation } = await engine.restore(path);
    assert.deepEqual(conversation.messages, messages);
    // A stop text was cut off: the words count, not the tokens.
    const whole = await collect(talk.branch().ask("x", { maxTokens: 9 }));
    const stop = whole.text.slice(3, 5);
    await collect(talk.ask("x", { maxTokens: 9, stop }));
    await engine.save(talk, path);
    const back = await engine.restore(path);
    assert.deepEqual(back.conversation.messages, talk.messages);
    assert.ok(!back.conversation.unfinished);
    // What was asked, and what comes before the answer: 23 characters.
    assert.equal(back.cachedTokens, 16);
    const a = await collect(back.conversation.ask("y", { maxTokens: 5 }));
    const b = await collect(talk.ask("y", { maxTokens: 5 }));
    assert.deepEqual(a.tokens, b.tokens);
  });
});

Deno.test("sessions of tenants are found by who restores them", async () => {
  await withFolder(async (folder) => {
    const model = await writeModel(folder), path = `${folder}/a.quire`;
    const tokens = promptOf(33);
    await using engine = await open(model);
    await make(engine, { tokens, maxTokens: 2, tenant: "a" });
    assert.equal((await engine.save({ tokens }, path)).cachedTokens, 0);
    const saved = await engine.save({ tokens }, path, { tenant: "a" });
    assert.equal(saved.cachedTokens, 32);
    const back = await engine.restore(path, { tenant: "b" });
    assert.equal(back.cachedTokens, 32);
    const found = async (tenant?: string) =>
      (await make(engine, { tokens, maxTokens: 1, tenant })).usage.cachedTokens;
    assert.equal(await found("b"), 32);
    assert.equal(await found(), 0);
    // A conversation's last turn says whose it is.
    const talk = engine.conversation();
    const turn = { maxTokens: 20, ignoreEos: true, tenant: "c" };
    await collect(talk.ask("hello", turn));
    assert.ok((await engine.save(talk, path)).cachedTokens > 0);
  });
});

Deno.test("Engine.save() takes what was given up to host memory", async () => {
  await withFolder(async (folder) => {
    const model = await writeModel(folder), path = `${folder}/a.quire`;
    const tokens = promptOf(33);
    await using engine = await open(model, [cpuOffload({ bytes: 1 << 20 })]);
    await make(engine, { tokens, maxTokens: 2 });
    engine.cache.evictIdle();
    assert.equal((await engine.save({ tokens }, path)).cachedTokens, 32);
    await using other = await open(model);
    assert.equal((await other.restore(path)).cachedTokens, 32);
  });
});

Deno.test("Engine.save() keeps the tokens alone where no plugin keeps an index", async () => {
  await withFolder(async (folder) => {
    const model = await writeModel(folder), path = `${folder}/a.quire`;
    const tokens = promptOf(33);
    await using bare = await open(model, [], { plugins: [pagedAttention()] });
    await make(bare, { tokens, maxTokens: 2 });
    const saved = await bare.save({ tokens }, path);
    assert.deepEqual([saved.tokens, saved.cachedTokens], [33, 0]);
    assert.equal((await bare.restore(path)).loss, undefined);
    const plugins = [pagedAttention(), prefixCache()];
    await using engine = await open(model, [], { plugins });
    const made = await make(engine, { tokens, maxTokens: 5 });
    await engine.save({ tokens }, path);
    const back = await bare.restore(path);
    assert.deepEqual([back.savedTokens, back.cachedTokens], [32, 0]);
    assert.equal(back.loss, "off");
    const again = await make(bare, { tokens: back.tokens, maxTokens: 5 });
    assert.deepEqual(again.tokens, made.tokens);
  });
});

modelTest(
  "a conversation with SmolLM2 goes on in another engine as it would have",
  "smollm2",
  async (model) => {
    await withFolder(async (folder) => {
      const path = `${folder}/talk.quire`,
        options = { context: 512, threads: 2 };
      await using engine = await load(model, options);
      const talk = engine.conversation("You are terse.");
      const turn = { maxTokens: 24, temperature: 0.7, seed: 3 };
      await collect(talk.ask("Name three rivers and tell me of each.", turn));
      const saved = await engine.save(talk, path);
      await using other = await load(model, options);
      const { conversation, cachedTokens } = await other.restore(path);
      assert.equal(cachedTokens, saved.cachedTokens);
      assert.ok(cachedTokens >= saved.tokens - 17);
      const [here, there] = await Promise.all([
        collect(talk.more({ maxTokens: 16 })),
        collect(conversation.more({ maxTokens: 16 })),
      ]);
      assert.deepEqual(there.tokens, here.tokens);
      assert.deepEqual(conversation.messages, talk.messages);
    });
  },
);
