import assert from "node:assert/strict";
import { operandsOf } from "./chat.ts";
import { UsageError } from "./host.ts";
import type { FakeSettings } from "./testing/fake_host.ts";
import { type Outcome, quire } from "./testing/tiny_model.ts";

const SHORT = ["--temperature", "0", "--ignore-eos", "--max-tokens", "4"];

function chat(settings: FakeSettings, ...args: string[]): Promise<Outcome> {
  return quire(["chat", "MODEL", ...SHORT, ...args], settings);
}

function json(stdout: string) {
  return stdout.trim().split("\n").map((line) => JSON.parse(line));
}

Deno.test("operandsOf() tells a model from a prompt", async () => {
  const of = (operands: string[], model?: string) =>
    operandsOf({ operands, model });
  const smollm2 = "smollm2";
  assert.deepEqual(await of([]), { model: smollm2, prompt: undefined });
  assert.deepEqual(await of(["Why?"]), { model: smollm2, prompt: "Why?" });
  assert.deepEqual(await of(["Why?"], "m"), { model: "m", prompt: "Why?" });
  assert.deepEqual(await of(["m", "Why?"]), { model: "m", prompt: "Why?" });
  assert.deepEqual(await of([], "m"), { model: "m", prompt: undefined });
  assert.equal((await of(["What is in a.gguf"])).prompt, "What is in a.gguf");
  // A folder, but of no model.
  const { pathname: folder } = new URL(".", import.meta.url);
  assert.equal((await of([folder])).prompt, folder);
  for (
    const model of [
      "gemma3-270m",
      "hf:a/b/c.gguf",
      "hf:a/b",
      "https://example.com/m.gguf",
      "no/such.gguf",
      new URL(import.meta.url).pathname,
      new URL("../models/testdata/hub/qwen2", import.meta.url).pathname,
    ]
  ) {
    assert.deepEqual(await of([model]), { model, prompt: undefined });
  }
  for (const operands of [["a", "b", "c"], [""], ["m", ""]]) {
    await assert.rejects(() => of(operands), UsageError);
  }
  await assert.rejects(() => of(["a", "b"], "m"), UsageError);
});

Deno.test("chat answers a prompt and stops", async () => {
  const { status, host } = await chat({}, "hello");
  assert.equal(status, 0);
  assert.ok(host.stdout.length > 1);
  assert.match(host.stderr, /\[prompt \d+ tokens.*answer 4 tokens.*\]\n$/);
});

Deno.test("chat --json prints one object, the system's message counted", async () => {
  const plain = json((await chat({}, "hello", "--json")).host.stdout);
  const { host } = await chat({}, "hello", "--json", "--system", "brief");
  const [told] = json(host.stdout);
  assert.equal(plain.length, 1);
  assert.equal(host.stderr, "");
  assert.equal(told.tokens.length, 4);
  assert.equal(
    told.usage.promptTokens,
    plain[0].usage.promptTokens + "[system]brief\n".length,
  );
});

Deno.test("chat refuses a model without a chat template and says what works", async () => {
  const { status, host } = await quire(["chat", "MODEL", "hello"], {
    template: false,
  });
  assert.equal(status, 1);
  assert.match(host.stderr, /^Cannot use model .*quire run MODEL PROMPT.*\n$/);
});

Deno.test("chat takes each line of a pipe as a turn, with history", async () => {
  const lines = ["ab", "", "  cd  "];
  const { status, host } = await chat({ lines }, "--json");
  assert.equal(status, 0);
  const turns = json(host.stdout);
  assert.equal(turns.length, 2);
  const first = "[user]ab\n[assistant]".length;
  assert.equal(turns[0].usage.promptTokens, first);
  assert.ok(
    turns[1].usage.promptTokens >= first + "\n[user]cd\n[assistant]".length,
  );
  assert.equal(host.stderr, "");
});

Deno.test("chat does what lines with a slash say", async () => {
  const { status, host } = await chat({
    lines: ["ab", "/clear", "ab", "/stats", "/help", "/what", "/exit", "cd"],
    terminal: { in: true },
  });
  assert.equal(status, 0);
  const prompts = [...host.stderr.matchAll(/\[prompt (\d+) tokens/g)];
  assert.equal(prompts.length, 2);
  assert.equal(prompts[0]![1], prompts[1]![1], "/clear forgot nothing");
  assert.match(host.stderr, /device\/weights +model/);
  assert.match(host.stderr, /\/exit +end/);
  assert.match(host.stderr, /Cannot do "\/what": \/help, /);
});

Deno.test("chat leaves out the oldest turns of a long conversation and says so", async () => {
  const lines = Array.from({ length: 4 }, () => "x".repeat(60));
  const { status, host } = await chat({ lines }, "--json");
  assert.equal(status, 0);
  const turns = json(host.stdout);
  assert.equal(turns.length, 4);
  assert.ok(turns.every((t) => t.usage.promptTokens <= 252));
  assert.match(
    host.stderr,
    /longer than the context of 256 tokens: left out its oldest turn/,
  );
});

Deno.test("chat refuses a turn longer than the context and goes on", async () => {
  const lines = ["x".repeat(300), "ab"];
  const { status, host } = await chat({ lines }, "--json");
  assert.equal(status, 1);
  assert.match(host.stderr, /^Cannot take \d+ tokens: the context holds 256/);
  const turns = json(host.stdout);
  assert.equal(turns.length, 1);
  assert.equal(turns[0].usage.promptTokens, "[user]ab\n[assistant]".length);
  const typed = await chat({ lines, terminal: { in: true } });
  assert.equal(typed.status, 0);
});

Deno.test("chat stops the answer on Ctrl-C, not the program", async () => {
  let pressed = 0;
  const { status, host } = await quire(
    ["chat", "MODEL", "--temperature", "0", "--ignore-eos"],
    {
      lines: ["ab", "cd"],
      terminal: { in: true },
      onOut: (text, host) => {
        if (text.length > 0 && text !== "\n" && pressed++ === 0) {
          host.interrupt();
        }
      },
    },
  );
  assert.equal(status, 0);
  assert.equal(host.stderr.match(/\(stopped\)/g)?.length, 1);
  assert.equal(host.stderr.match(/\[prompt/g)?.length, 1);
  assert.equal(host.listening, 0);
});

Deno.test("chat ends on a second Ctrl-C at its prompt", async () => {
  const settings: FakeSettings = {
    silence: true,
    terminal: { in: true },
    onErr: (text, host) => {
      if (text === "> ") setTimeout(() => host.interrupt());
    },
  };
  const idle = await chat(settings);
  assert.equal(idle.status, 130);
  assert.equal(idle.host.stderr.match(/^> /gm)?.length, 2);
  assert.match(idle.host.stderr, /Ctrl-C again, Ctrl-D or \/exit ends/);
  // Here the first one stops the answer.
  const busy = await chat({ ...settings, lines: ["ab"] });
  assert.equal(busy.status, 130);
  assert.match(busy.host.stderr, /> \(stopped\)\n> \n$/);
});
