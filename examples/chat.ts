// deno-lint-ignore-file no-console
/**
 * Asks a model one question and prints the answer as it comes.
 *
 * ```sh
 * deno run --allow-read examples/chat.ts model.gguf "Why is the sky blue?"
 * ```
 *
 * For a model by its name, downloaded the first time, use the permissions that
 * the task `chat` has.
 *
 * @module
 */
import { load } from "../mod.ts";

const [model = "smollm2", question = "Why is the sky blue?"] = Deno.args;
const encoder = new TextEncoder();

await using engine = await load(model);
const messages = [{ role: "user", content: question }];
for await (const part of engine.generate({ messages, maxTokens: 200 })) {
  await Deno.stdout.write(encoder.encode(part.text));
  if (part.usage !== undefined) {
    const { completionTokens, tokensPerSecond } = part.usage;
    console.log(
      `\n${completionTokens} tokens, ${tokensPerSecond.toFixed(1)}/s`,
    );
  }
}
