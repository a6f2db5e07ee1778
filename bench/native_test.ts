import assert from "node:assert/strict";
import { native, nativeFigures } from "./native.ts";

/** A test as `llama-bench -o json` wrote it, shortened, for other numbers. */
function printed(
  n_prompt: number,
  n_gen: number,
  n_depth: number,
  avg_ts: number,
): Record<string, unknown> {
  return {
    build_commit: "sdist",
    cpu_info: "AMD EPYC",
    model_type: "llama 256M Q4_1",
    n_batch: 2048,
    n_ubatch: 512,
    n_threads: 2,
    type_k: "f16",
    flash_attn: 0,
    n_prompt,
    n_gen,
    n_depth,
    test_time: "2026-11-23T16:31:50Z",
    avg_ns: 1638153805,
    avg_ts,
    stddev_ts: 0,
    samples_ts: [avg_ts],
  };
}

Deno.test("nativeFigures() names tests by prompt, length and depth", () => {
  const json = JSON.stringify([
    printed(512, 0, 0, 900.5),
    printed(0, 128, 0, 120),
    printed(0, 128, 1000, 80),
    printed(0, 128, 4000, 30),
  ]);
  assert.deepEqual(nativeFigures(json), {
    prefill512: 900.5,
    decode: 120,
    decode1000: 80,
    decode4000: 30,
  });
});

Deno.test("nativeFigures() leaves out prompts at a depth, mixed tests and other sizes", () => {
  const json = JSON.stringify([
    printed(512, 0, 1000, 1),
    printed(512, 128, 0, 2),
    printed(500, 0, 0, 3),
    printed(0, 128, 999, 4),
  ]);
  assert.deepEqual(nativeFigures(json), {});
  assert.deepEqual(nativeFigures("[]"), {});
});

Deno.test("native() has settings for flash attention and threads", () => {
  const ids = native("/n", "m", 2).settings.map((s) => s.id);
  assert.deepEqual(ids, [
    "1 thread, flash off",
    "1 thread, flash on",
    "2 threads, flash off",
    "2 threads, flash on",
  ]);
  assert.equal(native("/n", "m", 1).settings.length, 2);
});

Deno.test("native() asks for prompts and depths apart, and for nothing it was not asked", async () => {
  const calls: string[] = [];
  const peer = native("/n", "m.gguf", 2, (command, args) => {
    calls.push([command, ...args].join(" "));
    const depth = args.includes("-d");
    const stdout = JSON.stringify([
      depth ? printed(0, 128, 1000, 80) : printed(512, 0, 0, 900),
    ]);
    return Promise.resolve({ success: true, stdout, stderr: "" });
  });
  const { figures } = await peer.run(peer.settings[3]!, [
    "prefill512",
    "decode1000",
  ]);
  assert.deepEqual(figures, { prefill512: 900, decode1000: 80 });
  assert.deepEqual(calls, [
    "/n/build/bin/llama-bench -m m.gguf -t 2 -r 1 -o json -fa 1 -p 512 -n 0",
    "/n/build/bin/llama-bench -m m.gguf -t 2 -r 1 -o json -fa 1 -p 0 -n 128 -d 1000",
  ]);
  await peer.run(peer.settings[0]!, ["prefill512"]);
  assert.equal(calls.length, 3);
});

Deno.test("native() cannot run batches, loads and memory", () => {
  const peer = native("/n", "m", 2);
  assert.ok(peer.can("prefill32") && peer.can("decode4000"));
  for (const name of ["batch1", "batch8", "load", "memory"] as const) {
    assert.ok(!peer.can(name), name);
  }
});

Deno.test("native() throws what llama-bench says", async () => {
  const peer = native("/n", "m", 2, () =>
    Promise.resolve({
      success: false,
      stdout: "",
      stderr: "error: failed to load model",
    }));
  await assert.rejects(
    peer.run(peer.settings[0]!, ["decode"]),
    /llama-bench: error: failed to load model/,
  );
});
