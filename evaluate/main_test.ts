import assert from "node:assert/strict";
import { FIXTURES, fixtureTest } from "../models/testing/files.ts";

const MAIN = new URL("main.ts", import.meta.url).href;

async function run(...args: string[]) {
  const command = new Deno.Command("deno", {
    args: ["run", "--quiet", "--allow-read", "--allow-env", MAIN, ...args],
    env: { NO_COLOR: "1" },
  });
  const { code, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

const MODEL = "tiny/dev/llama-gqa-q4_0.gguf";

fixtureTest(
  "evaluate/main.ts compares the fast run with the exact one",
  MODEL,
  async (url) => {
    const text = await Deno.makeTempFile();
    try {
      await Deno.writeTextFile(text, "Why is the sky blue? ".repeat(20));
      const path = decodeURIComponent(url.pathname);
      const args = [path, "--text", text, "--size", "32", "--chunks", "3"];
      const json = await run(...args, "--json", "--threads", "1");
      assert.equal(json.code, 0, json.err);
      const report = JSON.parse(json.out);
      assert.equal(report.chunks, 3);
      assert.equal(report.divergence.rows, 3 * 15);
      const { fast, exact } = report.perplexity;
      assert.ok(fast.value > 1 && exact.value > 1);
      assert.ok(report.divergence.kld.mean.value > 0);
      assert.match(json.err, /3 of 3 chunks, 0 s left/);
      const alone = await run(...args, "--alone");
      assert.equal(alone.code, 0, alone.err);
      assert.match(alone.out, /perplexity, fast +\d/);
      assert.ok(alone.out.includes(fast.value.toFixed(4)));
    } finally {
      await Deno.remove(text);
    }
  },
);

Deno.test("evaluate/main.ts says what is wrong with its arguments and how they go", async () => {
  const bad: [string[], RegExp][] = [
    [[], /A model and a text are wanted/],
    [["smollm2"], /A model and a text are wanted/],
    [["m", "--text", "t", "--chunks", "0"], /"--chunks 0": a whole number/],
    [["m", "--text", "t", "--what"], /Unknown option "--what"/],
  ];
  for (const [args, message] of bad) {
    const { code, err } = await run(...args);
    assert.equal(code, 2);
    assert.match(err, message);
    assert.match(err, /Usage: deno task eval MODEL/);
  }
  const gone = new URL("nothing.txt", FIXTURES).pathname;
  const { code, err } = await run("m", "--text", gone);
  assert.equal(code, 1);
  assert.match(err, /nothing\.txt/);
});
