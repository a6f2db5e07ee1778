// deno-lint-ignore-file no-console
/**
 * A conversation that goes on in another process: run it twice, or more often.
 *
 * ```sh
 * deno run --allow-read --allow-write=. examples/session.ts model.gguf talk.quire
 * ```
 *
 * @module
 */
import { load, SessionError } from "../mod.ts";

const [model = "smollm2", path = "talk.quire"] = Deno.args;

async function resume() {
  try {
    const { conversation, tokens, cachedTokens } = await engine.restore(path);
    console.log(
      `K and V of ${cachedTokens} of ${tokens.length} tokens are here`,
    );
    return conversation;
  } catch (error) {
    // Another model, another plan, a damaged file: it says which.
    if (!(error instanceof SessionError)) throw error;
    console.log("a new conversation");
    return engine.conversation("You are terse.");
  }
}

await using engine = await load(model);
const talk = await resume();
const turn = talk.messages.length < 2 ? "Name a river." : "And another one?";
for await (const part of talk.ask(turn, { maxTokens: 24, ignoreEos: true })) {
  if (part.usage === undefined) continue;
  const { cachedTokens, promptTokens } = part.usage;
  console.log(`${turn} ${cachedTokens} of ${promptTokens} tokens were there`);
}
const { tokens, cachedTokens, bytes } = await engine.save(talk, path);
console.log(
  `saved ${tokens} tokens, K and V of ${cachedTokens} of them: ${bytes} bytes`,
);
