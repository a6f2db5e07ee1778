// deno-lint-ignore-file no-console
/**
 * Who holds how many bytes, while an answer is made and after it.
 *
 * ```sh
 * deno run --allow-read examples/memory.ts model.gguf
 * ```
 *
 * @module
 */
import { load } from "../mod.ts";

const [model = "smollm2"] = Deno.args;

await using engine = await load(model, { context: 256, budget: "1GiB" });

function print(when: string): void {
  const { lines, tiers } = engine.memory();
  console.log(`\n${when}`);
  for (const { tier, owner, component, bytes, peak } of lines) {
    const cells = [
      `${tier}/${owner}`.padEnd(20),
      component.padEnd(20),
      String(bytes).padStart(12),
      String(peak).padStart(12),
    ];
    console.log(cells.join(" "));
  }
  for (const [tier, { used, capacity }] of Object.entries(tiers)) {
    console.log(`${tier}: ${used} of ${capacity} bytes`);
  }
}

let shown = false;
const request = { prompt: "Once upon a time", maxTokens: 16, ignoreEos: true };
for await (const part of engine.generate(request)) {
  if (!shown && part.tokens.length > 0) print("while it answers");
  shown = true;
}
print("after the answer, whose blocks stay to be found again");
engine.cache.evictIdle();
print("when they were given up");
console.log(`\n${engine.plan.explain()}`);
