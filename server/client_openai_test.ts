import assert from "node:assert/strict";
import OpenAI from "npm:openai@7.59.0";
import { type Listening, withPort } from "./testing/port.ts";
import { atRest } from "./testing/server.ts";

const KEY = "key-for-the-tests";
const messages = [{ role: "user" as const, content: "Hello" }];
const model = "tiny";

function withClient(
  use: (client: OpenAI, listening: Listening) => Promise<void>,
  options: Parameters<typeof withPort>[1] = {},
): Promise<void> {
  return withPort(async (listening) => {
    const client = new OpenAI({
      apiKey: KEY,
      baseURL: `${listening.url}/v1`,
    });
    await use(client, listening);
  }, { apiKeys: [KEY], ...options });
}

const parameters = {
  type: "object",
  properties: { city: { type: "string", maxLength: 6 } },
  required: ["city"],
  additionalProperties: false,
};
const tools = [{
  type: "function" as const,
  function: { name: "weather", description: "of a city", parameters },
}];

Deno.test("openai: chats, whole and streamed", () =>
  withClient(async (client) => {
    const request = { model, messages, max_tokens: 10, seed: 3 };
    const whole = await client.chat.completions.create(request);
    assert.equal(whole.choices[0]!.message.role, "assistant");
    assert.ok(whole._request_id);
    const stream = await client.chat.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "", usage, finish;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, whole.choices[0]!.message.content);
    assert.equal(finish, whole.choices[0]!.finish_reason);
    assert.equal(usage!.total_tokens, whole.usage!.total_tokens);
    const helper = client.chat.completions.stream(request);
    assert.equal(await helper.finalContent(), text);
  }));

Deno.test("openai: completions, embeddings, models, responses", () =>
  withClient(async (client) => {
    const { choices } = await client.completions.create({
      model,
      prompt: "Once",
      max_tokens: 4,
    });
    assert.equal(choices.length, 1);
    const { data } = await client.embeddings.create({
      model,
      input: ["a", "b"],
    });
    assert.equal(data.length, 2);
    assert.equal(data[0]!.embedding.length, 32);
    const names = [];
    for await (const { id } of client.models.list()) names.push(id);
    assert.deepEqual(names, ["tiny"]);
    assert.equal((await client.models.retrieve("tiny")).id, "tiny");
    const response = await client.responses.create({
      model,
      input: "Hello",
      max_output_tokens: 6,
      temperature: 0,
    });
    let text = "", completed;
    for await (
      const event of await client.responses.create({
        model,
        input: "Hello",
        max_output_tokens: 6,
        temperature: 0,
        stream: true,
      })
    ) {
      if (event.type === "response.output_text.delta") text += event.delta;
      if (/completed|incomplete/.test(event.type)) completed = event;
    }
    assert.equal(text, response.output_text);
    assert.ok(completed);
  }));

Deno.test("openai: tools that are forced, streamed, and run by the client", () =>
  withClient(async (client) => {
    const request = {
      model,
      messages,
      tools,
      tool_choice: "required" as const,
      temperature: 1.2,
      seed: 1,
    };
    const { choices: [choice] } = await client.chat.completions.create(request);
    const [call] = choice!.message.tool_calls!;
    assert.ok(call!.type === "function");
    JSON.parse(call!.function.arguments);
    const streamed = await client.chat.completions.stream(request)
      .finalChatCompletion();
    const [same] = streamed.choices[0]!.message.tool_calls!;
    assert.ok(same?.type === "function");
    assert.equal(same!.function.arguments, call!.function.arguments);
    assert.equal(streamed.choices[0]!.finish_reason, "tool_calls");
    const next = await client.chat.completions.create({
      model,
      messages: [
        ...messages,
        choice!.message,
        { role: "tool", tool_call_id: call!.id, content: "sunny" },
      ],
      tools,
      max_tokens: 4,
    });
    assert.equal(next.choices.length, 1);
  }));

Deno.test("openai: answers by a JSON schema, parsed by the client", () =>
  withClient(async (client) => {
    const completion = await client.chat.completions.parse({
      model,
      messages,
      temperature: 1.2,
      response_format: {
        type: "json_schema",
        json_schema: { name: "place", strict: true, schema: parameters },
      },
    });
    const value = completion.choices[0]!.message.parsed as unknown as {
      city: string;
    };
    assert.equal(typeof value.city, "string");
  }));

Deno.test("openai: a client that leaves frees what it had, streaming or waiting", () =>
  withClient(async (client, served) => {
    const request = { model, messages, max_tokens: 4000 };
    const free = { ...request, ignore_eos: true };
    const stream = await client.chat.completions.create({
      ...free,
      stream: true,
    });
    for await (const _ of stream) break;
    await atRest(served);
    const controller = new AbortController();
    const waiting = client.chat.completions.create(free, {
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(), 60);
    await assert.rejects(async () => await waiting, OpenAI.APIUserAbortError);
    await atRest(served);
  }));

Deno.test("openai: errors by their classes, with status, code and param", () =>
  withClient(async (client, { url }) => {
    const ask = (more: Record<string, unknown>) =>
      client.chat.completions.create({ model, messages, ...more });
    await assert.rejects(ask({ temperature: 3 }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.equal(error.param, "temperature");
      assert.equal(error.code, "invalid_value");
      assert.ok(error.requestID);
      return true;
    });
    await assert.rejects(ask({ model: "gpt" }), OpenAI.NotFoundError);
    await assert.rejects(
      ask({ messages: [{ role: "user", content: "x".repeat(5000) }] }),
      (error) =>
        error instanceof OpenAI.BadRequestError &&
        error.code === "context_length_exceeded",
    );
    const stranger = new OpenAI({ apiKey: "wrong-key", baseURL: `${url}/v1` });
    await assert.rejects(
      async () => await stranger.chat.completions.create({ model, messages }),
      OpenAI.AuthenticationError,
    );
  }));

Deno.test("openai: an error in mid-stream reaches the client as one", () =>
  withClient(async (client, { engine }) => {
    const run = engine.generate.bind(engine);
    engine.generate = async function* (options) {
      for await (const part of run(options)) {
        yield part;
        throw new Error("broken");
      }
    };
    const stream = await client.chat.completions.create({
      model,
      messages,
      stream: true,
    });
    await assert.rejects(
      async () => {
        for await (const _ of stream);
      },
      (error) =>
        error instanceof OpenAI.APIError && error.type === "server_error",
    );
  }));

Deno.test("openai: a client that is told to come again comes again", () =>
  withClient(async (client, { serving }) => {
    const stream = await client.chat.completions.create({
      model,
      messages,
      max_tokens: 4000,
      ignore_eos: true,
      stream: true,
    } as OpenAI.ChatCompletionCreateParamsStreaming);
    setTimeout(() => stream.controller.abort(), 300);
    const again = await client.chat.completions.create({
      model,
      messages,
      max_tokens: 1,
    });
    assert.equal(again.choices.length, 1);
    assert.ok(serving.queue.refused > 0);
  }, { mostRequests: 1 }));
