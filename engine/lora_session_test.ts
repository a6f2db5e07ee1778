import assert from "node:assert/strict";
import { saltOf } from "../core/adapters.ts";
import { writeGguf } from "../models/testing/gguf_writer.ts";
import { ggufAdapter } from "../models/testing/lora_writer.ts";
import { diskOffload } from "../plugins/disk_offload.ts";
import type { AdapterOptions } from "./adapters.ts";
import type { Engine } from "./engine.ts";
import type { LoadOptions } from "./options.ts";
import { SessionError } from "./session_error.ts";
import {
  collect,
  make,
  open,
  promptOf,
  withFolder,
  writeModel,
} from "./testing/sessions.ts";

const MODULES = ["attn_q", "attn_output", "ffn_gate", "ffn_down"].map((
  part,
) => ({
  ...{ name: `blk.0.${part}.weight`, inputs: 32, outputs: 32, rank: 4 },
}));

/** A model that can be talked to, and two adapters of it. */
async function withTalk(
  use: (
    open: (options?: LoadOptions) => Promise<Engine>,
    folder: string,
  ) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const model = await writeModel(folder);
    const adapters: Record<string, string> = {};
    for (const [i, name] of ["a", "b"].entries()) {
      adapters[name] = `${folder}/${name}.gguf`;
      const file = ggufAdapter(MODULES, i + 1, {
        alpha: ["adapter.lora.alpha", 6, 20],
      });
      await Deno.writeFile(adapters[name], writeGguf(file));
    }
    await use(
      (options = {}) => open(model, [], { adapters, ...options }),
      folder,
    );
  });
}

const SHORT = { maxTokens: 12, ignoreEos: true };

Deno.test("a conversation goes on with the adapters it was told, and so do its branches", async () => {
  await withTalk(async (open) => {
    await using engine = await open();
    const say = async (use: AdapterOptions, ...texts: string[]) => {
      const talk = engine.conversation(undefined, use);
      const answers = [];
      for (const text of texts) {
        answers.push((await collect(talk.ask(text, SHORT))).text);
      }
      return { talk, answers };
    };
    const plain = await say({}, "hello", "more");
    const a = await say({ adapter: "a" }, "hello", "more");
    const both = await say({ adapters: ["a", "b"] }, "hello", "more");
    assert.equal(
      new Set([plain, a, both].map((s) => `${s.answers}`)).size,
      3,
    );
    // A turn that names adapters, and turns behind it that do not.
    const talk = engine.conversation();
    await collect(talk.ask("hello", { ...SHORT, adapter: "a" }));
    const branch = talk.branch();
    for (const one of [talk, branch]) {
      const made = await collect(one.ask("more", SHORT));
      assert.equal(made.text, a.answers[1]);
      assert.ok(made.usage.cachedTokens >= 8);
    }
    const off = await collect(branch.ask("again", { ...SHORT, adapters: [] }));
    const other = await say({ adapter: "a" }, "hello", "more", "again");
    assert.notEqual(off.text, other.answers[2]);
    const cut = engine.conversation(undefined, { adapter: "b" });
    await collect(cut.ask("hello", { maxTokens: 5, ignoreEos: true }));
    await collect(cut.more({ maxTokens: 7, ignoreEos: true }));
    const whole = await say({ adapter: "b" }, "hello");
    assert.deepEqual(cut.messages, whole.talk.messages);
  });
});

