// deno-lint-ignore-file no-console
/**
 * OpenAI's client, told where the server is: a stream, and an answer by a schema.
 *
 * ```sh
 * deno task serve
 * deno run --allow-net=127.0.0.1 --allow-env examples/openai_client.ts
 * ```
 *
 * @module
 */
import OpenAI from "npm:openai@7.59.0";

const [baseURL = "http://127.0.0.1:8000/v1", model = "smollm2"] = Deno.args;
const client = new OpenAI({ baseURL, apiKey: "none" });

const stream = await client.chat.completions.create({
  model,
  messages: [{ role: "user", content: "Why is the sky blue?" }],
  max_tokens: 40,
  stream: true,
  stream_options: { include_usage: true },
});
let text = "";
for await (const { choices, usage } of stream) {
  text += choices[0]?.delta.content ?? "";
  if (usage) console.log(`${usage.completion_tokens} tokens`);
}
console.log(JSON.stringify(text));

const schema = {
  type: "object",
  properties: { city: { type: "string", maxLength: 12 } },
  required: ["city"],
  additionalProperties: false,
};
const { choices } = await client.chat.completions.create({
  model,
  messages: [{ role: "user", content: "A city in France, as JSON" }],
  response_format: {
    type: "json_schema",
    json_schema: { name: "place", schema, strict: true },
  },
});
console.log(Object.keys(JSON.parse(choices[0]!.message.content!)));
