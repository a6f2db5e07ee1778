// deno-lint-ignore-file no-console
/**
 * Ending a request early: by a signal that a timer, a button or a closed
 * connection aborts, or by leaving the loop.
 *
 * ```sh
 * deno run --allow-read examples/abort.ts model.gguf
 * ```
 *
 * @module
 */
import { load } from "../mod.ts";

const [model = "smollm2"] = Deno.args;

await using engine = await load(model);
const request = { prompt: "Once upon a time", ignoreEos: true };

let made = 0;
const stop = new AbortController();
const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(5000)]);
try {
  for await (const part of engine.generate({ ...request, signal })) {
    made += part.tokens.length;
    if (made >= 8) stop.abort();
  }
} catch (error) {
  if (!signal.aborted) throw error;
  console.log(`stopped by ${signal.reason.name} after ${made} tokens`);
}

let text = "";
for await (const part of engine.generate(request)) {
  text += part.text;
  if (text.length >= 8) break;
}
console.log(`left the loop after ${text.length} characters`);
