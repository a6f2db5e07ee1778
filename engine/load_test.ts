import assert from "node:assert/strict";
import { ModelError } from "../core/errors.ts";
import {
  FIXTURES,
  fixtureTest,
  readJson,
  withFile,
} from "../models/testing/files.ts";
import { VALUE } from "../models/gguf/value_types.ts";
import { tinyLlama } from "../models/testing/tiny_llama.ts";
import { load } from "./load.ts";
import type { LoadOptions } from "./options.ts";
import { collect, tinyEngine } from "./testing/tiny_engine.ts";

interface Malformed {
  readonly files: readonly {
    readonly file: string;
    readonly expect:
      | "load"
      | "reject"
      | "reject-or-ignore"
      | "reject-or-fail-request";
    readonly why: string;
  }[];
}

fixtureTest(
  "load() names what is wrong with each malformed file, in under a second",
  "tiny/dev/malformed/index.json",
  async (url, t) => {
    const { files } = await readJson<Malformed>(url);
    for (const { file, expect, why } of files) {
      await t.step(`${file}: ${why}`, async () => {
        const path = decodeURIComponent(new URL(file, url).pathname);
        const started = performance.now();
        try {
          await using engine = await load(path, { threads: 1 });
          assert.notEqual(expect, "reject", "it was loaded");
          await engine.logits([1, 2, 3]);
        } catch (error) {
          assert.notEqual(expect, "load", String(error));
          assert.ok(error instanceof ModelError, String(error));
          assert.equal(error.file, path);
          assert.ok(error.problem.length > 10);
        }
        const ms = performance.now() - started;
        assert.ok(ms < 1000, `${ms} ms`);
      });
    }
  },
);

Deno.test("load() refuses a model nobody knows, and says what would work", async () => {
  for (const name of ["nobody", "/nowhere/model.gguf", "./model.gguf"]) {
    const started = performance.now();
    await assert.rejects(() => load(name), (error: Error) => {
      assert.ok(error instanceof ModelError);
      assert.ok(error.message.includes(name), error.message);
      return true;
    });
    assert.ok(performance.now() - started < 1000);
  }
  await assert.rejects(() => load("nobody"), /smollm2/);
});

Deno.test("load() refuses options out of bounds before it reads anything", async () => {
  const bad: [LoadOptions, RegExp][] = [
    [{ threads: 0 }, /"threads" 0: a whole number from 1 to 64/],
    [{ threads: 1.5 }, /"threads" 1.5/],
    [{ threads: NaN }, /"threads" NaN/],
    [{ chunk: 0 }, /"chunk" 0/],
    [{ parallel: -1 }, /"parallel" -1/],
    [{ precision: "good" as "fast" }, /"precision" "good": "fast", "exact"/],
    [{ backend: "gpu" as "auto" }, /"backend" "gpu"/],
    [{ build: "fast" as "simd" }, /"build" "fast"/],
  ];
  for (const [options, message] of bad) {
    await assert.rejects(() => load("/nowhere", options), (error: Error) => {
      assert.match(error.message, message);
      return error instanceof RangeError;
    });
  }
  const late: [LoadOptions, RegExp][] = [
    [{ context: 0 }, /"context" 0: the model was trained for 1 to 64/],
    [{ context: 65 }, /"context" 65/],
    [{ context: 1.5 }, /"context" 1.5/],
    [{ budget: "much" }, /Cannot read "much" as a number of bytes/],
    [{ budget: -1 }, /Cannot read "-1"/],
    [{ budget: "10 KiB" }, /10240 in use|raise "budget"/],
  ];
  for (const [options, message] of late) {
    await assert.rejects(() => tinyEngine(options), (error: Error) => {
      assert.match(error.message, message);
      return error instanceof RangeError;
    });
  }
});

Deno.test("load() refuses widths the kernels cannot lay out as a ModelError with the file's name", async () => {
  const key = "llama.feed_forward_length";
  const file = tinyLlama({ [key]: [key, VALUE.U32, 36] }, {
    "blk.0.ffn_gate.weight": [32, 36],
    "blk.0.ffn_up.weight": [32, 36],
    "blk.0.ffn_down.weight": [36, 32],
  });
  await withFile(file, async (path) => {
    await assert.rejects(() => load(path), (error: Error) => {
      assert.ok(error instanceof ModelError);
      assert.equal(error.file, path);
      assert.match(error.message, /feed-forward length in layer 0 is 36/);
      return true;
    });
    await using engine = await load(path, { backend: "reference" });
    assert.ok((await engine.logits([2])).every(Number.isFinite));
  });
});

Deno.test("load() gives the same text on both backends, both builds and in exact precision", async () => {
  const request = { tokens: [2, 3, 4], maxTokens: 30, ignoreEos: true };
  await withFile(tinyLlama(), async (path) => {
    const texts: string[] = [];
    for (
      const options of [
        { backend: "reference" },
        { build: "simd", precision: "exact" },
        { build: "relaxed", precision: "exact" },
        { build: "simd" },
        { build: "relaxed" },
      ] as const
    ) {
      await using engine = await load(path, { ...options, check: true });
      texts.push((await collect(engine.generate(request))).text);
    }
    assert.equal(new Set(texts).size, 1, texts.join(" | "));
  });
});

Deno.test("load() stops with the signal's reason, and leaves no worker behind", async () => {
  const signal = AbortSignal.abort(new Error("before"));
  await assert.rejects(() => tinyEngine({ signal }), /before/);
  for (const when of ["soon", "while it reads"]) {
    const stop = new AbortController();
    const loading = tinyEngine({
      signal: stop.signal,
      onProgress: () => {
        if (when === "while it reads") stop.abort(new Error(when));
      },
    });
    if (when === "soon") stop.abort(new Error(when));
    await assert.rejects(loading, new RegExp(when));
  }
});

