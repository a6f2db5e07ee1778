import assert from "node:assert/strict";
import { errorOf, post, type Served, withServer } from "./testing/server.ts";

const CHAT = "/v1/chat/completions", TEXT = "/v1/completions";
const messages = [{ role: "user", content: "a" }];
const user = (content: unknown) => [{ role: "user", content }];

/** A chat's body, the field at fault, and the code. */
const CHATS: readonly [unknown, string | null, string][] = [
  [{}, "messages", "missing_required_parameter"],
  [{ messages: null }, "messages", "invalid_type"],
  [{ messages: "string" }, "messages", "invalid_type"],
  [{ messages: [] }, "messages", "invalid_value"],
  [{ messages: [123] }, "messages[0]", "invalid_type"],
  [{ messages: [{}] }, "messages[0].role", "missing_required_parameter"],
  [{ messages: [{ role: 123 }] }, "messages[0].role", "invalid_value"],
  [
    { messages: [{ role: "robot", content: "" }] },
    "messages[0].role",
    "invalid_value",
  ],
  [
    { messages: [{ role: "user" }] },
    "messages[0].content",
    "missing_required_parameter",
  ],
  [
    { messages: [{ role: "system", content: 123 }] },
    "messages[0].content",
    "invalid_value",
  ],
  [
    { messages: [...messages, {}] },
    "messages[1].role",
    "missing_required_parameter",
  ],
  [
    {
      messages: user([{
        type: "image_url",
        image_url: { url: "file:///etc/passwd" },
      }]),
    },
    "messages[0].content[0].type",
    "invalid_value",
  ],
  [
    { messages: user([{ type: "text" }]) },
    "messages[0].content[0].text",
    "missing_required_parameter",
  ],
  [{ messages: user([]) }, "messages[0].content", "invalid_value"],
  [
    { messages: [{ role: "tool", content: "x" }] },
    "messages[0].tool_call_id",
    "missing_required_parameter",
  ],
  [
    {
      messages: [...messages, { role: "assistant", content: "a" }, {
        role: "assistant",
        content: "b",
      }],
    },
    "messages[2].role",
    "invalid_value",
  ],
  [
    {
      messages: [{
        role: "assistant",
        tool_calls: [{ function: { name: "f", arguments: "{" } }],
      }],
    },
    "messages[0].tool_calls[0].function.arguments",
    "invalid_value",
  ],
  [{ messages, temperature: "hot" }, "temperature", "invalid_type"],
  [{ messages, temperature: -1 }, "temperature", "invalid_value"],
  [{ messages, temperature: 2.1 }, "temperature", "invalid_value"],
  [{ messages, top_p: 1.1 }, "top_p", "invalid_value"],
  [{ messages, top_k: 1.5 }, "top_k", "invalid_type"],
  [{ messages, max_tokens: 0 }, "max_tokens", "invalid_value"],
  [{ messages, max_tokens: 1e99 }, "max_tokens", "invalid_value"],
  [
    { messages, max_tokens: 1, max_completion_tokens: 1 },
    "max_tokens",
    "invalid_value",
  ],
  [{ messages, n: 0 }, "n", "invalid_value"],
  [{ messages, n: 65 }, "n", "invalid_value"],
  [{ messages, seed: 0.5 }, "seed", "invalid_type"],
  [{ messages, stop: "" }, "stop", "invalid_value"],
  [{ messages, stop: [1] }, "stop[0]", "invalid_type"],
  [{ messages, stop: Array(17).fill("x") }, "stop", "invalid_value"],
  [{ messages, stream: "yes" }, "stream", "invalid_type"],
  [
    { messages, stream_options: { include_usage: true } },
    "stream_options",
    "invalid_value",
  ],
  [
    { messages, stream: true, stream_options: { more: 1 } },
    "stream_options.more",
    "unsupported_parameter",
  ],
  [{ messages, logit_bias: { abc: 1 } }, "logit_bias.abc", "invalid_value"],
  [{ messages, logit_bias: { 1: 101 } }, "logit_bias.1", "invalid_value"],
  [{ messages, logit_bias: { 999999: 1 } }, "logit_bias", "invalid_value"],
  [{ messages, top_logprobs: 3 }, "top_logprobs", "invalid_value"],
  [
    { messages, logprobs: true, top_logprobs: 21 },
    "top_logprobs",
    "invalid_value",
  ],
  [{ messages, logprobs: 3 }, "logprobs", "invalid_type"],
  [
    { messages, response_format: { type: "sound" } },
    "response_format.type",
    "invalid_value",
  ],
  [
    { messages, response_format: { type: "json_object", schema: 123 } },
    "response_format.schema",
    "invalid_value",
  ],
  [
    { messages, response_format: { type: "json_schema" } },
    "response_format.json_schema",
    "missing_required_parameter",
  ],
  [
    { messages, tools: [{ type: "function", function: { name: "a b" } }] },
    "tools[0].function.name",
    "invalid_value",
  ],
  [
    { messages, tools: [{ type: "function", function: { name: "f" } }] },
    "tools",
    "tools_not_supported",
  ],
  [{ messages, tool_choice: "required" }, "tool_choice", "invalid_value"],
  [{ messages, user: 3 }, "user", "invalid_type"],
  [{ messages, id_slot: 99 }, "id_slot", "invalid_value"],
  [{ messages, id_slot: 0, n: 2 }, "id_slot", "invalid_value"],
  [{ messages, deadline_ms: 0 }, "deadline_ms", "invalid_value"],
  [{ messages, model: "" }, "model", "invalid_value"],
  // What others have and this server has not is refused, never ignored.
  [{ messages, grammar: "root ::= a" }, "grammar", "unsupported_parameter"],
  [{ messages, functions: [] }, "functions", "unsupported_parameter"],
  [{ messages, store: true }, "store", "invalid_value"],
  [{ messages, modalities: ["audio"] }, "modalities[0]", "invalid_value"],
  [
    { messages, parallel_tool_calls: false },
    "parallel_tool_calls",
    "invalid_value",
  ],
  [
    { messages, reasoning_effort: "high" },
    "reasoning_effort",
    "unsupported_parameter",
  ],
  [
    { messages, __proto__x: 1, constructor: 1 },
    "__proto__x",
    "unsupported_parameter",
  ],
  [[], null, "invalid_type"],
  ["text", null, "invalid_type"],
  [null, null, "invalid_type"],
  [1, null, "invalid_type"],
];

