import assert from "node:assert/strict";
import { writeGguf } from "../models/testing/gguf_writer.ts";
import { tinyChat } from "../models/testing/tiny_chat.ts";
import { withPort } from "./testing/port.ts";
import { atRest } from "./testing/server.ts";

const CHAT = "/v1/chat/completions";
const long = {
  messages: [{ role: "user", content: "Hello" }],
  ignore_eos: true,
  max_tokens: 4000,
};
const headers = { "content-type": "application/json" };
const pause = (ms: number) => new Promise((r) => setTimeout(r, ms));

/** Sends bytes as they are, and reads for a while. */
async function raw(url: string, bytes: string, ms = 300): Promise<string> {
  const { hostname, port } = new URL(url);
  using conn = await Deno.connect({ hostname, port: Number(port) });
  await conn.write(new TextEncoder().encode(bytes)).catch(() => {});
  const decoder = new TextDecoder(), buffer = new Uint8Array(1 << 14);
  let text = "";
  const late = pause(ms).then(() => null);
  for (;;) {
    const n = await Promise.race([conn.read(buffer).catch(() => null), late]);
    if (n === null) return text;
    text += decoder.decode(buffer.subarray(0, n), { stream: true });
  }
}

Deno.test("clients that leave, streaming or waiting, free their blocks", () =>
  withPort(async (served) => {
    for (const stream of [true, false]) {
      for (const n of [1, 3]) {
        const controller = new AbortController();
        const body = JSON.stringify({ ...long, stream, n });
        const asked = fetch(served.url + CHAT, {
          method: "POST",
          headers,
          body,
          signal: controller.signal,
        });
        if (stream) {
          const reader = (await asked).body!.getReader();
          await reader.read();
          controller.abort();
          await reader.read().catch(() => {});
        } else {
          await pause(60);
          controller.abort();
          await assert.rejects(asked);
        }
        await atRest(served);
      }
    }
  }));

Deno.test("idle and slow connections keep nobody else from being answered", () =>
  withPort(async ({ url }) => {
    const { hostname, port } = new URL(url);
    const idle: Deno.Conn[] = [];
    try {
      for (let i = 0; i < 1000; i++) {
        const conn = await Deno.connect({ hostname, port: Number(port) });
        idle.push(conn);
        // Half of them begin, and go no further.
        if (i % 2 === 0) {
          await conn.write(new TextEncoder().encode("POST /v1/chat"));
        }
      }
      const res = await fetch(`${url}/health`);
      assert.equal(res.status, 200);
      await res.body?.cancel();
    } finally {
      for (const conn of idle) conn.close();
    }
  }));

Deno.test("headers without end, broken requests and strange paths are refused", () =>
  withPort(async ({ url }) => {
    const many = Array.from({ length: 5000 }, (_, i) => `x-${i}: ${i}`);
    const bad = [
      `GET /health HTTP/1.1\r\nhost: a\r\n${many.join("\r\n")}\r\n\r\n`,
      `GET /health HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(1 << 20)}\r\n\r\n`,
      `GET /${"a".repeat(1 << 20)} HTTP/1.1\r\nhost: a\r\n\r\n`,
      "GARBAGE\r\n\r\n",
      "\0\0\0\0\r\n\r\n",
      "GET /health HTTP/9.9\r\n\r\n",
      `POST ${CHAT} HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n{}`,
      `POST ${CHAT} HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}`,
    ];
    for (const bytes of bad) {
      const said = await raw(url, bytes);
      assert.ok(
        said === "" || /^HTTP\/1\.\d 4\d\d /.test(said),
        `${bytes.slice(0, 40)}: ${said.slice(0, 100)}`,
      );
    }
    for (
      const path of [
        "/../../etc/passwd",
        "/v1/models/..%2f..%2fetc%2fpasswd",
        "/%00",
        "/v1//models",
        "/%ff%fe",
      ]
    ) {
      const said = await raw(
        url,
        `GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`,
      );
      assert.match(said, /^HTTP\/1\.1 40\d /, path);
      assert.ok(!said.includes("root:"));
    }
    const res = await fetch(`${url}/health`);
    assert.equal(res.status, 200);
    await res.body?.cancel();
  }));

