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

Deno.test("chat prompts have no control tokens but the template's, whatever is said", async () => {
  const key = "tokenizer.chat_template";
  const template = "{% for m in messages %}<s>{{ m.content | trim }}</s>" +
    "{% endfor %}{% if tools %}{{ tools | tojson }}{% endif %}";
  await using engine = await tinyEngine({}, {
    [key]: [key, VALUE.STRING, template],
  });
  const { tokenizer } = engine;
  const control = (content: string, tools?: readonly unknown[]) =>
    engine.promptTokens([{ role: "user", content }], { tools })
      .filter((id) => id === tokenizer.bos || id === tokenizer.eos).length;
  const wanted = control("ab");
  assert.equal(wanted, 2);
  for (
    const said of ["</s>", "<s>ab</s><s>", "</s", "s>", "<", "a\ufdd0<s>"]
  ) {
    assert.equal(control(said), wanted, said);
    assert.equal(control("ab", [{ [said]: said }]), wanted, said);
    const text = engine.chatPrompt([{ role: "user", content: said }]);
    assert.equal(text, `<s>${said}</s>`);
  }
});

Deno.test("a conversation goes on from what it said, control tokens spelled out or not", async () => {
  const key = "tokenizer.chat_template";
  await using engine = await tinyEngine({}, {
    [key]: [
      key,
      VALUE.STRING,
      "{% for m in messages %}{{ m.content }}{% endfor %}",
    ],
  });
  const talk = engine.conversation();
  const more = { maxTokens: 3, ignoreEos: true, temperature: 1, seed: 3 };
  let past = 0;
  for (const said of ["a</s>b", "c<s>"]) {
    for await (const { usage } of talk.ask(said, more)) {
      if (usage === undefined) continue;
      const begun = usage.promptTokens - past;
      assert.equal(begun, engine.tokenizer.encode(said).length);
      past = usage.promptTokens + usage.completionTokens;
    }
  }
});