/** The same of other endpoints. */
const OTHERS: readonly [string, unknown, string | null, string][] = [
  [TEXT, {}, "prompt", "missing_required_parameter"],
  [TEXT, { prompt: 1 }, "prompt", "invalid_value"],
  [TEXT, { prompt: [] }, "prompt", "invalid_value"],
  [TEXT, { prompt: [[]] }, "prompt[0]", "invalid_value"],
  [TEXT, { prompt: [-1] }, "prompt[0]", "invalid_value"],
  [TEXT, { prompt: [1, "a"] }, "prompt[1]", "invalid_type"],
  [TEXT, { prompt: [99_999] }, "prompt", "invalid_value"],
  [TEXT, { prompt: "a", n: 2, best_of: 1 }, "best_of", "invalid_value"],
  [
    TEXT,
    { prompt: "a", best_of: 2, stream: true },
    "best_of",
    "unsupported_value",
  ],
  [TEXT, { prompt: Array(64).fill("a"), n: 64 }, "prompt", "invalid_value"],
  [TEXT, { prompt: "a", echo: true }, "echo", "invalid_value"],
  [TEXT, { prompt: "a", suffix: "b" }, "suffix", "invalid_value"],
  [TEXT, { prompt: "a", logprobs: true }, "logprobs", "invalid_type"],
  ["/v1/responses", {}, "input", "missing_required_parameter"],
  [
    "/v1/responses",
    { input: "a", previous_response_id: "x" },
    "previous_response_id",
    "unsupported_parameter",
  ],
  ["/v1/responses", { input: "a", store: true }, "store", "invalid_value"],
  [
    "/v1/responses",
    { input: [{ role: "user", content: [{ type: "input_image" }] }] },
    "input[0].content[0].type",
    "invalid_value",
  ],
  ["/v1/embeddings", {}, "input", "missing_required_parameter"],
  ["/v1/embeddings", { input: [] }, "input", "invalid_value"],
  ["/v1/embeddings", { input: { content: "a" } }, "input", "invalid_value"],
  [
    "/v1/embeddings",
    { input: "a", dimensions: 7 },
    "dimensions",
    "unsupported_value",
  ],
  [
    "/v1/embeddings",
    { input: "a", encoding_format: "hex" },
    "encoding_format",
    "invalid_value",
  ],
  ["/tokenize", {}, "content", "missing_required_parameter"],
  ["/tokenize", { content: 1 }, "content", "invalid_type"],
  ["/detokenize", { tokens: "a" }, "tokens", "invalid_type"],
  ["/detokenize", { tokens: [1.5] }, "tokens[0]", "invalid_type"],
  ["/models/load", {}, "model", "missing_required_parameter"],
  ["/slots/0?action=save", {}, "filename", "missing_required_parameter"],
];

async function refused(
  { app }: Served,
  path: string,
  body: unknown,
  param: string | null,
  code: string,
): Promise<void> {
  const what = `${path} ${JSON.stringify(body)}`;
  const res = await post(app, path, JSON.stringify(body));
  assert.equal(res.status, 400, `${what}: ${await res.clone().text()}`);
  const error = await errorOf(res);
  assert.equal(error.type, "invalid_request_error", what);
  assert.deepEqual(
    [error.param, error.code],
    [param, code],
    `${what}: ${error.message}`,
  );
  assert.ok(!`${error.message}`.endsWith("."), `${error.message}`);
}

Deno.test("every malformed field of a chat is refused by its name", () =>
  withServer(async (served) => {
    for (const [body, param, code] of CHATS) {
      await refused(served, CHAT, body, param, code);
    }
  }));

Deno.test("every malformed field of other requests is refused by its name", () =>
  withServer(async (served) => {
    for (const [path, body, param, code] of OTHERS) {
      await refused(served, path, body, param, code);
    }
  }));

