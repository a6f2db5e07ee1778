import assert from "node:assert/strict";
import { chunks, errorOf, post, withServer } from "./testing/server.ts";

const CHAT = "/v1/chat/completions";
const messages = [{ role: "user", content: "JSON please" }];
const schema = {
  type: "object",
  properties: {
    name: { type: "string", maxLength: 8 },
    age: { type: "integer", minimum: 0, maximum: 150 },
  },
  required: ["name", "age"],
  additionalProperties: false,
};

/** Templates in the manner of some families. */
const template = (mark: string) =>
  "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif %}\n{% endfor %}" +
  `{% if tools %}${mark}{{ tools | tojson }}{% endif %}[assistant]`;

Deno.test("answers are what response_format asks for, streamed or not", () =>
  withServer(async ({ app }) => {
    const json_schema = { name: "person", schema, strict: true };
    for (let seed = 0; seed < 5; seed++) {
      const request = { messages, seed, temperature: 1.5, max_tokens: 120 };
      for (
        const format of [
          { response_format: { type: "json_schema", json_schema } },
          { response_format: { type: "json_object", schema } },
          { json_schema: schema },
        ]
      ) {
        const res = await post(app, CHAT, { ...request, ...format });
        assert.equal(res.status, 200, await res.clone().text());
        const { choices } = await res.json();
        const text = choices[0].message.content;
        const value = JSON.parse(text);
        assert.deepEqual(Object.keys(value).sort(), ["age", "name"]);
        assert.ok(Number.isInteger(value.age) && value.age <= 150);
        const all = await chunks(
          await post(app, CHAT, { ...request, ...format, stream: true }),
        );
        const streamed = all.map(({ choices: [c] }) => c.delta.content ?? "");
        assert.equal(streamed.join(""), text);
      }
      const any = await post(app, CHAT, {
        ...request,
        response_format: { type: "json_object" },
      });
      JSON.parse((await any.json()).choices[0].message.content);
      const response = await post(app, "/v1/responses", {
        input: "x",
        temperature: 1.5,
        max_output_tokens: 120,
        text: { format: { type: "json_schema", name: "p", schema } },
      });
      JSON.parse((await response.json()).output[0].content[0].text);
    }
  }));

Deno.test("schemas that no answer can be held to are refused before anything is sent", () =>
  withServer(async ({ app }) => {
    for (
      const schema of [
        { type: "hiccup" },
        { type: 123 },
        { $ref: "#/nowhere" },
        { $ref: "https://example.com/schema.json" },
      ]
    ) {
      for (const stream of [false, true]) {
        const res = await post(app, CHAT, {
          messages,
          stream,
          response_format: { type: "json_object", schema },
        });
        assert.equal(res.status, 400, JSON.stringify(schema));
        const error = await errorOf(res);
        assert.equal(error.code, "invalid_json_schema");
        assert.equal(error.param, "response_format");
      }
    }
  }));

const tools = ["get_weather", "add"].map((name) => ({
  type: "function",
  function: {
    name,
    description: `does ${name}`,
    parameters: {
      type: "object",
      properties: { x: { $ref: "#/$defs/digit" } },
      required: ["x"],
      additionalProperties: false,
      $defs: { digit: { type: "integer", minimum: 0, maximum: 9 } },
    },
  },
}));

Deno.test("a call that is forced is made, of the function's own arguments", () =>
  withServer(
    async ({ app }) => {
      const named = { type: "function", function: { name: "add" } };
      for (const tool_choice of ["required", named]) {
        for (let seed = 0; seed < 4; seed++) {
          const request = {
            messages: [{ role: "user", content: "1" }],
            tools: tools.map((t) => ({ ...t })),
            tool_choice,
            seed,
            temperature: 1.5,
          };
          const { choices: [choice] } = await (await post(app, CHAT, request))
            .json();
          assert.equal(choice.finish_reason, "tool_calls");
          assert.equal(choice.message.content, null);
          assert.equal(choice.message.tool_calls.length, 1);
          const [call] = choice.message.tool_calls;
          assert.match(call.id, /^call_\w{24}$/);
          assert.equal(call.type, "function");
          if (tool_choice === named) assert.equal(call.function.name, "add");
          const { x } = JSON.parse(call.function.arguments);
          assert.ok(Number.isInteger(x) && x >= 0 && x <= 9);

          const all = await chunks(
            await post(app, CHAT, { ...request, stream: true }),
          );
          const deltas = all.flatMap(({ choices: [c] }) =>
            c.delta.tool_calls ?? []
          );
          assert.equal(deltas[0].index, 0);
          assert.match(deltas[0].id, /^call_/);
          assert.equal(deltas[0].function.name, call.function.name);
          assert.equal(deltas.slice(1).some((d) => "id" in d), false);
          const said = deltas.map((d) => d.function.arguments).join("");
          assert.equal(said, call.function.arguments);
          assert.equal(all.at(-1).choices[0].finish_reason, "tool_calls");
        }
      }
    },
    {},
    {
      model: { template: template("<tool_call>"), context: 2048 },
    },
  ));

