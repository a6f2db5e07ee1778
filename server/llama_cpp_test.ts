/**
 * What llama.cpp's own tests say of a server (its folder `tools/server/tests/unit`),
 * as facts about this one. Where its endpoint is not OpenAI's (`/completion`), the
 * fact is about OpenAI's. `llama_cpp.md` lists all of them with their results.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { ServerOptions } from "./settings.ts";
import {
  chunks,
  errorOf,
  post,
  type Served,
  withServer,
} from "./testing/server.ts";

const CHAT = "/chat/completions", TEXT = "/v1/completions";
const KEY = "sk-this-is-the-secret-key";
const book = [
  { role: "system", content: "Book" },
  { role: "user", content: "What is the best book" },
];
const prompt = "I believe the meaning of life is";
const greedy = { temperature: 0, ignore_eos: true };

// deno-lint-ignore no-explicit-any
type Json = any;

async function ask(
  { app }: Served,
  path: string,
  body: unknown,
): Promise<Json> {
  const res = await post(app, path, body);
  assert.equal(res.status, 200, await res.clone().text());
  return await res.json();
}

async function refused(served: Served, path: string, body: unknown) {
  const res = await post(served.app, path, body);
  assert.equal(res.status, 400);
  return await errorOf(res);
}

async function embed(served: Served, input: unknown): Promise<Json> {
  return await ask(served, "/v1/embeddings", { input });
}

type Fact = (served: Served) => Promise<void>;

/** What holds, by file and test. */
const FACTS: Readonly<Record<string, Fact>> = {
  "test_basic/test_server_start_simple": async ({ app }) => {
    assert.equal((await app.request("/health")).status, 200);
  },
  "test_basic/test_server_models": async ({ app }) => {
    const { data } = await (await app.request("/models")).json();
    assert.equal(data.length, 1);
    assert.equal(data[0].id, "tiny");
  },
  "test_basic/test_server_model_aliases_and_tags": async ({ app }) => {
    const { data } = await (await app.request("/models")).json();
    assert.deepEqual(data[0].aliases, []);
  },
  "test_chat_completion/test_chat_completion": async (served) => {
    for (const more of [{}, { model: null }, { model: "tiny" }]) {
      const body = await ask(served, CHAT, {
        messages: book,
        max_tokens: 8,
        ...greedy,
        ...more,
      });
      assert.ok(body.id.includes("cmpl"));
      assert.ok(body.system_fingerprint.startsWith("b"));
      assert.equal(body.usage.completion_tokens, 8);
      assert.equal(body.choices[0].message.role, "assistant");
      assert.equal(body.choices[0].finish_reason, "length");
    }
  },
  "test_chat_completion/test_chat_completion_stream": async (served) => {
    const all = await chunks(
      await post(served.app, CHAT, {
        messages: book,
        max_tokens: 8,
        stream: true,
        ...greedy,
      }),
    );
    for (
      const [i, { id, model, system_fingerprint, choices }] of all.entries()
    ) {
      const [{ delta, finish_reason }] = choices;
      assert.equal(id, all[0].id);
      assert.equal(model, "tiny");
      assert.ok(system_fingerprint.startsWith("b"));
      if (i === 0) {
        assert.deepEqual(delta, {
          role: "assistant",
          content: null,
        });
      } else assert.ok(!("role" in delta));
      if (i === all.length - 1) {
        assert.equal(finish_reason, "length");
        assert.ok(!("content" in delta));
      } else assert.equal(finish_reason, null);
    }
  },
  "test_chat_completion/test_completion_with_response_format": async (
    served,
  ) => {
    const say = async (response_format: unknown) => {
      const { choices } = await ask(served, CHAT, {
        messages: book,
        max_tokens: 40,
        response_format,
      });
      return JSON.parse(choices[0].message.content);
    };
    const type = "json_object";
    assert.equal(await say({ type, schema: { const: "42" } }), "42");
    const schema = { const: "foooooo" };
    assert.equal(
      await say({ type: "json_schema", json_schema: { schema } }),
      "foooooo",
    );
    await say({ type });
    for (
      const response_format of [
        { type: "sound" },
        { type, schema: 123 },
        { type, schema: { type: 123 } },
        { type, schema: { type: "hiccup" } },
      ]
    ) await refused(served, CHAT, { messages: book, response_format });
  },
  "test_chat_completion/test_completion_with_json_schema": async (served) => {
    const { choices } = await ask(served, CHAT, {
      messages: book,
      max_tokens: 6,
      json_schema: { const: "42" },
    });
    assert.equal(choices[0].message.content, '"42"');
  },
  "test_chat_completion/test_invalid_chat_completion_req": async (served) => {
    for (
      const messages of [
        null,
        "string",
        [123],
        [{}],
        [{ role: 123 }],
        [{ role: "system", content: 123 }],
        [{ role: "system", content: "test" }, {}],
        [
          { role: "user", content: "test" },
          { role: "assistant", content: "test" },
          { role: "assistant", content: "test" },
        ],
      ]
    ) await refused(served, CHAT, { messages });
  },
  "test_chat_completion/test_chat_completion_with_timings_per_token": async (
    served,
  ) => {
    const all = await chunks(
      await post(served.app, CHAT, {
        messages: book,
        max_tokens: 10,
        stream: true,
        stream_options: { include_usage: true },
        timings_per_token: true,
        ...greedy,
      }),
    );
    assert.ok(!("timings" in all[0]));
    const { timings, choices } = all.at(-1);
    assert.deepEqual(choices, []);
    assert.ok("prompt_per_second" in timings);
    assert.ok("predicted_per_second" in timings);
    assert.ok(timings.predicted_n <= 10);
    assert.ok("timings" in all.at(-3));
  },
  "test_chat_completion/test_logprobs": async (served) => {
    const { choices } = await ask(served, CHAT, {
      messages: book,
      max_tokens: 5,
      logprobs: true,
      top_logprobs: 10,
      ...greedy,
    });
    const { content } = choices[0].logprobs;
    const bytes = content.flatMap((t: Json) => t.bytes);
    const text = new TextDecoder().decode(new Uint8Array(bytes));
    assert.equal(text, choices[0].message.content);
    for (const { logprob, top_logprobs } of content) {
      assert.ok(logprob <= 0);
      assert.equal(top_logprobs.length, 10);
    }
  },
  "test_chat_completion/test_logprobs_stream": async (served) => {
    const all = await chunks(
      await post(served.app, CHAT, {
        messages: book,
        max_tokens: 5,
        logprobs: true,
        top_logprobs: 10,
        stream: true,
        ...greedy,
      }),
    );
    let text = "";
    const bytes: number[] = [];
    for (const { choices: [c] } of all.slice(1, -1)) {
      text += c.delta.content;
      for (const token of c.logprobs.content) bytes.push(...token.bytes);
    }
    assert.equal(new TextDecoder().decode(new Uint8Array(bytes)), text);
  },
  "test_chat_completion/test_logit_bias": async (served) => {
    const { tokens } = await ask(served, "/tokenize", { content: "aeiou " });
    const logit_bias = Object.fromEntries(tokens.map((t: number) => [t, -100]));
    const { choices } = await ask(served, CHAT, {
      messages: book,
      max_tokens: 64,
      logit_bias,
      ...greedy,
    });
    assert.ok(!/[aeiou ]/.test(choices[0].message.content));
  },
  "test_chat_completion/test_context_size_exceeded": async (served) => {
    const messages = Array(100).fill(book).flat();
    const error = await refused(served, CHAT, { messages });
    assert.equal(error.type, "exceed_context_size_error");
    assert.ok(error.n_prompt_tokens as number > 0);
    assert.equal(error.n_ctx, served.engine.context);
  },
  "test_chat_completion/test_context_size_exceeded_stream": async (served) => {
    const messages = Array(100).fill(book).flat();
    const error = await refused(served, CHAT, { messages, stream: true });
    assert.equal(error.type, "exceed_context_size_error");
  },
  "test_chat_completion/test_chat_completions_multiple_choices": async (
    served,
  ) => {
    const { choices } = await ask(served, CHAT, {
      messages: book,
      max_tokens: 8,
      n: 2,
      ...greedy,
    });
    assert.equal(choices.length, 2);
    for (const { message, finish_reason } of choices) {
      assert.equal(message.role, "assistant");
      assert.equal(finish_reason, "length");
    }
  },
  "test_completion/test_completion": async (served) => {
    const body = await ask(served, TEXT, { prompt, max_tokens: 8, ...greedy });
    assert.equal(body.timings.prompt_n, body.usage.prompt_tokens);
    assert.equal(body.timings.predicted_n, 8);
  },
  "test_completion/test_completion_stream_vs_non_stream": async (served) => {
    const request = { prompt, max_tokens: 8, ...greedy };
    const whole = await ask(served, TEXT, request);
    const all = await chunks(
      await post(served.app, TEXT, { ...request, stream: true }),
    );
    const text = all.map(({ choices: [c] }) => c.text).join("");
    assert.equal(text, whole.choices[0].text);
  },
  "test_completion/test_consistent_result_same_seed": async (served) => {
    const texts = new Set<string>();
    for (let i = 0; i < 4; i++) {
      const body = await ask(served, TEXT, {
        prompt,
        seed: 42,
        temperature: 1,
      });
      texts.add(body.choices[0].text);
    }
    assert.equal(texts.size, 1);
  },
  "test_completion/test_different_result_different_seed": async (served) => {
    const texts = new Set<string>();
    for (let seed = 0; seed < 4; seed++) {
      const body = await ask(served, TEXT, {
        prompt,
        seed,
        temperature: 2,
        top_k: 0,
        top_p: 1,
        min_p: 0,
        ignore_eos: true,
      });
      texts.add(body.choices[0].text);
    }
    assert.equal(texts.size, 4);
  },
  "test_completion/test_cache_vs_nocache_prompt": async (served) => {
    const request = { prompt: prompt.repeat(2), seed: 42, temperature: 1 };
    const [cold, warm] = [
      await ask(served, TEXT, request),
      await ask(served, TEXT, request),
    ];
    assert.ok(warm.timings.cache_n > 0);
    assert.equal(cold.choices[0].text, warm.choices[0].text);
  },
  "test_completion/test_nocache_long_input_prompt": async (served) => {
    await refused(served, TEXT, { prompt: prompt.repeat(32) });
  },
  "test_completion/test_completion_with_tokens_input": async (served) => {
    const { tokens } = await ask(served, "/tokenize", {
      content: prompt,
      add_special: true,
    });
    for (const both of [[tokens, tokens], [tokens, prompt]]) {
      const { choices } = await ask(served, TEXT, { prompt: both, ...greedy });
      assert.equal(choices.length, 2);
      assert.equal(choices[0].text, choices[1].text);
    }
    await ask(served, TEXT, { prompt: tokens });
  },
  "test_completion/test_completion_parallel_slots": async (served) => {
    const all = await Promise.all(
      Array.from(
        { length: 6 },
        (_, i) =>
          ask(served, TEXT, {
            prompt: `${i}`,
            max_tokens: 20,
            ignore_eos: true,
          }),
      ),
    );
    for (const { choices } of all) assert.ok(choices[0].text.length > 0);
  },
  "test_completion/test_n_probs": async (served) => {
    const { choices } = await ask(served, TEXT, {
      prompt,
      max_tokens: 5,
      logprobs: 10,
      ...greedy,
    });
    assert.equal(choices[0].logprobs.tokens.length, 5);
    for (const l of choices[0].logprobs.token_logprobs) assert.ok(l <= 0);
  },
  "test_completion/test_cancel_request": async ({ app, engine, serving }) => {
    const controller = new AbortController();
    const asked = post(
      app,
      TEXT,
      { prompt, max_tokens: -1, ignore_eos: true },
      {
        signal: controller.signal,
      },
    );
    setTimeout(() => controller.abort(), 20);
    await (await asked).body?.cancel();
    assert.equal(engine.scheduler.stat().running, 0);
    assert.equal(serving.queue.taken, 0);
  },
  "test_tokenize/test_tokenize_detokenize": async (served) => {
    const content = "What is the capital of France ?";
    const { tokens } = await ask(served, "/tokenize", { content });
    assert.ok(tokens.length > 5);
    assert.equal(
      (await ask(served, "/detokenize", { tokens })).content,
      content,
    );
  },
  "test_tokenize/test_tokenize_with_bos": async (served) => {
    const body = await ask(served, "/tokenize", {
      content: "a",
      add_special: true,
    });
    const { addBos, bos } = served.engine.tokenizer;
    assert.equal(body.tokens[0] === bos, addBos);
  },
  "test_tokenize/test_tokenize_with_pieces": async (served) => {
    const content = "This is a test string with unicode 媽 and emoji 🤗";
    const body = await ask(served, "/tokenize", { content, with_pieces: true });
    for (const { id, piece } of body.tokens) {
      assert.equal(typeof id, "number");
      assert.ok(piece.length > 0);
    }
  },
  "test_ctx_shift/test_ctx_shift_disabled_short_prompt": async (served) => {
    const request = { prompt: "Hi how are you", ...greedy };
    const some = await ask(served, TEXT, { ...request, max_tokens: 64 });
    assert.equal(some.usage.completion_tokens, 64);
    const all = await ask(served, TEXT, { ...request, max_tokens: -1 });
    assert.equal(all.usage.total_tokens, served.engine.context);
    assert.equal(all.choices[0].finish_reason, "length");
  },
  "test_ctx_shift/test_ctx_shift_disabled_long_prompt": async (served) => {
    const error = await refused(served, TEXT, {
      prompt: "Lorem ipsum ".repeat(40),
    });
    assert.match(`${error.message}`, /exceeds the available context size/);
  },
  "test_ctx_shift/test_ctx_shift_disabled_stream": async (served) => {
    const all = await chunks(
      await post(served.app, TEXT, {
        prompt: "Once",
        max_tokens: 256,
        stream: true,
        ...greedy,
      }),
    );
    assert.equal(all.at(-1).choices[0].finish_reason, "length");
    for (const { choices: [c] } of all.slice(0, -1)) {
      assert.equal(c.finish_reason, null);
    }
  },
  "test_slot_save/test_slot_save_restore": async (served) => {
    const request = { prompt: "What is the capital of France?", ...greedy };
    const first = await ask(served, TEXT, { ...request, id_slot: 1 });
    assert.equal(first.timings.cache_n, 0);
    const saved = await ask(served, "/slots/1?action=save", {
      filename: "slot1.bin",
    });
    assert.equal(saved.n_saved, first.usage.total_tokens);
    const restored = await ask(served, "/slots/0?action=restore", {
      filename: "slot1.bin",
    });
    assert.equal(restored.n_restored, saved.n_saved);
    const again = await ask(served, TEXT, {
      prompt: "What is the capital of Germany?",
      id_slot: 0,
      ...greedy,
    });
    assert.ok(again.timings.cache_n > 0);
  },
  "test_slot_save/test_slot_restore_truncated_file": async (served) => {
    await ask(served, TEXT, { prompt, id_slot: 1 });
    await ask(served, "/slots/1?action=save", { filename: "cut.bin" });
    const folder = served.serving.settings.sessions!;
    for await (const { name } of Deno.readDir(folder)) {
      if (name.endsWith("cut.bin")) {
        await Deno.truncate(`${folder}/${name}`, 16);
      }
    }
    await refused(served, "/slots/0?action=restore", { filename: "cut.bin" });
    await ask(served, TEXT, { prompt: "The quick brown fox", id_slot: 0 });
  },
  "test_slot_save/test_slot_erase": async (served) => {
    await ask(served, TEXT, { prompt, id_slot: 1 });
    const { app } = served;
    const res = await app.request("/slots/1?action=erase", { method: "POST" });
    assert.equal(res.status, 200);
    assert.equal((await res.json()).id_slot, 1);
  },
  "test_embedding/test_embedding_single": async (served) => {
    const { data } = await embed(served, prompt);
    assert.equal(data.length, 1);
    assert.ok(Math.abs(Math.hypot(...data[0].embedding) - 1) < 1e-3);
  },
  "test_embedding/test_embedding_multiple": async (served) => {
    const { data } = await embed(served, [
      prompt,
      "Write a joke",
      "a test",
      "b",
    ]);
    assert.equal(data.length, 4);
    for (const { embedding } of data) assert.ok(embedding.length > 1);
  },
  "test_embedding/test_embedding_mixed_input": async (served) => {
    const tokens = [12, 34, 56];
    for (
      const [input, many] of [
        ["", 1],
        ["string", 1],
        [tokens, 1],
        [["string1", "string2"], 2],
        [["string1", tokens], 2],
        [[tokens, tokens], 2],
      ] as const
    ) assert.equal((await embed(served, input)).data.length, many);
  },
  "test_embedding/test_embedding_invalid_input": async (served) => {
    for (
      const input of [
        [],
        { content: "string" },
        { content: [{ type: "image_url", image_url: { url: "data:," } }] },
      ]
    ) await refused(served, "/v1/embeddings", { input });
  },
  "test_embedding/test_same_prompt_give_same_result": async (served) => {
    const { data } = await embed(served, Array(5).fill(prompt));
    for (const d of data) assert.deepEqual(d.embedding, data[0].embedding);
  },
  "test_embedding/test_embedding_usage_multiple": async (served) => {
    const one = (await embed(served, prompt)).usage;
    const two = (await embed(served, [prompt, prompt])).usage;
    assert.equal(two.prompt_tokens, two.total_tokens);
    assert.equal(two.prompt_tokens, 2 * one.prompt_tokens);
  },
  "test_embedding/test_embedding_error_prompt_too_long": async (served) => {
    await refused(served, "/v1/embeddings", {
      input: "This is a test ".repeat(512),
    });
  },
  "test_embedding/test_embedding_openai_library_base64": async (served) => {
    const plain = (await embed(served, prompt)).data[0].embedding;
    const { data } = await ask(served, "/v1/embeddings", {
      input: prompt,
      encoding_format: "base64",
    });
    const bytes = Uint8Array.fromBase64(data[0].embedding);
    assert.deepEqual([...new Float32Array(bytes.buffer)], plain);
  },
  "test_metrics/test_prompt_cache_metrics": async (served) => {
    const request = { prompt: prompt.repeat(2), max_tokens: 8, ...greedy };
    await ask(served, TEXT, request);
    assert.ok((await ask(served, TEXT, request)).timings.cache_n > 0);
    const text = await (await served.app.request("/metrics")).text();
    assert.match(text, /llamacpp:prompt_tokens_cache_total\s+[1-9]/);
    assert.match(text, /llamacpp:prompt_cache_hit_ratio/);
  },
};

