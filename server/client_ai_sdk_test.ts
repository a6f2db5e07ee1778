import assert from "node:assert/strict";
import { createOpenAICompatible } from "npm:@ai-sdk/openai-compatible@3.0.92";
import {
  APICallError,
  embed,
  generateObject,
  generateText,
  jsonSchema,
  streamText,
  tool,
} from "npm:ai@7.0.173";
import { type Listening, withPort } from "./testing/port.ts";
import { atRest } from "./testing/server.ts";

const KEY = "key-for-the-tests";

function withProvider(
  use: (
    provider: ReturnType<typeof createOpenAICompatible>,
    listening: Listening,
  ) => Promise<void>,
): Promise<void> {
  return withPort((listening) =>
    use(
      createOpenAICompatible({
        name: "quire",
        apiKey: KEY,
        baseURL: `${listening.url}/v1`,
        includeUsage: true,
        supportsStructuredOutputs: true,
      }),
      listening,
    ), { apiKeys: [KEY] });
}

const place = jsonSchema<{ city: string }>({
  type: "object",
  properties: { city: { type: "string", maxLength: 6 } },
  required: ["city"],
  additionalProperties: false,
});

Deno.test("AI SDK: text, whole and streamed, with usage", () =>
  withProvider(async (provider) => {
    const request = {
      model: provider("tiny"),
      prompt: "Hello",
      maxOutputTokens: 8,
      temperature: 0,
      seed: 1,
    };
    const { text, usage, finishReason } = await generateText(request);
    assert.ok(usage.inputTokens! > 0);
    const result = streamText(request);
    let streamed = "";
    for await (const piece of result.textStream) streamed += piece;
    assert.equal(streamed, text);
    assert.equal(await result.finishReason, finishReason);
    assert.equal((await result.usage).outputTokens, usage.outputTokens);
  }));

Deno.test("AI SDK: objects by a schema", () =>
  withProvider(async (provider) => {
    const { object } = await generateObject({
      model: provider("tiny"),
      prompt: "A city",
      schema: place,
      temperature: 1.2,
    });
    assert.equal(typeof object.city, "string");
  }));

Deno.test("AI SDK: tools, called, run and answered", () =>
  withProvider(async (provider) => {
    const asked: string[] = [];
    const request = {
      model: provider("tiny"),
      prompt: "Hello",
      maxOutputTokens: 60,
      tools: {
        weather: tool({
          description: "of a city",
          inputSchema: place,
          execute: ({ city }) => {
            asked.push(city);
            return "sunny";
          },
        }),
      },
      toolChoice: "required" as const,
    };
    const { toolCalls, toolResults } = await generateText(request);
    assert.equal(toolCalls.length, 1);
    assert.equal(toolResults.length, 1);
    assert.equal(asked.length, 1);
    const result = streamText(request);
    const kinds = new Set<string>();
    for await (const part of result.stream) kinds.add(part.type);
    assert.ok(
      kinds.has("tool-call") && kinds.has("tool-result"),
      [...kinds].join(),
    );
  }));

Deno.test("AI SDK: embeddings", () =>
  withProvider(async (provider) => {
    const { embedding } = await embed({
      model: provider.embeddingModel("tiny"),
      value: "hello",
    });
    assert.equal(embedding.length, 32);
  }));

Deno.test("AI SDK: a stream that is left, and errors", () =>
  withProvider(async (provider, served) => {
    const controller = new AbortController();
    const result = streamText({
      model: provider("tiny"),
      prompt: "Hello",
      maxOutputTokens: 4000,
      abortSignal: controller.signal,
    });
    let aborted = false;
    for await (const part of result.stream) {
      if (part.type === "text-delta") controller.abort();
      aborted ||= part.type === "abort";
    }
    await atRest(served);
    await assert.rejects(
      generateText({
        model: provider("other"),
        prompt: "Hello",
        maxRetries: 0,
      }),
      (error) =>
        APICallError.isInstance(error) && error.statusCode === 404 &&
        /"other"/.test(error.message),
    );
  }));
