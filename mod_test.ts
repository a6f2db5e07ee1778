import assert from "node:assert/strict";
import { withFile } from "./models/testing/files.ts";
import { tinyChat } from "./models/testing/tiny_chat.ts";

/** The one Deno keeps copies of modules by, so that they do not pile up. */
const USUAL_PORT = 47_291;

/** Serves the files beside this one while `use` runs. */
async function served(use: (host: string) => Promise<void>): Promise<void> {
  const handler = async ({ url }: Request): Promise<Response> => {
    const { pathname } = new URL(url);
    try {
      const file = new URL(`.${pathname}`, import.meta.url);
      const text = await Deno.readTextFile(file);
      const headers = { "content-type": "application/typescript" };
      return new Response(text, { headers });
    } catch {
      return new Response("not found", { status: 404 });
    }
  };
  const serve = (port: number) =>
    Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {} }, handler);
  let server: ReturnType<typeof serve>;
  try {
    server = serve(USUAL_PORT);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    server = serve(0);
  }
  try {
    await use(`127.0.0.1:${server.addr.port}`);
  } finally {
    await server.shutdown();
  }
}

/** Runs a program in an empty folder; it may import from `host`. */
async function runElsewhere(
  host: string,
  program: string,
  ...permissions: string[]
): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/main.ts`, program);
    const { code, stdout, stderr } = await new Deno.Command("deno", {
      args: [
        "run",
        "--quiet",
        "--no-prompt",
        "--no-config",
        "--no-lock",
        `--reload=http://${host}`,
        `--allow-import=${host}`,
        ...permissions,
        "main.ts",
      ],
      cwd: folder,
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trim();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("mod.ts can be imported by URL without any permission", () =>
  served(async (host) => {
    const program = `import * as quire from "http://${host}/mod.ts";
      console.log(typeof quire.load, typeof quire.ModelError);`;
    assert.equal(await runElsewhere(host, program), "function function");
  }));

Deno.test("load() and generate() work imported by URL, with leave to read the model", () =>
  withFile(tinyChat(), (path) =>
    served(async (host) => {
      const program = `import { load } from "http://${host}/mod.ts";
        await using engine = await load(${JSON.stringify(path)});
        const messages = [{ role: "user", content: "hello" }];
        const request = { messages, maxTokens: 6, ignoreEos: true };
        let tokens = 0;
        for await (const part of engine.generate(request)) tokens += part.tokens.length;
        console.log(tokens, engine.plan.backend);`;
      const said = await runElsewhere(host, program, `--allow-read=${path}`);
      assert.equal(said, "6 wasm");
    })));

Deno.test("a server imported by URL answers, with leave to read the model", () =>
  withFile(tinyChat(), (path) =>
    served(async (host) => {
      const program = `import { load } from "http://${host}/mod.ts";
        import { createApp } from "http://${host}/server/mod.ts";
        await using engine = await load(${JSON.stringify(path)});
        const app = createApp(engine);
        const res = await app.request("/v1/chat/completions", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ messages: [{ role: "user", content: "hello" }], max_tokens: 3, ignore_eos: true }),
        });
        const { usage } = await res.json();
        console.log(res.status, usage.completion_tokens);`;
      const said = await runElsewhere(host, program, `--allow-read=${path}`);
      assert.equal(said, "200 3");
    })));
