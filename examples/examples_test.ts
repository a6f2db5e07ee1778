import assert from "node:assert/strict";
import { withFile } from "../models/testing/files.ts";
import { writeGguf } from "../models/testing/gguf_writer.ts";
import { ggufAdapter } from "../models/testing/lora_writer.ts";
import { tinyChat } from "../models/testing/tiny_chat.ts";
import { createApp } from "../server/mod.ts";
import { load } from "../mod.ts";

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

/** Clients of a server, and what each has to print. */
const CLIENTS: Readonly<Record<string, RegExp>> = {
  "openai_client.ts": /^\d+ tokens\n"[^\n]*"\n\[ "city" \]\n$/,
  "ai_sdk_client.ts": /^"[^\n]*"\n\d+ tokens in, \d+ out\n$/,
};

/** Servers, and where each has its models. */
const SERVERS: Readonly<Record<string, string>> = {
  "hono_app.ts": "/ai/v1",
  "server.ts": "/v1",
};

/** Runs an example; `folder`: where it may write. */
async function printed(
  name: string,
  args: readonly string[],
  folder?: string,
  ...more: readonly string[]
): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command("deno", {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-read",
      ...folder === undefined ? [] : [`--allow-write=${folder}`],
      ...more,
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

for (const [name, wanted] of Object.entries(CLIENTS)) {
  Deno.test(`examples/${name} talks to a server`, () =>
    withFile(tinyChat({ context: 2048 }), async (path) => {
      await using engine = await load(path, { threads: 1 });
      const server = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen: () => {} },
        createApp(engine, { model: "tiny" }).fetch,
      );
      try {
        const url = `http://127.0.0.1:${server.addr.port}/v1`;
        const leave = ["net=127.0.0.1", "env", "sys=hostname"];
        const text = await printed(
          name,
          [url, "tiny"],
          undefined,
          ...leave.map((of) => `--allow-${of}`),
        );
        assert.match(text, wanted);
      } finally {
        await server.shutdown();
      }
    }));
}

for (const [name, base] of Object.entries(SERVERS)) {
  Deno.test(`examples/${name} serves a model`, () =>
    withFile(tinyChat(), async (path) => {
      const child = new Deno.Command("deno", {
        args: [
          "run",
          "--quiet",
          "--no-prompt",
          "--allow-read",
          "--allow-net=127.0.0.1",
          new URL(name, import.meta.url).href,
          path,
          "0",
        ],
        env: { NO_COLOR: "1" },
        stdin: "null",
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      const reader = child.stdout.getReader();
      try {
        const { value } = await reader.read();
        const url = new TextDecoder().decode(value).trim();
        assert.ok(url.endsWith(base), url);
        const { data } = await (await fetch(`${url}/models`)).json();
        assert.equal(data[0].id, "mine");
      } finally {
        child.kill("SIGKILL");
        await reader.cancel();
        await child.status;
      }
    }));
}

Deno.test("examples/ holds the examples that are tested", async () => {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(new URL(".", import.meta.url))) {
    if (name.endsWith(".ts") && !name.endsWith("_test.ts")) names.push(name);
  }
  const all = { ...EXAMPLES, ...CLIENTS, ...SERVERS };
  assert.deepEqual(names.sort(), Object.keys(all).sort());
});