Deno.test("load() makes no engine once its signal was aborted, whichever backend reads", async () => {
  await withFile(tinyLlama(), async (path) => {
    for (const backend of ["wasm", "reference"] as const) {
      for (let delay = 0; delay < 12; delay += 2) {
        const stop = new AbortController(), { signal } = stop;
        const timer = setTimeout(() => stop.abort(new Error("late")), delay);
        try {
          await using engine = await load(path, { backend, signal });
          assert.ok(!signal.aborted, `${backend}, ${delay} ms`);
          assert.equal(engine.context, 64);
        } catch (error) {
          assert.match(String(error), /late/);
        }
        clearTimeout(timer);
      }
    }
  });
});

Deno.test("load() tells how far it is, up to all of it", async () => {
  const seen: { done: number; total: number | undefined }[] = [];
  await using engine = await tinyEngine({
    onProgress: ({ stage, done, total }) => {
      if (stage === "load") seen.push({ done, total });
    },
  });
  const last = seen.at(-1)!;
  assert.ok(last.total! > 0);
  assert.equal(last.done, last.total);
  assert.ok(seen.every((s, i) => i === 0 || s.done >= seen[i - 1]!.done));
  assert.ok(engine.context === 64);
});

Deno.test("load() computes no more tokens in a step than its chunk, however many may run together", async () => {
  const steps = async (options: LoadOptions): Promise<number> => {
    await using engine = await tinyEngine(options);
    await engine.logits(Array(64).fill(5));
    return engine.scheduler.stat().steps;
  };
  assert.equal(await steps({ chunk: 1 }), 64);
  assert.equal(await steps({ chunk: 1, parallel: 1 }), 64);
  assert.equal(await steps({ chunk: 8 }), 8);
  assert.equal(await steps({ chunk: 50, parallel: 2 }), 2);
  // More requests than rows take turns.
  await using engine = await tinyEngine({ chunk: 2 });
  const request = { tokens: [2, 3, 4], maxTokens: 6, ignoreEos: true };
  const all = await Promise.all(
    Array.from({ length: 7 }, () => collect(engine.generate(request))),
  );
  assert.deepEqual(all, Array(7).fill(all[0]));
  const { steps: taken, rows } = engine.scheduler.stat();
  assert.ok(rows <= taken * 2, `${rows} rows in ${taken} steps`);
});

/** Loads the file it is given, which has no usable vocabulary. */
const BROKEN = `
  const { load } = await import("${new URL("load.ts", import.meta.url)}");
  try {
    await load(Deno.args[0], { threads: 2, onProgress: () => {} });
  } catch (error) {
    console.log(error.name);
  }
`;

Deno.test("load() rejects a broken vocabulary, and keeps no process alive", async () => {
  const key = "tokenizer.ggml.model";
  const file = tinyLlama({ [key]: [key, VALUE.STRING, "nobody-knows"] });
  const script = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(script, BROKEN);
    await withFile(file, async (path) => {
      const child = new Deno.Command("deno", {
        args: [
          "run",
          "--quiet",
          "--no-check",
          "--allow-read",
          "--allow-env",
          script,
          path,
        ],
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
      const { code, stdout, stderr } = await child.output();
      clearTimeout(timer);
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      assert.equal(code, 0, text(stderr));
      assert.equal(text(stdout).trim(), "ModelError");
    });
  } finally {
    await Deno.remove(script);
  }
});

/** Decodes 200 tokens twice in a process whose heap can be looked at. */
const HEAP = `
  const { load } = await import("${new URL("load.ts", import.meta.url)}");
  const engine = await load(Deno.args[0], { threads: 2, context: 512 });
  const run = async () => {
    let n = 0;
    const request = { tokens: [5, 6, 7], maxTokens: 200, ignoreEos: true };
    for await (const part of engine.generate(request)) n += part.tokens.length;
    if (n !== 200) throw new Error("made " + n);
  };
  const settled = () => {
    for (let i = 0; i < 4; i++) gc();
    return Deno.memoryUsage().heapUsed;
  };
  for (let i = 0; i < 3; i++) await run();
  const before = settled(), memory = engine.memory().tiers.device.used;
  await run();
  const after = settled();
  console.log(JSON.stringify({
    heap: after - before,
    device: engine.memory().tiers.device.used - memory,
  }));
  await engine[Symbol.asyncDispose]();
`;

fixtureTest(
  "load() makes an engine whose decoding leaves the heap as it was",
  "tiny/dev/llama-gqa-q4_0.gguf",
  async () => {
    const model = new URL("tiny/dev/llama-gqa-q4_0.gguf", FIXTURES);
    const script = await Deno.makeTempFile({ suffix: ".ts" });
    try {
      await Deno.writeTextFile(script, HEAP);
      const { code, stdout, stderr } = await new Deno.Command("deno", {
        args: [
          "run",
          "--quiet",
          "--no-check",
          "--v8-flags=--expose-gc",
          "--allow-read",
          "--allow-env",
          script,
          decodeURIComponent(model.pathname),
        ],
      }).output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      const { heap, device } = JSON.parse(new TextDecoder().decode(stdout));
      assert.ok(heap < 1 << 20, `${heap} bytes more`);
      assert.equal(device, 0);
    } finally {
      await Deno.remove(script);
    }
  },
);