Deno.test("fields that are null, or have the value that changes nothing, are taken", () =>
  withServer(async ({ app }) => {
    const nothing = Object.fromEntries(
      [
        "temperature",
        "top_p",
        "n",
        "stop",
        "stream",
        "stream_options",
        "seed",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "presence_penalty",
        "user",
        "frequency_penalty",
        "response_format",
        "tools",
        "tool_choice",
        "store",
        "metadata",
        "service_tier",
        "modalities",
        "audio",
        "prediction",
        "model",
      ].map((name) => [name, null]),
    );
    for (
      const more of [nothing, {
        store: false,
        metadata: {},
        service_tier: "auto",
        modalities: ["text"],
        parallel_tool_calls: true,
        tools: [],
        tool_choice: "none",
        response_format: { type: "text" },
      }]
    ) {
      const res = await post(app, CHAT, { messages, max_tokens: 1, ...more });
      assert.equal(res.status, 200, await res.text());
    }
  }));

Deno.test("bodies that are no JSON, no UTF-8, of another type, too deep or too large are refused", () =>
  withServer(async ({ app }) => {
    const deep = `${"[".repeat(5000)}${"]".repeat(5000)}`;
    const bad: [BodyInit, Record<string, string>, number, string][] = [
      ["", {}, 400, "bad_json"],
      ["   ", {}, 400, "bad_json"],
      ["{", {}, 400, "bad_json"],
      ["{'a': 1}", {}, 400, "bad_json"],
      ['{"a": 1,}', {}, 400, "bad_json"],
      ['{"a": NaN}', {}, 400, "bad_json"],
      ["[".repeat(60_000), {}, 400, "bad_json"],
      [`{"messages": ${deep}}`, {}, 400, "bad_json"],
      [new Uint8Array([0x7b, 0x22, 0xff, 0xfe]), {}, 400, "bad_json"],
      [
        new Uint8Array([0x1f, 0x8b, 8, 0]),
        { "content-encoding": "gzip" },
        415,
        "unsupported_media_type",
      ],
      ["{}", { "content-type": "text/plain" }, 415, "unsupported_media_type"],
      [
        "a=b",
        { "content-type": "application/x-www-form-urlencoded" },
        415,
        "unsupported_media_type",
      ],
      [
        "{}",
        { "content-type": "application/json; charset=utf-16" },
        415,
        "unsupported_media_type",
      ],
      [
        JSON.stringify({ messages: user("x".repeat(70_000)) }),
        {},
        413,
        "body_too_large",
      ],
      ["{}", { "content-length": "70000" }, 413, "body_too_large"],
    ];
    for (const [body, headers, status, code] of bad) {
      const res = await app.request(CHAT, {
        method: "POST",
        body,
        headers: { "content-type": "application/json", ...headers },
      });
      const what = `${String(body).slice(0, 30)} ${JSON.stringify(headers)}`;
      assert.equal(res.status, status, `${what}: ${await res.clone().text()}`);
      assert.equal((await errorOf(res)).code, code, what);
    }
    const none = await app.request(CHAT, { method: "POST" });
    assert.equal(none.status, 415);
    const bom = await post(
      app,
      CHAT,
      `\ufeff${JSON.stringify({ messages, max_tokens: 1 })}`,
    );
    assert.equal(bom.status, 200);
    await bom.body?.cancel();
    const charset = await post(app, CHAT, { messages, max_tokens: 1 }, {
      headers: { "content-type": "application/json; charset=UTF-8" },
    });
    assert.equal(charset.status, 200);
    await charset.body?.cancel();
  }, { bodyBytes: 1 << 16 }));

Deno.test("a body that comes too slowly, or breaks off, is refused", () =>
  withServer(async ({ app }) => {
    const send = (body: ReadableStream) =>
      app.request(CHAT, {
        method: "POST",
        body,
        headers: { "content-type": "application/json" },
      });
    const slow = await send(
      new ReadableStream({
        start: (c) => c.enqueue(new TextEncoder().encode('{"messages"')),
      }),
    );
    assert.equal(slow.status, 408);
    assert.equal((await errorOf(slow)).code, "body_timeout");
    const broken = await send(
      new ReadableStream({
        start: (c) => c.enqueue(new TextEncoder().encode("{")),
        pull: (c) => c.error(new Error("gone")),
      }),
    );
    assert.equal(broken.status, 400);
    assert.equal((await errorOf(broken)).code, "bad_body");
  }, { bodyMs: 60 }));

Deno.test("a request's own id comes back, one that is no such does not", () =>
  withServer(async ({ app }) => {
    const idOf = async (id: string) => {
      const headers = { "x-request-id": id };
      return (await app.request("/health", { headers })).headers.get(
        "x-request-id",
      );
    };
    assert.equal(await idOf("abc-123"), "abc-123");
    for (const id of ["a b", "<script>", "x".repeat(200), '"']) {
      assert.match((await idOf(id))!, /^[0-9a-f-]{36}$/);
    }
  }));
