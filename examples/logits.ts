// deno-lint-ignore-file no-console
/**
 * What the model thinks comes next: the likeliest tokens after a text, with
 * their probabilities.
 *
 * ```sh
 * deno run --allow-read examples/logits.ts model.gguf "The capital of France is"
 * ```
 *
 * @module
 */
import { load } from "../mod.ts";

const [model = "smollm2", text = "The capital of France is"] = Deno.args;

await using engine = await load(model);
const { tokenizer } = engine;
const ids = tokenizer.encode(text, { bos: tokenizer.addBos });
const logits = await engine.logits(ids);

const largest = logits.reduce((a, b) => Math.max(a, b));
const sum = logits.reduce((a, b) => a + Math.exp(b - largest), 0);
const best = [...logits.keys()]
  .sort((a, b) => logits[b]! - logits[a]!)
  .slice(0, 5);
for (const id of best) {
  const probability = Math.exp(logits[id]! - largest) / sum;
  const token = JSON.stringify(tokenizer.decode([id]));
  console.log(`${(100 * probability).toFixed(2).padStart(6)} %  ${token}`);
}
