/**
 * Saves two sessions to one file in turn until it is killed; for tests.
 *
 * ```sh
 * deno run --allow-read --allow-write=FOLDER save_forever.ts MODEL FILE
 * ```
 *
 * @module
 */
import { make, open, promptOf } from "./sessions.ts";

const [model = "", path = ""] = Deno.args;

await using engine = await open(model);
const sessions = [33, 50].map((n) => ({ tokens: promptOf(n) }));
for (const { tokens } of sessions) await make(engine, { tokens, maxTokens: 1 });
for (let i = 0;; i++) {
  await engine.save(sessions[i % 2]!, path);
  if (i === 1) await Deno.stdout.write(new TextEncoder().encode("saved\n"));
}
