import assert from "node:assert/strict";
import { fixtureTest } from "../models/testing/files.ts";
import {
  cutPasses,
  loadOptionsOf,
  scorePasses,
  stretches,
} from "./streaming.ts";

Deno.test("cutPasses() scores every row once, later ones behind a full window", () => {
  assert.deepEqual(cutPasses(25, 10, 4), [
    { from: 0, to: 10, scored: 0 },
    { from: 4, to: 14, scored: 10 },
    { from: 8, to: 18, scored: 14 },
    { from: 12, to: 22, scored: 18 },
    { from: 15, to: 25, scored: 22 },
  ]);
  assert.deepEqual(cutPasses(7, 10, 4), [{ from: 0, to: 7, scored: 0 }]);
});

Deno.test("stretches() double and end with the text", () => {
  assert.deepEqual(stretches(5000, 1024), [1024, 2048, 4096, 5000]);
  assert.deepEqual(stretches(1024, 1024), [1024]);
});

Deno.test("scorePasses() takes each row's probability of the token after it, with BOS over a pass's first", async () => {
  const ids = [1, 2, 0, 1, 1], seen: (readonly number[])[] = [];
  const { perplexity, stretches, rows } = await scorePasses(
    {
      eachLogits: (part, visit, { from = 0 } = {}) => {
        seen.push([...part]);
        // Token 1 has probability 1/2, the others 1/4.
        const logits = Float32Array.of(0, Math.log(2), 0);
        for (let row = from; row < part.length; row++) visit(row, logits);
        return Promise.resolve();
      },
    },
    ids,
    cutPasses(4, 2, 1),
    [3, 5],
    { bos: 9 },
  );
  assert.deepEqual(seen, [[9, 2], [9, 0], [9, 1]]);
  assert.equal(rows, 4);
  // Foretold are 2, 0 | 1, 1.
  const near = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-6);
  near(perplexity.value, Math.sqrt(8));
  assert.deepEqual(stretches.map(({ to }) => to), [3, 5]);
  near(stretches[0]!.value, 4);
  near(stretches[1]!.value, 2);
});

Deno.test("loadOptionsOf() lets every method see as many positions", () => {
  const sizes = { tokens: 500, window: 60, sinks: 4, stride: 8 };
  const names = (["sinks", "near", "window", "recompute"] as const)
    .map((method) => {
      const { context, plugins = [] } = loadOptionsOf(method, sizes);
      return [context, ...plugins.map((p) => p.name)];
    });
  assert.deepEqual(names, [
    [500, "sliding-window-60-4"],
    [500, "sliding-window-60-4"],
    [500, "sliding-window-64"],
    [64],
  ]);
});

const MAIN = new URL("streaming.ts", import.meta.url).href;

async function run(...args: string[]) {
  const command = new Deno.Command("deno", {
    args: ["run", "--quiet", "--allow-read", "--allow-env", MAIN, ...args],
    env: { NO_COLOR: "1" },
  });
  const { code, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

fixtureTest(
  "evaluate/streaming.ts compares ways through a text longer than the context",
  "tiny/dev/llama-gqa-q4_0.gguf",
  async (url) => {
    const file = await Deno.makeTempFile();
    try {
      await Deno.writeTextFile(file, "Why is the sky blue? ".repeat(400));
      const sizes = ["--tokens", "700", "--window", "30", "--sinks", "2"];
      sizes.push("--stride", "8");
      const methods = ["--methods", "sinks,near,window,recompute"];
      const { code, out, err } = await run(
        decodeURIComponent(url.pathname),
        ...["--text", file, "--threads", "1", ...sizes, ...methods],
      );
      assert.equal(code, 0, err);
      assert.match(err, /recompute: 699 of 699 tokens, 0 s left/);
      const lines = out.trim().split("\n");
      const { reports } = JSON.parse(lines.at(-1)!);
      assert.equal(reports.length, 4);
      const first = reports.map((r: { stretches: { value: number }[] }) =>
        r.stretches[0]!.value
      );
      // Nobody has left anything out of sight yet.
      assert.ok(Math.max(...first) - Math.min(...first) < 1e-6, first.join());
      for (const { rows, perplexity, method } of reports) {
        assert.equal(rows, 699);
        assert.ok(perplexity.value > 1, method);
        const line = lines.find((l) => l.startsWith(method))!;
        assert.ok(line.includes(perplexity.value.toFixed(3)), line);
      }
    } finally {
      await Deno.remove(file);
    }
  },
);

Deno.test("evaluate/streaming.ts says what is wrong with its arguments and how they go", async () => {
  const bad: [string[], RegExp][] = [
    [[], /A model is wanted/],
    [["m", "--tokens", "1"], /"--tokens 1": a whole number from 2/],
    [["m", "--window", "9", "--stride", "14"], /"--stride 14": up to 13/],
    [["m", "--methods", "sinks,best"], /"--methods best": sinks, near/],
    [["m", "--what"], /Unknown option "--what"/],
  ];
  for (const [args, message] of bad) {
    const { code, err } = await run(...args);
    assert.equal(code, 2);
    assert.match(err, message);
    assert.match(err, /Usage: evaluate\/streaming.ts MODEL/);
  }
});
