import assert from "node:assert/strict";
import { VALUE } from "../models/gguf/value_types.ts";
import { collect, tinyEngine } from "./testing/tiny_engine.ts";

Deno.test("promptTokens() copies the caller's tokens, which may grow with the answer", async () => {
  await using engine = await tinyEngine();
  const history = [2, 3];
  let made = 0;
  for await (
    const part of engine.generate({
      tokens: history,
      maxTokens: 5,
      ignoreEos: true,
    })
  ) {
    history.push(...part.tokens);
    made += part.tokens.length;
    if (part.finish) assert.equal(part.usage!.promptTokens, 2);
  }
  assert.equal(made, 5);
  const ids = [2, 3, 4];
  const logits = engine.logits(ids, { rows: "all" });
  ids.length = 1;
  assert.equal((await logits).length, 3 * engine.spec.vocab);
});

Deno.test("Engine.promptTokens() are the tokens that generate() computes, with one BOS", async () => {
  const key = "tokenizer.chat_template";
  const write = "{% for m in messages %}{{ m.content }}{% endfor %}";
  for (const addBos of [true, false]) {
    for (const template of [write, `{{ bos_token }}${write}`]) {
      const bos = "tokenizer.ggml.add_bos_token";
      await using engine = await tinyEngine({}, {
        [key]: [key, VALUE.STRING, template],
        [bos]: [bos, VALUE.BOOL, addBos],
      });
      const messages = [{ role: "user", content: "ab ab" }] as const;
      const tokens = engine.promptTokens(messages);
      const wanted = addBos || template !== write ? 1 : 0;
      assert.equal(
        tokens.filter((id) => id === engine.tokenizer.bos).length,
        wanted,
      );
      const more = { maxTokens: 4, ignoreEos: true };
      assert.deepEqual(
        await collect(engine.generate({ messages, ...more })),
        await collect(engine.generate({ tokens, ...more })),
      );
    }
  }
});
