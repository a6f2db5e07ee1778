import assert from "node:assert/strict";
import { Driver } from "../core/testing/drive.ts";
import { randomModel } from "../core/testing/random_model.ts";
import { createWasm, type WasmBackend } from "./backend.ts";
import { kernelModule } from "./binary.ts";
import { withRandomFile } from "./testing/random_file.ts";
import type { LoadTask } from "./task_reader.ts";
import { CONTROL_BYTES, Workers } from "./workers.ts";

const MODEL = randomModel({
  vocab: 64,
  hidden: 64,
  layers: Array(4).fill({ qHeads: 4, kvHeads: 2, headDim: 16, ffn: 128 }),
});

/** A backend that can run its last step of 32 rows again; its workers sleep at once. */
async function backend(): Promise<WasmBackend> {
  const wasm = await withRandomFile(MODEL, ({ spec, paths }) =>
    createWasm({
      spec,
      paths,
      threads: 3,
      context: 64,
      bytes: 64 << 20,
      rows: 32,
      seqs: 1,
      wanted: 32,
      spins: 0,
    }));
  const driver = new Driver(wasm, MODEL.spec, { tokens: 8, blocks: 8 });
  const ids = Array.from({ length: 32 }, (_, i) => i);
  await driver.step([{ seq: 0, from: 0, ids }]);
  return wasm;
}

async function ms(task: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await task();
  return performance.now() - started;
}

Deno.test("Workers.close() waits for the step that runs, rejects it and all later ones", async () => {
  for (let i = 0; i < 5; i++) {
    const wasm = await backend();
    const step = assert.rejects(wasm.run(), /the backend was closed/);
    const took = await ms(() => wasm[Symbol.asyncDispose]());
    assert.ok(took < 1500, `${took} ms: a worker left the step out`);
    await step;
    await assert.rejects(wasm.run(), /the backend was closed/);
    assert.ok(await ms(() => wasm[Symbol.asyncDispose]()) < 100);
  }
});

Deno.test("Workers.run() refuses a second step while one runs", async () => {
  const wasm = await backend();
  try {
    const step = wasm.run();
    await assert.rejects(wasm.run(), /still running/);
    await step;
    await wasm.run();
  } finally {
    await wasm[Symbol.asyncDispose]();
  }
});

/** Workers, and a file of zeros as many small tasks. */
async function withTasks(
  run: (
    workers: Workers,
    load: (
      onProgress: (done: number) => void,
      signal?: AbortSignal,
    ) => Promise<void>,
  ) => Promise<void>,
): Promise<void> {
  const memory = new WebAssembly.Memory({
    initial: 64,
    maximum: 65536,
    shared: true,
  });
  const workers = await Workers.start({
    module: await kernelModule("simd"),
    memory,
    threads: 1,
    control: 1 << 20,
    scratch: [(1 << 20) + CONTROL_BYTES],
    mode: -1,
    spins: 0,
  });
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, new Uint8Array(1 << 20));
    const task: LoadTask = {
      file: 0,
      offset: 0,
      bytes: 1 << 20,
      rows: 8,
      rowBytes: 1 << 17,
      inputs: 1 << 15,
      type: 0,
      kind: 0,
      form: "lanes",
      w: 3 << 20,
      packed: 1 << 20,
    };
    // Seconds of work, were it not stopped.
    const tasks = Array<LoadTask>(20_000).fill(task);
    const space = {
      staging: 2 << 20,
      decoding: [0, 0, 0] as const,
      packed: 0,
      hosts: [],
    };
    await run(
      workers,
      (onProgress, signal) =>
        workers.load([path], tasks, [space], onProgress, signal),
    );
  } finally {
    await workers.close();
    await Deno.remove(path);
  }
}

Deno.test("Workers.load() stops at once and rejects with what onProgress throws, or an earlier abort's reason", async () => {
  await withTasks(async (_, load) => {
    const signal = AbortSignal.abort(new Error("before"));
    let told = 0;
    await assert.rejects(load(() => told++, signal), /before/);
    assert.equal(told, 0);
    const took = await ms(() =>
      assert.rejects(
        load(() => {
          throw new Error("mine");
        }),
        /mine/,
      )
    );
    assert.ok(took < 1000, `${took} ms`);
  });
});

Deno.test("Workers.close() rejects a load that runs", async () => {
  await withTasks(async (workers, load) => {
    const loading = assert.rejects(load(() => {}), /the backend was closed/);
    await workers.close();
    await loading;
  });
});
