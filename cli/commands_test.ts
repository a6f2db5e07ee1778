import assert from "node:assert/strict";
import { quire } from "./testing/tiny_model.ts";

const GREEDY = ["--temperature", "0", "--ignore-eos"];

Deno.test("run prints a continuation, and statistics on standard error", async () => {
  const args = ["run", "MODEL", "once", "--max-tokens", "5", "--ignore-eos"];
  const { status, host } = await quire(args);
  assert.equal(status, 0);
  assert.ok(host.stdout.length > 1);
  assert.ok(host.stdout.endsWith("\n"));
  assert.match(
    host.stderr,
    /prompt \d+ tokens,.*answer 5 tokens.*memory: .*weights/,
  );
});

Deno.test("run --json prints one object and nothing else", async () => {
  const args = ["run", "MODEL", "once", "--max-tokens", "5", "--json"];
  const { status, host } = await quire([...args, ...GREEDY]);
  assert.equal(status, 0);
  assert.equal(host.stderr, "");
  assert.equal(host.stdout.indexOf("\n"), host.stdout.length - 1);
  const said = JSON.parse(host.stdout);
  assert.equal(typeof said.text, "string");
  assert.equal(said.tokens.length, 5);
  assert.equal(said.finish, "length");
  assert.equal(said.usage.completionTokens, 5);
  assert.equal(said.usage.promptTokens, 4);
  assert.ok(said.memory.owners.weights.bytes > 0);
  assert.ok(said.memory.tiers.device.used > 0);
  const sum = said.memory.lines.reduce(
    (s: number, l: { bytes: number }) => s + l.bytes,
    0,
  );
  assert.equal(sum, said.memory.tiers.device.used);
  const again = await quire([...args, ...GREEDY]);
  assert.deepEqual(JSON.parse(again.host.stdout).tokens, said.tokens);
});

Deno.test("run takes its text from standard input", async () => {
  const settings = { lines: ["on", "ce"] };
  const args = ["run", "MODEL", "--max-tokens", "2", "--json"];
  const { host } = await quire(args, settings);
  assert.equal(JSON.parse(host.stdout).usage.promptTokens, 5);
  const typed = await quire(args, { ...settings, terminal: { in: true } });
  assert.equal(typed.status, 2);
});

Deno.test("run says in one line that a prompt is longer than the context", async () => {
  const { status, host } = await quire(["run", "MODEL", "x".repeat(300)]);
  assert.equal(status, 1);
  assert.match(
    host.stderr,
    /^Cannot take 300 tokens: the context holds 256.*\n$/,
  );
  const option = await quire(["run", "MODEL", "x", "--top-p", "3"]);
  assert.equal(option.status, 1);
  assert.match(option.host.stderr, /^Cannot sample with "topP" 3.*\n$/);
});

Deno.test("run ends with status 0 when nobody reads any more", async () => {
  const { status, host } = await quire(
    ["run", "MODEL", "once", ...GREEDY],
    {
      onOut: () => {
        throw new Deno.errors.BrokenPipe("gone");
      },
    },
  );
  assert.equal(status, 0);
  assert.equal(host.stderr, "");
});

Deno.test("run ends with status 130 and what it has on Ctrl-C", async () => {
  const { status, host } = await quire(["run", "MODEL", "once", ...GREEDY], {
    onOut: (text, host) => text === "\n" || host.interrupt(),
  });
  assert.equal(status, 130);
  assert.match(host.stderr, /\(stopped\)/);
  assert.equal(host.listening, 0);
  assert.equal(host.exited, undefined);
});

Deno.test("run ends at once on a second Ctrl-C", async () => {
  const { host } = await quire(["run", "MODEL", "once", ...GREEDY], {
    onOut: (_text, host) => {
      host.interrupt();
      host.interrupt();
    },
  });
  assert.equal(host.exited, 130);
});

Deno.test("run shows no control characters to a terminal", async () => {
  const args = ["run", "MODEL", "x", "--max-tokens", "60", "--ignore-eos"];
  // Hot enough to say anything.
  const random = ["--temperature", "100", "--top-k", "0", "--top-p", "1"];
  const all = [...args, ...random, "--min-p", "0", "--seed", "1"];
  // deno-lint-ignore no-control-regex
  const control = /[\0-\x08\x0b-\x1f\x7f-\x9f]/;
  const piped = await quire(all);
  assert.match(piped.host.stdout, control);
  const watched = await quire(all, { terminal: { out: true } });
  assert.doesNotMatch(watched.host.stdout, control);
});

