// deno-lint-ignore-file no-console
/**
 * Several answers to one prompt, and a conversation that goes two ways: what is
 * the same is stored once.
 *
 * ```sh
 * deno run --allow-read examples/branches.ts model.gguf
 * ```
 *
 * @module
 */
import { load } from "../mod.ts";

const [model = "smollm2"] = Deno.args;
await using engine = await load(model, { context: 256 });

const answers: string[] = ["", "", ""];
const prompt = "The best thing about rain is";
const sampling = { temperature: 0.8, seed: 1, maxTokens: 12, ignoreEos: true };
for await (const part of engine.generate({ prompt, n: 3, ...sampling })) {
  answers[part.index] += part.text;
}
console.log(`three answers, ${engine.cache.stat().forks} begun as forks`);
for (const answer of answers) console.log(JSON.stringify(answer));

const talk = engine.conversation("You are terse.");
for await (const _ of talk.ask("Name a river.", sampling));
const other = talk.branch();
for (
  const [branch, question] of [[talk, "Its source?"], [
    other,
    "Its end?",
  ]] as const
) {
  for await (const { usage } of branch.ask(question, sampling)) {
    if (usage === undefined) continue;
    console.log(
      `${question} ${usage.cachedTokens} of ${usage.promptTokens} tokens were there`,
    );
  }
}