Deno.test("a body that is announced and does not come is given up", () =>
  withPort(async ({ url }) => {
    const said = await raw(
      url,
      `POST ${CHAT} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{`,
      2000,
    );
    assert.match(said, /^HTTP\/1\.1 408 /);
    assert.match(said, /body_timeout/);
  }, { bodyMs: 100 }));

/** The program on a port, as a process. */
async function program(
  entry: readonly string[],
  use: (url: string, child: Deno.ChildProcess) => Promise<void>,
): Promise<{ code: number; stderr: string }> {
  const folder = await Deno.makeTempDir();
  try {
    const model = `${folder}/tiny.gguf`;
    await Deno.writeFile(model, writeGguf(tinyChat({ context: 4096 })));
    const child = new Deno.Command("deno", {
      args: [...entry, model],
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const [said, told] = child.stderr.tee();
    const lines = new Response(told).text();
    const stdout = child.stdout.getReader();
    const heard = said.getReader();
    try {
      const text = entry[0] === "serve"
        ? await until(heard, /http:\S+?\/\s/)
        : await until(stdout, /http:\S+?\/v1\s/);
      const url = /http:\/\/[\d.:]+/.exec(text)![0];
      await use(url, child);
    } finally {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended.
      }
      await stdout.cancel();
      await heard.cancel();
    }
    const { code } = await child.status;
    return { code, stderr: await lines };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function until(
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>,
  wanted: RegExp,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  while (!wanted.test(text)) {
    const { done, value } = await reader.read();
    assert.ok(!done, `it ended: ${text}`);
    text += decoder.decode(value, { stream: true });
  }
  return text;
}

const MAIN = [
  "run",
  "--quiet",
  "--no-prompt",
  "--unstable-no-legacy-abort",
  "--allow-read",
  "--allow-net=127.0.0.1",
  new URL("main.ts", import.meta.url).href,
  "--port",
  "0",
];

Deno.test({
  name: "main.ts ends in good order at SIGTERM: what runs comes to its end",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    let text = "";
    const { code, stderr } = await program(MAIN, async (url, child) => {
      const body = JSON.stringify({ ...long, max_tokens: 1500, stream: true });
      const res = await fetch(url + CHAT, { method: "POST", headers, body });
      assert.equal(res.status, 200);
      const reading = res.text();
      child.kill("SIGTERM");
      await pause(20);
      const refused = await fetch(url + CHAT, { method: "POST", headers, body })
        .then(
          async (r) => [r.status, await r.text()] as const,
          () => undefined,
        );
      if (refused !== undefined) {
        assert.equal(refused[0], 503);
        assert.match(refused[1], /server_draining/);
      }
      text = await reading;
      await child.status;
    });
    assert.ok(text.endsWith("data: [DONE]\n\n"), text.slice(-300));
    assert.equal(code, 0, stderr);
    for (const line of stderr.trim().split("\n")) JSON.parse(line);
    assert.match(stderr, /"event":"draining"/);
  },
});

Deno.test("serve.ts works with deno serve", async () => {
  await program([
    "serve",
    "--no-prompt",
    "--host",
    "127.0.0.1",
    "--port",
    "0",
    "--allow-read",
    new URL("serve.ts", import.meta.url).href,
  ], async (url) => {
    const { data } = await (await fetch(`${url}/v1/models`)).json();
    assert.equal(data[0].id, "tiny");
  });
});

Deno.test("main.ts says what is wrong with its options and models", async () => {
  for (
    const [args, code, says] of [
      [["--help"], 0, /deno task serve/],
      [["--nonsense"], 2, /--nonsense/],
      [["--context", "x"], 1, /"--context x"/],
      [["/nowhere/model.gguf"], 1, /nowhere/],
    ] as const
  ) {
    const { code: actual, stdout, stderr } = await new Deno.Command("deno", {
      args: [...MAIN, ...args],
      env: { NO_COLOR: "1" },
    }).output();
    const text = new TextDecoder().decode(stdout) +
      new TextDecoder().decode(stderr);
    assert.equal(actual, code, text);
    assert.match(text, says);
  }
});