Deno.test("a session remembers its adapters by what they hold, and is refused without them", async () => {
  await withTalk(async (open, folder) => {
    const path = `${folder}/a.quire`, adapters = { sql: `${folder}/a.gguf` };
    let want;
    {
      await using engine = await open();
      const use = { adapters: [{ name: "a", scale: 0.5 }] };
      const talk = engine.conversation(undefined, use);
      await collect(talk.ask("hello there", SHORT));
      const saved = await engine.save(talk, path);
      assert.ok(saved.cachedTokens >= 16);
      engine.cache.evictIdle();
      want = await collect(talk.ask("more", SHORT));
    }
    {
      // Under another name, among others, and as a tenant.
      await using engine = await open({ adapters, use: ["sql"] });
      const back = await engine.restore(path, { tenant: "t" });
      assert.equal(back.loss, undefined);
      assert.ok(back.cachedTokens >= 16);
      const options = { ...SHORT, tenant: "t" };
      const made = await collect(back.conversation.ask("more", options));
      assert.equal(made.text, want.text);
      assert.ok(made.usage.cachedTokens >= back.cachedTokens);
      await engine.save(back.conversation, path, {});
      assert.equal((await engine.restore(path)).loss, undefined);
      engine.check();
    }
    for (
      const options of [{ adapters: {} }, {
        adapters: { a: `${folder}/b.gguf` },
      }]
    ) {
      await using engine = await open(options);
      await assert.rejects(engine.restore(path), (error: SessionError) => {
        assert.ok(error instanceof SessionError);
        assert.match(
          error.message,
          /adapters that are not loaded \("(a|sql) × 0.5"\)/,
        );
        assert.deepEqual(error.differs, ["adapters"]);
        return true;
      });
      assert.equal(engine.cache.stat().blocks.idle, 0);
      const back = await engine.restore(path, { replay: true });
      assert.deepEqual([back.cachedTokens, back.loss], [0, "differs"]);
      const made = await collect(back.conversation.ask("more", SHORT));
      assert.notEqual(made.text, want.text);
      engine.check();
    }
  });
});

Deno.test("Engine.save() of tokens keeps what their adapters computed", async () => {
  await withTalk(async (open, folder) => {
    const path = `${folder}/a.quire`, tokens = promptOf(40);
    await using engine = await open();
    const made = await make(engine, { tokens, maxTokens: 3, adapter: "b" });
    assert.equal((await engine.save({ tokens }, path)).cachedTokens, 0);
    const saved = await engine.save({ tokens, adapter: "b" }, path);
    assert.equal(saved.cachedTokens, 40);
    engine.cache.evictIdle();
    assert.equal((await engine.restore(path)).cachedTokens, 40);
    const plain = await make(engine, { tokens, maxTokens: 3 });
    assert.equal(plain.usage.cachedTokens, 0);
    assert.notDeepEqual(plain.tokens, made.tokens);
    const again = await make(engine, { tokens, maxTokens: 3, adapter: "b" });
    assert.equal(again.usage.cachedTokens, 32);
    assert.deepEqual(again.tokens, made.tokens);
    await assert.rejects(engine.save({ tokens, adapter: "c" }, path), /"c"/);
    // What checksums of blocks cover is anyone's, but of these adapters.
    const contents = (salt: string) =>
      engine.cache.keptPrefix(tokens, { salt, length: 40 })
        .blocks.map(({ content }) => content);
    const adapters = { key: "k", scales: new Float32Array(2) };
    const own = contents(saltOf({ adapters }));
    assert.deepEqual(contents(saltOf({ adapters, tenant: "t" })), own);
    assert.notDeepEqual(contents(""), own);
    assert.deepEqual(contents("t"), contents(""));
  });
});

Deno.test("blocks on disk are found by the same adapters in another process, whatever their names", async () => {
  await withTalk(async (_, folder) => {
    const tokens = promptOf(40);
    const ask = async (
      adapters: Record<string, string>,
      use: AdapterOptions,
    ) => {
      const disk = diskOffload({ folder: `${folder}/disk`, bytes: 1 << 20 });
      const model = `${folder}/model.gguf`;
      await using engine = await open(model, [disk], { adapters });
      const options = { ...use, tokens, maxTokens: 2 };
      const { usage, tokens: made } = await make(engine, options);
      return [usage.cachedTokens, made] as const;
    };
    const a = `${folder}/a.gguf`, b = `${folder}/b.gguf`;
    const first = await ask({ a, b }, { adapters: ["a", "b"] });
    const plain = await ask({ a, b }, {});
    assert.deepEqual([first[0], plain[0]], [0, 0]);
    // The order of names is another one.
    const names = { x: b, y: a };
    assert.deepEqual(await ask(names, { adapters: ["x", "y"] }), [
      32,
      first[1],
    ]);
    assert.deepEqual(await ask({}, {}), [32, plain[1]]);
    assert.equal((await ask(names, { adapter: "y" }))[0], 0);
  });
});