/** Those of a server with keys. */
const GUARDED: Readonly<Record<string, Fact>> = {
  "test_security/test_access_public_endpoint": async ({ app }) => {
    for (const path of ["/health", "/models"]) {
      const res = await app.request(path);
      assert.equal(res.status, 200);
      assert.ok(!("error" in await res.json()));
    }
  },
  "test_security/test_incorrect_api_key": async ({ app }) => {
    for (const key of [undefined, "invalid-key"]) {
      const headers = key === undefined
        ? {}
        : { authorization: `Bearer ${key}` };
      const res = await post(app, "/completions", { prompt }, { headers });
      assert.equal(res.status, 401);
      assert.equal((await errorOf(res)).type, "authentication_error");
    }
  },
  "test_security/test_correct_api_key": async ({ app }) => {
    const headers = { authorization: `Bearer ${KEY}` };
    const res = await post(app, "/completions", { prompt }, { headers });
    assert.equal(res.status, 200);
    await res.body?.cancel();
  },
  "test_security/test_correct_api_key_anthropic_header": async ({ app }) => {
    const headers = { "x-api-key": KEY };
    const res = await post(app, "/completions", { prompt }, { headers });
    assert.equal(res.status, 200);
    await res.body?.cancel();
  },
  "test_security/test_local_media_file": async ({ app }) => {
    const url = "file://mtmd/test-1.jpeg";
    const content = [{ type: "image_url", image_url: { url } }];
    const headers = { authorization: `Bearer ${KEY}` };
    const body = { messages: [{ role: "user", content }] };
    const res = await post(app, CHAT, body, { headers });
    assert.equal(res.status, 400);
    await res.body?.cancel();
  },
};