Deno.test("pull --json prints the path", async () => {
  const { status, host } = await quire(["pull", "MODEL", "--json"]);
  assert.equal(status, 0);
  const said = JSON.parse(host.stdout);
  assert.deepEqual(Object.keys(said), ["path"]);
  assert.match(said.path, /model\.gguf$/);
  const plain = await quire(["pull", "MODEL"]);
  assert.match(plain.host.stdout, /model\.gguf\n$/);
});

Deno.test("inspect --json says what the model is", async () => {
  const { status, host } = await quire(["inspect", "MODEL", "--json"]);
  assert.equal(status, 0);
  const { path, bytes, plan, types, kv, fit, ...said } = JSON.parse(
    host.stdout,
  );
  assert.equal(kv.length, 6);
  assert.equal(fit.runs, true);
  assert.equal(said.model, path);
  assert.ok(bytes > 50_000);
  assert.match(plan, /^cache plan .* on backend "wasm"/);
  assert.deepEqual(types, [{
    type: "F32",
    tensors: 11,
    parameters: said.parameters,
    bytes: said.parameters * 4,
    bits: 32,
    memory: { bits: 32, note: null },
  }]);
  delete said.model;
  assert.deepEqual(said, {
    files: 1,
    name: null,
    architecture: "llama",
    words: [
      "2 heads share one K and V (MQA)",
      "MLP of 32 gated by SiLU",
      "embedding and output are one matrix",
    ],
    licence: "mit",
    parameters: 14496,
    activeParameters: 14496,
    context: 256,
    vocabulary: 258,
    hidden: 32,
    layers: 1,
    attention: [{ layers: 1, heads: 2, kvHeads: 1, headDim: 16, window: null }],
    windows: null,
    rope: ["base 10000, neighbours turn, no scaling"],
    experts: null,
    // K and V of one head of 16 values in two bytes.
    kvBytesPerToken: 64,
    tokenizer: "gpt2 (gpt-2)",
    chatTemplate: { characters: 117, system: "yes", tools: "no" },
  });
});

Deno.test("inspect plans for the precision and backend it is asked about", async () => {
  const kv = async (...args: string[]): Promise<number> => {
    const { host } = await quire(["inspect", "MODEL", "--json", ...args]);
    return JSON.parse(host.stdout).kvBytesPerToken;
  };
  assert.equal(await kv("--precision", "exact"), 128);
  assert.equal(await kv("--backend", "reference"), 128);
});

Deno.test("inspect prints the same for people, without a chat template", async () => {
  const { host } = await quire(["inspect", "MODEL"], { template: false });
  assert.match(host.stdout, /^architecture +llama$/m);
  assert.match(host.stdout, /^chat template +no$/m);
  assert.match(
    host.stdout,
    /^F32 +11 +14\.5 K +56\.6 KiB +32\.00 +32\.00$/m,
  );
  assert.match(host.stdout, /^runs here +yes: /m);
});

Deno.test("bench --json prints figures by name", async () => {
  const args = ["bench", "MODEL", "--cases", "load", "--reps", "1", "--json"];
  const { status, host } = await quire(args);
  assert.equal(status, 0, host.stderr);
  assert.ok(JSON.parse(host.stdout).figures.load.median > 0);
  const wrong = await quire(["bench", "MODEL", "--cases", "nothing"]);
  assert.equal(wrong.status, 1);
  assert.match(wrong.host.stderr, /^Cannot measure "nothing".*\n$/);
});

Deno.test("inspect --quantize says what weights are rounded to", async () => {
  const plain = await quire(["inspect", "MODEL"]);
  assert.doesNotMatch(plain.host.stdout, /rounded/);
  const { host } = await quire(["inspect", "MODEL", "--quantize", "q4_0"]);
  assert.match(
    host.stdout,
    /weights: \d+ matrices of F32: rounded to Q4_0 as asked; 4.5 bits instead of 32\n/,
  );
  const run = ["run", "MODEL", "once", "--quantize", "q8_0"];
  assert.equal((await quire([...run, "--max-tokens", "3"])).status, 0);
  const bench = await quire(["bench", "MODEL", "--quantize", "q8_0"]);
  assert.equal(bench.status, 2);
});
