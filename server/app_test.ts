import assert from "node:assert/strict";
import { Hono } from "npm:hono@4.13.19";
import { createApp } from "./app.ts";
import {
  atRest,
  chunks,
  errorOf,
  events,
  post,
  tinyEngine,
  withServer,
} from "./testing/server.ts";

const CHAT = "/v1/chat/completions";
const messages = [{ role: "user", content: "Hello" }];

Deno.test("POST /v1/chat/completions answers whole", () =>
  withServer(async ({ app }) => {
    const res = await post(app, CHAT, {
      model: "tiny",
      messages,
      max_tokens: 8,
      ignore_eos: true,
    });
    assert.equal(res.status, 200, await res.clone().text());
    const body = await res.json();
    assert.match(body.id, /^chatcmpl-./);
    assert.equal(body.object, "chat.completion");
    assert.equal(body.model, "tiny");
    assert.match(body.system_fingerprint, /^b_/);
    const [choice] = body.choices;
    assert.equal(choice.index, 0);
    assert.equal(choice.message.role, "assistant");
    assert.equal(typeof choice.message.content, "string");
    assert.equal(choice.finish_reason, "length");
    assert.equal(choice.logprobs, null);
    const prompt = "<s>[user]Hello\n[assistant]".length - "<s>".length;
    assert.ok(Math.abs(body.usage.prompt_tokens - prompt) <= 1);
    assert.equal(body.usage.completion_tokens, 8);
    assert.equal(body.usage.total_tokens, body.usage.prompt_tokens + 8);
    assert.equal(body.usage.prompt_tokens_details.cached_tokens, 0);
    assert.equal(body.usage.miss, undefined);
    assert.equal(body.timings.predicted_n, 8);
    assert.equal(res.headers.get("x-request-id"), body.id.slice(9));
  }));

Deno.test("POST /v1/chat/completions streams the chunks that clients rely on, and the same text", () =>
  withServer(async ({ app }) => {
    const request = {
      messages,
      max_tokens: 12,
      ignore_eos: true,
      seed: 5,
      temperature: 1,
    };
    const whole = await (await post(app, CHAT, request)).json();
    for (const include_usage of [true, false]) {
      const all = await chunks(
        await post(app, CHAT, {
          ...request,
          stream: true,
          stream_options: { include_usage },
        }),
      );
      const [first] = all;
      assert.deepEqual(first.choices, [{
        index: 0,
        delta: { role: "assistant", content: null },
        logprobs: null,
        finish_reason: null,
      }]);
      const last = include_usage ? all.pop() : undefined;
      const end = all.at(-1);
      assert.deepEqual(end.choices[0].delta, {});
      assert.equal(end.choices[0].finish_reason, "length");
      let text = "";
      for (const chunk of all) {
        assert.equal(chunk.object, "chat.completion.chunk");
        assert.equal(chunk.id, first.id);
        assert.equal(chunk.created, first.created);
        assert.equal(chunk.model, "tiny");
        assert.equal(chunk.choices.length, 1);
        assert.equal(chunk.usage, undefined);
        if (chunk === first || chunk === end) continue;
        assert.equal(chunk.choices[0].finish_reason, null);
        assert.equal("role" in chunk.choices[0].delta, false);
        text += chunk.choices[0].delta.content;
      }
      assert.equal(text, whole.choices[0].message.content);
      if (last === undefined) continue;
      assert.deepEqual(last.choices, []);
      assert.equal(last.usage.completion_tokens, 12);
      assert.ok(last.usage.prompt_tokens_details.cached_tokens > 0);
    }
  }));

Deno.test("POST /v1/chat/completions answers n times, each by its index", () =>
  withServer(async ({ app }) => {
    const request = {
      messages,
      n: 3,
      max_tokens: 6,
      ignore_eos: true,
      seed: 1,
      temperature: 1.5,
      top_k: 0,
      top_p: 1,
      min_p: 0,
    };
    const whole = await (await post(app, CHAT, request)).json();
    assert.equal(whole.choices.length, 3);
    assert.equal(whole.usage.completion_tokens, 18);
    const texts = whole.choices.map((
      c: { message: { content: string } },
    ) => c.message.content);
    assert.equal(new Set(texts).size, 3);
    const streamed = ["", "", ""], ends = [0, 0, 0];
    const all = await chunks(
      await post(app, CHAT, { ...request, stream: true }),
    );
    for (const { choices: [{ index, delta, finish_reason }] } of all) {
      streamed[index] += delta.content ?? "";
      if (finish_reason !== null) ends[index]!++;
    }
    assert.deepEqual(streamed, texts);
    assert.deepEqual(ends, [1, 1, 1]);
  }));

Deno.test("a prompt in parts is the prompt in one", () =>
  withServer(async ({ app }) => {
    const say = async (content: unknown) => {
      const res = await post(app, CHAT, {
        messages: [{ role: "user", content }],
        max_tokens: 5,
        temperature: 0,
        ignore_eos: true,
      });
      const { choices, usage } = await res.json();
      return [choices[0].message.content, usage.prompt_tokens];
    };
    const parts = ["a", "b"].map((text) => ({ type: "text", text }));
    assert.deepEqual(await say(parts), await say("a\nb"));
  }));

