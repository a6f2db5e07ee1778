import assert from "node:assert/strict";
import type { Plugin } from "../core/plugin.ts";
import { withFile } from "../models/testing/files.ts";
import { tinyLlama } from "../models/testing/tiny_llama.ts";
import type { Engine } from "./engine.ts";
import { load } from "./load.ts";
import { collect, tinyEngine } from "./testing/tiny_engine.ts";

/** Rejects where `promise` takes longer than any of these tests should. */
async function soon<T>(promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("it never ended")), 3000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function idle(engine: Engine): Promise<void> {
  while (!engine.scheduler.idle) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

Deno.test("Loop.add() wakes the loop up that is about to rest", async () => {
  await using engine = await tinyEngine();
  for (let moment = 0; moment < 8; moment++) {
    let next: Promise<Float32Array> | undefined;
    const { promise: last, resolve } = Promise.withResolvers<void>();
    const other = last.then(async () => {
      for (let i = 0; i < moment; i++) await undefined;
      next = engine.logits([1, 2]);
    });
    await engine.eachLogits([1, 2, 3], (position) => {
      if (position === 2) resolve();
    });
    await other;
    assert.equal((await soon(next!)).length, engine.spec.vocab);
  }
});

Deno.test("Loop tells every job where a plugin throws in the middle of a step, and hangs nobody", async () => {
  let calls = 0;
  const broken: Plugin = {
    name: "broken-index",
    setup(host) {
      host.provide("index", {
        get: () => undefined,
        set() {
          if (++calls === 2) throw new Error("disk full");
        },
        delete() {},
      });
    },
  };
  const engine = await tinyEngine({ plugins: [broken], check: false });
  const requests = [3, 4, 5].map((token) =>
    collect(engine.generate({
      tokens: Array(40).fill(token),
      ignoreEos: true,
    }))
  );
  const settled = await soon(Promise.allSettled(requests));
  for (const { status, reason } of settled as PromiseRejectedResult[]) {
    assert.equal(status, "rejected");
    assert.match(String(reason), /disk full/);
  }
  await assert.rejects(engine.logits([2]), /disk full/);
  await engine[Symbol.asyncDispose]();
});

Deno.test("Loop.close() gives readers the reason, in the middle of an answer too", async () => {
  const engine = await tinyEngine();
  const parts = engine.generate({ tokens: [2], ignoreEos: true });
  await parts.next();
  const rest = assert.rejects(collect(parts), /the engine was closed/);
  const logits = assert.rejects(
    engine.eachLogits(Array(60).fill(2), () => {}),
    /the engine was closed/,
  );
  await engine[Symbol.asyncDispose]();
  await Promise.all([rest, logits]);
});

Deno.test("Loop leaves no listener on the signal of a request that ended unread", async () => {
  await using engine = await tinyEngine();
  const { signal } = new AbortController();
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: unknown[]): void => {
    listeners++;
    (add as (...args: unknown[]) => void)(...args);
  };
  signal.removeEventListener = (...args: unknown[]): void => {
    listeners--;
    (remove as (...args: unknown[]) => void)(...args);
  };
  const dropped = engine.generate({ tokens: [2], ignoreEos: true, signal });
  await dropped.next();
  assert.equal(listeners, 1);
  await idle(engine);
  assert.equal(listeners, 0);
  await engine.logits([2], { signal });
  assert.equal(listeners, 0);
});

/** The model with NaN for the embedding of token 3. */
const file = tinyLlama();
const DAMAGED = {
  ...file,
  tensors: file.tensors!.map((tensor) => {
    if (tensor.name !== "token_embd.weight") return tensor;
    const bytes = tensor.bytes.slice();
    new Float32Array(bytes.buffer).fill(NaN, 3 * 32, 4 * 32);
    return { ...tensor, bytes };
  }),
};

Deno.test("Loop ends a request whose logits are NaN with the model's name, and no other", async () => {
  await withFile(DAMAGED, async (path) => {
    for (const backend of ["wasm", "reference"] as const) {
      await using engine = await load(path, {
        backend,
        threads: 2,
        check: true,
      });
      const more = { maxTokens: 5, ignoreEos: true };
      for (
        const sampling of [
          {},
          { temperature: 1, topK: 3 },
          { temperature: 1, topK: 0 },
          { logitBias: { 2: 1 } },
        ]
      ) {
        const whole = collect(
          engine.generate({ tokens: [2, 4], ...more, ...sampling }),
        );
        await assert.rejects(
          collect(engine.generate({ tokens: [2, 3], ...more, ...sampling })),
          (error: Error) => {
            assert.match(error.message, /NaN/);
            assert.ok(error.message.includes(path));
            return true;
          },
          JSON.stringify([backend, sampling]),
        );
        const { tokens } = await whole;
        assert.equal(tokens.length, 5);
        assert.ok(!tokens.includes(3));
        assert.ok(engine.scheduler.idle);
      }
    }
  });
});
