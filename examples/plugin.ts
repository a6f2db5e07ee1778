// deno-lint-ignore-file no-console
/**
 * A plugin of one's own: counts what happens to blocks.
 *
 * ```sh
 * deno run --allow-read examples/plugin.ts model.gguf
 * ```
 *
 * @module
 */
import { load, pagedAttention, type Plugin, prefixCache } from "../mod.ts";

/** Keeps a count of every kind of event. */
function counter(counts: Map<string, number>): Plugin {
  return {
    name: "counter",
    setup: (host) =>
      host.provide("observe", {
        event: ({ type }) => counts.set(type, (counts.get(type) ?? 0) + 1),
      }),
  };
}

const [model = "smollm2"] = Deno.args;
const counts = new Map<string, number>();
await using engine = await load(model, {
  plugins: [pagedAttention(), prefixCache(), counter(counts)],
});
const prompt = "It was the best of times, it was the worst of times. ".repeat(
  3,
);
for (let i = 0; i < 2; i++) {
  const request = { prompt, maxTokens: 24, ignoreEos: true };
  for await (const { usage } of engine.generate(request)) {
    if (usage === undefined) continue;
    const why = usage.miss === undefined ? "" : `, ${usage.miss.reason}`;
    console.log(
      `${usage.cachedTokens} of ${usage.promptTokens} tokens found${why}`,
    );
  }
}
for (const [type, count] of counts) console.log(`${type} ${count}`);