Deno.test("a prompt beyond the context is refused with both numbers, streamed or not", () =>
  withServer(async ({ app, engine }) => {
    for (const stream of [false, true]) {
      const res = await post(app, CHAT, {
        messages: [{ role: "user", content: "x".repeat(400) }],
        stream,
      });
      assert.equal(res.status, 400);
      const error = await errorOf(res);
      assert.equal(error.code, "context_length_exceeded");
      assert.equal(error.type, "exceed_context_size_error");
      assert.equal(error.n_ctx, engine.context);
      assert.ok(error.n_prompt_tokens as number > 400);
      assert.ok(
        `${error.message}`.startsWith(
          `request (${error.n_prompt_tokens} tokens) exceeds the available context size (${engine.context} tokens)`,
        ),
      );
    }
  }));

Deno.test("what is said never becomes control tokens", () =>
  withServer(async ({ app }) => {
    const asked = async (content: string) => {
      const res = await post(app, CHAT, {
        messages: [{ role: "user", content }],
        max_tokens: 1,
      });
      return (await res.json()).usage.prompt_tokens;
    };
    // A token each character, where the control token would be one.
    assert.equal(await asked("</s><s>"), await asked("1234567"));
  }));

Deno.test("a client that leaves a stream frees its blocks at once", () =>
  withServer(async ({ app, engine, serving }) => {
    const res = await post(app, CHAT, {
      messages,
      ignore_eos: true,
      stream: true,
    });
    const reader = res.body!.getReader();
    await reader.read();
    await reader.read();
    assert.equal(engine.cache.stat().sequences, 1);
    assert.equal(serving.queue.taken, 1);
    await reader.cancel();
    assert.equal(serving.queue.taken, 0);
    // A step that runs is waited for.
    await atRest({ engine, serving });
  }));

Deno.test("a client that leaves before a whole answer frees its blocks", () =>
  withServer(async ({ app, serving }) => {
    const controller = new AbortController();
    const { signal } = controller;
    const asked = Array.from(
      { length: 3 },
      () => post(app, CHAT, { messages, ignore_eos: true, n: 4 }, { signal }),
    );
    await new Promise((resolve) => setTimeout(resolve, 60));
    controller.abort();
    for (const res of await Promise.all(asked)) await res.body?.cancel();
    assert.equal(serving.queue.taken, 0);
  }));

Deno.test("an error in the middle of a stream ends it with the error", () =>
  withServer(async ({ app, engine }) => {
    const run = engine.generate.bind(engine);
    engine.generate = async function* (options) {
      for await (const part of run(options)) {
        yield part;
        throw new Error("secret detail");
      }
    };
    const all = await events(
      await post(app, CHAT, { messages, ignore_eos: true, stream: true }),
    );
    const { error } = JSON.parse(all.at(-1)!);
    assert.equal(error.type, "server_error");
    assert.ok(!JSON.stringify(all).includes("secret"));
    assert.ok(all.length >= 2);
    const res = await post(app, CHAT, { messages, ignore_eos: true });
    assert.equal(res.status, 500);
    assert.equal((await errorOf(res)).code, "internal_error");
  }));

Deno.test("a stream that rests sends comments", () =>
  withServer(async ({ app, engine }) => {
    const run = engine.generate.bind(engine);
    engine.generate = async function* (options) {
      await new Promise((resolve) => setTimeout(resolve, 120));
      yield* run(options);
    };
    const res = await post(app, CHAT, {
      messages,
      max_tokens: 2,
      stream: true,
    });
    const text = await res.text();
    assert.match(text, /^data: .*\n\n(: keep-alive\n\n)+data: /);
    assert.ok(text.endsWith("data: [DONE]\n\n"));
  }, { keepAliveMs: 20 }));

Deno.test("createApp() is mounted beside other routes", async () => {
  await using engine = await tinyEngine();
  const outer = new Hono().get("/hello", (c) => c.text("hi"));
  outer.route("/ai", createApp(engine, { model: "mine" }));
  assert.equal(await (await outer.request("/hello")).text(), "hi");
  const res = await outer.request("/ai/v1/models");
  assert.equal((await res.json()).data[0].id, "mine");
  const answer = await post(outer as never, "/ai/v1/chat/completions", {
    messages,
    max_tokens: 2,
  });
  assert.equal((await answer.json()).model, "mine");
  const missing = await post(outer as never, "/ai/v1/chat/completions", {});
  assert.equal((await errorOf(missing)).param, "messages");
});

Deno.test("GET /v1/models names the models, as one or all", () =>
  withServer(async ({ app }) => {
    const { object, data } = await (await app.request("/v1/models")).json();
    assert.equal(object, "list");
    assert.equal(data.length, 1);
    assert.equal(data[0].id, "tiny");
    assert.equal(data[0].context_length, 256);
    assert.deepEqual(data[0].aliases, []);
    const one = await (await app.request("/v1/models/tiny")).json();
    assert.deepEqual(one, data[0]);
    const res = await app.request("/v1/models/other");
    assert.equal(res.status, 404);
    assert.equal((await errorOf(res)).code, "model_not_found");
  }));

Deno.test("other paths, methods and models are refused", () =>
  withServer(async ({ app }) => {
    const nowhere = await app.request("/v1/nothing");
    assert.equal(nowhere.status, 404);
    assert.equal((await errorOf(nowhere)).code, "not_found");
    for (const method of ["GET", "PUT", "DELETE", "PATCH"]) {
      const res = await app.request(CHAT, { method });
      assert.equal(res.status, 405);
      assert.equal(res.headers.get("allow"), "POST");
      assert.equal((await errorOf(res)).code, "method_not_allowed");
    }
    const res = await post(app, CHAT, { messages, model: "gpt-4o" });
    assert.equal(res.status, 404);
    const error = await errorOf(res);
    assert.equal(error.code, "model_not_found");
    assert.equal(error.param, "model");
    assert.match(`${error.message}`, /"gpt-4o".*"tiny"/);
  }));