Deno.test("calls that a model makes freely are read from what it says", () =>
  withServer(
    async ({ app, engine }) => {
      const says =
        'Sure. <tool_call>\n{"name": "add", "arguments": {"x": 3}}\n</tool_call>';
      const run = engine.generate.bind(engine);
      engine.generate = async function* (options) {
        for await (const part of run({ ...options, maxTokens: 1 })) {
          const { usage } = part;
          if (usage === undefined) continue;
          for (const text of says) {
            yield { ...part, text, usage: undefined, finish: undefined };
          }
          yield { ...part, text: "", finish: "stop", usage };
        }
      };
      const request = { messages, tools };
      const { choices: [choice] } = await (await post(app, CHAT, request))
        .json();
      assert.equal(choice.message.content, "Sure. ");
      assert.equal(choice.message.tool_calls[0].function.name, "add");
      assert.equal(choice.message.tool_calls[0].function.arguments, '{"x": 3}');
      assert.equal(choice.finish_reason, "tool_calls");
      const all = await chunks(
        await post(app, CHAT, { ...request, stream: true }),
      );
      const pieces = all.flatMap(({ choices: [c] }) =>
        c.delta.tool_calls ?? []
      );
      assert.ok(pieces.length > 3, "arguments come in pieces");
      assert.equal(
        pieces.map((p) => p.function.arguments).join(""),
        '{"x": 3}',
      );
      const none = await post(app, CHAT, { ...request, tool_choice: "none" });
      const { message } = (await none.json()).choices[0];
      assert.equal(message.content, says);
      assert.equal(message.tool_calls, undefined);
    },
    {},
    {
      model: { template: template("<tool_call>"), context: 2048 },
    },
  ));

Deno.test("calls and their results go back into the conversation", () =>
  withServer(
    async ({ app }) => {
      const call = {
        id: "call_1",
        type: "function",
        function: { name: "add", arguments: '{"x": 1}' },
      };
      const res = await post(app, CHAT, {
        messages: [
          ...messages,
          { role: "assistant", content: null, tool_calls: [call] },
          { role: "tool", tool_call_id: "call_1", content: "2" },
        ],
        tools,
        max_tokens: 1,
      });
      assert.equal(res.status, 200, await res.text());
    },
    {},
    {
      model: { template: template("<tool_call>"), context: 2048 },
    },
  ));

Deno.test("tools that contradict each other or the format are refused", () =>
  withServer(
    async ({ app }) => {
      const bad: [Record<string, unknown>, string][] = [
        [{ tools: [tools[0], tools[0]] }, "tools[1].function.name"],
        [
          {
            tools,
            tool_choice: { type: "function", function: { name: "no" } },
          },
          "tool_choice.function.name",
        ],
        [
          { tools, response_format: { type: "json_object" } },
          "response_format",
        ],
        [{
          tools: [{
            ...tools[0],
            function: { ...tools[0]!.function, strict: true },
          }],
        }, "tools[0].function.strict"],
      ];
      for (const [more, param] of bad) {
        const res = await post(app, CHAT, { messages, ...more });
        assert.equal(res.status, 400);
        assert.equal((await errorOf(res)).param, param);
      }
    },
    {},
    {
      model: { template: template("<tool_call>"), context: 2048 },
    },
  ));

Deno.test("POST /v1/embeddings makes vectors of length 1, as numbers or base64", () =>
  withServer(async ({ app, engine }) => {
    const ask = async (input: unknown, more = {}) => {
      const res = await post(app, "/v1/embeddings", { input, ...more });
      assert.equal(res.status, 200, await res.clone().text());
      return await res.json();
    };
    const many = await ask(["hello", "world", "hello"]);
    assert.equal(many.object, "list");
    assert.equal(many.data.length, 3);
    for (const { embedding, index } of many.data) {
      assert.equal(embedding.length, engine.spec.hidden);
      const length = Math.hypot(...embedding);
      assert.ok(Math.abs(length - 1) < 1e-3, `${index}: ${length}`);
    }
    assert.deepEqual(many.data[0].embedding, many.data[2].embedding);
    assert.notDeepEqual(many.data[0].embedding, many.data[1].embedding);
    assert.equal(many.usage.prompt_tokens, many.usage.total_tokens);
    const one = await ask("hello", { encoding_format: "base64" });
    const bytes = Uint8Array.fromBase64(one.data[0].embedding);
    assert.deepEqual(
      [...new Float32Array(bytes.buffer)],
      many.data[0].embedding,
    );
    const tokens = engine.tokenizer.encode("hello", {
      bos: engine.tokenizer.addBos,
    });
    const same = await ask(tokens);
    assert.deepEqual(same.data[0].embedding, many.data[0].embedding);
    await ask("");
    const long = await post(app, "/v1/embeddings", { input: "x".repeat(400) });
    const error = await errorOf(long);
    assert.equal(error.code, "context_length_exceeded");
    assert.equal(error.n_ctx, engine.context);
  }));
