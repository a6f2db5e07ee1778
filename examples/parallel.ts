// deno-lint-ignore-file no-console
/**
 * Several requests at once: they share each pass over the weights, so together
 * they take less time than one after another.
 *
 * ```sh
 * deno run --allow-read examples/parallel.ts model.gguf
 * ```
 *
 * @module
 */
import { load } from "../mod.ts";

const [model = "smollm2"] = Deno.args;
const prompts = [
  "Once upon a time",
  "The capital of France",
  "Water boils at",
  "My favourite colour is",
];

await using engine = await load(model);

async function complete(prompt: string): Promise<string> {
  let text = "";
  const request = { prompt, maxTokens: 24, ignoreEos: true };
  for await (const part of engine.generate(request)) text += part.text;
  return text;
}

const start = performance.now();
const texts = await Promise.all(prompts.map(complete));
const seconds = (performance.now() - start) / 1000;

for (const [i, text] of texts.entries()) {
  console.log(JSON.stringify(prompts[i] + text));
}
console.log(`${(prompts.length * 24 / seconds).toFixed(1)} tokens/s together`);
