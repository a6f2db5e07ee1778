// deno-lint-ignore-file no-console
/**
 * One model, several LoRA adapters, chosen by each request.
 *
 * ```sh
 * deno run --allow-read examples/lora.ts model.gguf sql.gguf folder-of-peft
 * ```
 *
 * @module
 */
import { type AdapterOptions, load } from "../mod.ts";

const [model = "smollm2", ...paths] = Deno.args;
const adapters = Object.fromEntries(paths.map((path, i) => [`${i}`, path]));

await using engine = await load(model, { adapters });
for (const { name, matrices, rank } of engine.adapters) {
  console.log(`adapter ${name}: ${matrices} matrices, rank ${rank}`);
}

// All in the same steps; K and V of different adapters never meet.
const uses: AdapterOptions[] = [
  {},
  ...engine.adapters.map(({ name }) => ({ adapter: name })),
  { adapters: engine.adapters.map(({ name }) => ({ name, scale: 0.5 })) },
];
await Promise.all(uses.map(async (use) => {
  let text = "";
  const request = { prompt: "Once upon a time", maxTokens: 12, ...use };
  for await (const part of engine.generate(request)) text += part.text;
  console.log(`${JSON.stringify(use)} ${JSON.stringify(text)}`);
}));
