import assert from "node:assert/strict";
import { join } from "node:path";
import { maxAbsDiff } from "../core/testing/compare.ts";
import { withFile } from "../models/testing/files.ts";
import { writeHubFolder } from "../models/testing/hub_folder.ts";
import { hubModel } from "../models/testing/hub_model.ts";
import { tinyChat } from "../models/testing/tiny_chat.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { prefixCache } from "../plugins/prefix_cache.ts";
import { weightOffload } from "../plugins/weight_offload.ts";
import { load } from "./load.ts";
import { SessionError } from "./session_error.ts";
import { run } from "./testing/laws.ts";
import { collect } from "./testing/tiny_engine.ts";
import { tinyModels } from "./testing/tiny_fixtures.ts";
import { openTinyModel } from "./testing/tiny_models.ts";

const names = ["gemma3", "mistral-swa", "qwen2"]
  .filter((name) => tinyModels().includes(name));
const ignore = names.length === 0;

Deno.test("load() of a folder answers as the GGUF twin does, and chats by its template", async () => {
  await using model = await hubModel({ shards: 2 });
  const request = { prompt: "once", maxTokens: 30, ignoreEos: true };
  const texts: string[] = [];
  await withFile(tinyChat(), async (gguf) => {
    for (const path of [gguf, model.path, model.at("config.json")]) {
      await using engine = await load(path, { threads: 2, check: true });
      const { text } = await collect(engine.generate(request));
      const messages = [{ role: "user", content: "hello" }];
      texts.push(`${engine.chatPrompt(messages)} ${text}`);
    }
  });
  assert.match(texts[0]!, /^\[user\]hello\n\[assistant\] /);
  assert.equal(texts[1], texts[0]);
  assert.equal(texts[2], texts[0]);
});

Deno.test("a session of a folder goes on with that folder, and not with its twin", async () => {
  await using model = await hubModel();
  const path = model.at("talk.quire");
  const open = (model: string) =>
    load(model, {
      threads: 1,
      plugins: [pagedAttention({ blockTokens: 8 }), prefixCache()],
    });
  {
    await using engine = await open(model.path);
    const talk = engine.conversation();
    await Array.fromAsync(talk.ask("hello", { maxTokens: 9 }));
    await engine.save(talk, path);
  }
  {
    await using engine = await open(model.path);
    const { cachedTokens, savedTokens } = await engine.restore(path);
    assert.ok(savedTokens > 0);
    assert.equal(cachedTokens, savedTokens);
  }
  await withFile(tinyChat(), async (gguf) => {
    await using engine = await open(gguf);
    await assert.rejects(engine.restore(path), (error: Error) => {
      assert.ok(error instanceof SessionError);
      assert.match(error.message, /other weights/);
      return true;
    });
  });
});

Deno.test("load() says which file of a folder is broken", async () => {
  await using model = await hubModel({ shards: 3 });
  const shard = model.at("model-00002-of-00003.safetensors");
  await Deno.truncate(shard, 100);
  await assert.rejects(load(model.path), (error: Error) => {
    assert.ok(error.message.includes(shard), error.message);
    return true;
  });
  await using whole = await hubModel();
  await Deno.remove(whole.at("tokenizer.json"));
  await assert.rejects(load(whole.path), /there is no "tokenizer\.json"/);
});

/** Runs `use` with a tiny model's path and that of its twin. */
async function withTwin(
  name: string,
  use: (twin: string, gguf: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "quire_twin_" });
  try {
    const { fixture, file } = await openTinyModel(name);
    await writeHubFolder(file, folder, { shards: 3, dtype: "BF16" });
    await use(folder, fixture.path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name: "weightOffload() streams layers from all files of a folder",
  ignore,
  fn: async (t) => {
    for (const name of names) {
      await t.step(name, () =>
        withTwin(name, async (twin) => {
          const bare = await run(twin, {}, [pagedAttention()]);
          for (const from of ["disk", "host"] as const) {
            const plugins = [
              pagedAttention(),
              weightOffload({ from, resident: 0, depth: 2 }),
            ];
            const got = await run(twin, {}, plugins);
            assert.deepEqual(got.tokens, bare.tokens, from);
          }
        }));
    }
  },
});

Deno.test({
  name: "quantize rounds a folder's weights as it rounds its twin's",
  ignore,
  fn: async (t) => {
    for (const name of names) {
      await t.step(name, async () => {
        const { fixture, file } = await openTinyModel(name);
        const ids = fixture.sequences[1]!.tokens;
        const folder = await Deno.makeTempDir({ prefix: "quire_twin_" });
        try {
          await writeHubFolder(file, folder);
          const logits: Float32Array[] = [];
          for (const path of [fixture.path, folder]) {
            await using engine = await load(path, {
              quantize: "q8_0",
              precision: "exact",
            });
            logits.push(await engine.logits(ids));
          }
          assert.ok(maxAbsDiff(logits[0]!, logits[1]!) <= 1e-4);
        } finally {
          await Deno.remove(folder, { recursive: true });
        }
      });
    }
  },
});

Deno.test({
  name: "load() of a folder needs leave to read the folder, and no more",
  fn: async () => {
    await using model = await hubModel();
    const script = join(model.path, "run.ts");
    const mod = new URL("./load.ts", import.meta.url).href;
    await Deno.writeTextFile(
      script,
      `const { load } = await import(${JSON.stringify(mod)});
await using engine = await load(Deno.args[0], { threads: 1 });
console.log((await engine.logits([1, 2])).length);
`,
    );
    const root = decodeURIComponent(new URL("../", import.meta.url).pathname);
    const { success, stdout, stderr } = await new Deno.Command("deno", {
      args: [
        ...["run", "--no-check", "--no-prompt"],
        ...[`--allow-read=${model.path},${root}`, script, model.path],
      ],
    }).output();
    const say = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    assert.ok(success, say(stderr));
    assert.match(say(stdout), /^\d+\n$/);
  },
});
