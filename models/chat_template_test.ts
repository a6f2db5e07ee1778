import assert from "node:assert/strict";
import { ModelError } from "../core/errors.ts";
import { type ChatMessage, renderChat } from "./chat_template.ts";
import { openGguf } from "./gguf.ts";
import { cachedModel, fixtureTest, MODELS, readJson } from "./testing/files.ts";
import { createTokenizer } from "./tokenizer.ts";

interface Chats {
  readonly chat_template: string;
  readonly cases: readonly {
    readonly id: string;
    readonly messages: readonly ChatMessage[];
    readonly prompt: string;
    readonly ids: readonly number[];
  }[];
}

const model = cachedModel(MODELS.smollm2);

fixtureTest(
  "renderChat() equals llama.cpp's prompts for SmolLM2" +
    (model === undefined ? `, ids not compared: no model in cache` : ""),
  "dev_chat_smollm2.json",
  async (url) => {
    const { chat_template: template, cases } = await readJson<Chats>(url);
    const tokenizer = model && createTokenizer(await openGguf(model));
    assert.ok(cases.length >= 6);
    for (const { id, messages, prompt, ids } of cases) {
      const text = renderChat(template, messages, { model: "m" });
      assert.equal(text, prompt, id);
      if (!tokenizer) continue;
      assert.equal(tokenizer.chatTemplate, template);
      assert.deepEqual(tokenizer.encode(text, { special: true }), ids, id);
    }
  },
);

const user: ChatMessage[] = [{ role: "user", content: "Hi {{ x }}" }];

Deno.test("renderChat() gives templates their variables", () => {
  const template = "{{ bos_token }}{% for m in messages %}[{{ m.role }}:" +
    "{{ m['content'] | trim }}:{{ m.name }}]{% endfor %}{{ eos_token }}" +
    "{% if add_generation_prompt %}>{% endif %}" +
    "{% if tools %}{{ tools | length }}{% endif %}";
  const named = [{ ...user[0]!, name: "Ann" }];
  assert.equal(
    renderChat(template, named, { model: "m", bos: "<s>", eos: "</s>" }),
    "<s>[user:Hi {{ x }}:Ann]</s>>",
  );
  assert.equal(
    renderChat(template, [], {
      model: "m",
      addGenerationPrompt: false,
      tools: [{}, {}],
    }),
    "2",
  );
});

Deno.test("renderChat() says that a model has no template", () => {
  assert.throws(
    () => renderChat(undefined, user, { model: "base.gguf" }),
    /Cannot use model "base\.gguf": it has no chat template/,
  );
});

Deno.test("renderChat() passes on what a template objects to", () => {
  const template = "{{ raise_exception('Roles must alternate') }}";
  assert.throws(
    () => renderChat(template, user, { model: "m" }),
    (error: Error) =>
      error instanceof ModelError &&
      /refuses these messages: Roles must alternate/.test(error.message),
  );
});

Deno.test("renderChat() names a template that cannot be parsed", () => {
  for (const template of ["{% for %}", "{{ x", "{% if a %}b"]) {
    assert.throws(
      () => renderChat(template, user, { model: "m" }),
      (error: Error) =>
        error instanceof ModelError &&
        /chat template cannot be parsed/.test(error.message),
      template,
    );
  }
});
