// deno-lint-ignore-file no-console
/**
 * The AI SDK, told where the server is.
 *
 * ```sh
 * deno task serve
 * deno run --allow-net=127.0.0.1 --allow-env --allow-sys=hostname examples/ai_sdk_client.ts
 * ```
 *
 * @module
 */
import { createOpenAICompatible } from "npm:@ai-sdk/openai-compatible@3.0.92";
import { streamText } from "npm:ai@7.0.173";

const [baseURL = "http://127.0.0.1:8000/v1", model = "smollm2"] = Deno.args;
const quire = createOpenAICompatible({
  name: "quire",
  baseURL,
  includeUsage: true,
});

const result = streamText({
  model: quire(model),
  prompt: "Why is the sky blue?",
  maxOutputTokens: 40,
});
let text = "";
for await (const piece of result.textStream) text += piece;
console.log(JSON.stringify(text));
const { inputTokens, outputTokens } = await result.usage;
console.log(`${inputTokens} tokens in, ${outputTokens} out`);
