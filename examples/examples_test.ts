import assert from "node:assert/strict";
import { withFile } from "../models/testing/files.ts";
import { writeGguf } from "../models/testing/gguf_writer.ts";
import { ggufAdapter } from "../models/testing/lora_writer.ts";
import { tinyChat } from "../models/testing/tiny_chat.ts";

/** What each example has to print, given a model whose words mean nothing. */
const EXAMPLES: Readonly<Record<string, RegExp>> = {
  "chat.ts": /\n\d+ tokens, [\d.]+\/s\n$/,
  "parallel.ts":
    /^"Once upon a time[^\n]*"\n(?:"[^\n]*"\n){3}[\d.]+ tokens\/s together\n$/,
  "branches.ts":
    /^three answers, [12] begun as forks\n(?:"[^\n]*"\n){3}Its source\? \d+ of \d+ tokens were there\nIts end\? [1-9]\d* of \d+ tokens were there\n$/,
  "plugin.ts":
    /^0 of \d+ tokens found, unseen\n[1-9]\d* of \d+ tokens found\n(?:[a-z]+ \d+\n)+$/,
  "session.ts":
    /^a new conversation\nName a river\. 0 of \d+ tokens were there\nsaved \d+ tokens, K and V of [1-9]\d* of them: \d+ bytes\n$/,
  "lora.ts":
    /^(?:adapter [01]: 2 matrices, rank 3\n){2}(?:\{[^\n]*\} "[^\n]*"\n){4}$/,
  "logits.ts": /^(?: *\d+\.\d\d % {2}"[^\n]*"\n){5}$/,
  "abort.ts":
    /^stopped by AbortError after \d+ tokens\nleft the loop after \d+ characters\n$/,
  "memory.ts":
    /while it answers\n[^]*device\/kv +group 0 +[1-9]\d* [^]*after the answer[^]*device\/kv +group 0 +[1-9]\d* [^]*given up\n[^]*device\/kv +group 0 +0 [^]*cache plan/,
};

/** Runs an example; `folder`: where it may write. */
async function printed(
  name: string,
  args: readonly string[],
  folder?: string,
): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command("deno", {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-read",
      ...folder === undefined ? [] : [`--allow-write=${folder}`],
      new URL(name, import.meta.url).href,
      ...args,
    ],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  assert.equal(code, 0, decoder.decode(stderr));
  assert.equal(decoder.decode(stderr), "");
  return decoder.decode(stdout);
}

for (const [name, wanted] of Object.entries(EXAMPLES)) {
  if (name === "session.ts" || name === "lora.ts") continue;
  Deno.test(`examples/${name} runs with leave to read and nothing else`, async () => {
    const text = await withFile(tinyChat(), (path) => printed(name, [path]));
    assert.match(text, wanted);
  });
}

Deno.test("examples/lora.ts computes with each adapter", async () => {
  await withFile(tinyChat(), async (path) => {
    const modules = ["blk.0.attn_q.weight", "blk.0.ffn_up.weight"]
      .map((name) => ({ name, inputs: 32, outputs: 32, rank: 3 }));
    const paths = [1, 2].map((seed) => `${path}.${seed}.gguf`);
    for (const [i, to] of paths.entries()) {
      await Deno.writeFile(to, writeGguf(ggufAdapter(modules, i)));
    }
    const text = await printed("lora.ts", [path, ...paths]);
    assert.match(text, EXAMPLES["lora.ts"]!);
  });
});

Deno.test("examples/session.ts goes on in another process, with leave to write its file", async () => {
  await withFile(tinyChat(), async (path) => {
    const folder = path.slice(0, path.lastIndexOf("/"));
    const run = () =>
      printed("session.ts", [path, `${folder}/talk.quire`], folder);
    assert.match(await run(), EXAMPLES["session.ts"]!);
    assert.match(
      await run(),
      /^K and V of [1-9]\d* of \d+ tokens are here\nAnd another one\? [1-9]\d* of \d+ tokens were there\nsaved /,
    );
  });
});

Deno.test("examples/ holds the examples that are tested", async () => {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(new URL(".", import.meta.url))) {
    if (name.endsWith(".ts") && !name.endsWith("_test.ts")) names.push(name);
  }
  assert.deepEqual(names.sort(), Object.keys(EXAMPLES).sort());
});