/** Those that do not hold, and why. */
const OTHERWISE: Readonly<Record<string, string>> = {
  "test_basic/test_server_props":
    "there is no `/props`: `/v1/models` tells the context",
  "test_basic/test_server_slots":
    "slots are sessions of the caller's, always there, and no places in the batch",
  "test_basic/test_no_webui":
    "`/` is not the server's: it may be mounted anywhere",
  "test_chat_completion/test_chat_template":
    "no `__verbose`; templates are the model's own",
  "test_chat_completion/test_chat_template_assistant_prefill":
    "an assistant's message that comes last is a turn, as with OpenAI, not the beginning of the answer",
  "test_chat_completion/test_apply_chat_template":
    "there is no `/apply-template`",
  "test_chat_completion/test_completion_with_grammar":
    "`grammar` is refused: JSON Schema only",
  "test_chat_completion/test_return_progress": "`return_progress` is refused",
  "test_completion/test_completion_response_fields":
    "`response_fields` is refused",
  "test_completion/test_n_probs_post_sampling":
    "`post_sampling_probs` is refused",
  "test_completion/test_logit_bias": "by token id alone, not by text",
  "test_ctx_shift/test_ctx_shift_enabled":
    "contexts do not shift: `slidingWindow()` is for texts without end",
  "test_slot_save/test_slot_erase (all tokens again)":
    "blocks stay in the prefix cache, where eviction is by use",
  "test_slot_save/test_slot_restore_legacy_token_list":
    "another format of files",
  "test_embedding/test_embedding_mixed_input (texts among tokens, objects)":
    "a text, tokens, or a list of both",
  "test_embedding/test_embedding_pooling_none": "mean pooling alone",
  "test_security/test_access_static_assets_without_api_key": "there are none",
  "test_security/test_cors_options":
    "only for origins that are named, with 204, without credentials, and headers by name: browsers do not take `*` for `Authorization`",
};

function check(all: Readonly<Record<string, Fact>>, options: ServerOptions) {
  for (const [name, fact] of Object.entries(all)) {
    Deno.test(`llama.cpp: ${name}`, async () => {
      const sessions = await Deno.makeTempDir();
      try {
        await withServer(fact, { sessions, ...options });
      } finally {
        await Deno.remove(sessions, { recursive: true });
      }
    });
  }
}

check(FACTS, {});
check(GUARDED, { apiKeys: [KEY] });

Deno.test("llama_cpp.md lists every case with its result", async () => {
  const text = await Deno.readTextFile(
    new URL("llama_cpp.md", import.meta.url),
  );
  const rows = [...text.matchAll(/^\| `([^`]+)`\s*\| (.*?)\s*\|$/gm)]
    .map(([, name, result]) => [name!, result!] as const);
  const holds = Object.keys({ ...FACTS, ...GUARDED })
    .map((name) => [name, "holds"] as const);
  const wanted = [...holds, ...Object.entries(OTHERWISE)]
    .toSorted(([a], [b]) => a < b ? -1 : 1);
  assert.deepEqual(rows, wanted);
});
