import assert from "node:assert/strict";
import { ChatOpenAI, OpenAIEmbeddings } from "npm:@langchain/openai@1.6.0";
import { withPort } from "./testing/port.ts";
import { atRest } from "./testing/server.ts";

const KEY = "key-for-the-tests";

const schema = {
  title: "place",
  type: "object",
  properties: { city: { type: "string", maxLength: 6 } },
  required: ["city"],
  additionalProperties: false,
};

Deno.test("LangChain: chats, streams, tools, schemas, embeddings, errors", () =>
  withPort(async (served) => {
    const configuration = { baseURL: `${served.url}/v1` };
    const make = (more = {}) =>
      new ChatOpenAI({
        model: "tiny",
        apiKey: KEY,
        maxTokens: 60,
        temperature: 0,
        maxRetries: 0,
        configuration,
        ...more,
      });
    const chat = make({ maxTokens: 8 });
    const whole = await chat.invoke("Hello");
    let text = "";
    for await (const chunk of await chat.stream("Hello")) text += chunk.content;
    assert.equal(text, whole.content);
    const usage = whole.usage_metadata as { output_tokens: number } | undefined;
    assert.ok(usage!.output_tokens <= 8);

    const tool = {
      type: "function" as const,
      function: { name: "weather", description: "", parameters: schema },
    };
    const called = await make().bindTools([tool], { tool_choice: "weather" })
      .invoke("Hello");
    assert.equal(called.tool_calls!.length, 1);
    assert.equal(called.tool_calls![0]!.name, "weather");

    const { city } = await make({ temperature: 1.2 })
      .withStructuredOutput(schema, { method: "jsonSchema" })
      .invoke("Hello") as { city: string };
    assert.equal(typeof city, "string");

    const vectors = await new OpenAIEmbeddings({
      model: "tiny",
      apiKey: KEY,
      configuration,
    }).embedDocuments(["a", "b"]);
    assert.deepEqual(vectors.map((v) => v.length), [32, 32]);

    await assert.rejects(make({ model: "other" }).invoke("Hello"), /404/);
    const controller = new AbortController();
    const stream = await make({ maxTokens: 4000 }).stream("Hello", {
      signal: controller.signal,
    });
    await assert.rejects(async () => {
      for await (const _ of stream) controller.abort();
    });
    await atRest(served);
  }, { apiKeys: [KEY] }));
