import assert from "node:assert/strict";
import { Ledger } from "../core/ledger.ts";
import { dice } from "../core/testing/cache_driver.ts";
import { withRandomFile } from "./testing/random_file.ts";
import { soon, untilFailure } from "./testing/soon.ts";
import { logitsOf, MODEL, streaming, streams } from "./testing/streaming.ts";

const LAYERS = MODEL.spec.layers.length;

Deno.test("streamed layers change no bit, whichever, from wherever, through however many slots", async () => {
  await withRandomFile(MODEL, async (file) => {
    const kinds = [
      { exact: false, build: "simd" },
      { exact: false, build: "relaxed" },
      { exact: true, build: "relaxed" },
    ] as const;
    for (const [k, kind] of kinds.entries()) {
      const { exact } = kind;
      const all = await streaming(file, undefined, kind);
      const want = await logitsOf(all.driver);
      await all.wasm[Symbol.asyncDispose]();
      const roll = dice(k + 3);
      for (let i = 0; i < 16; i++) {
        const share = 1 + roll(4);
        const chosen = MODEL.spec.layers.map((_, layer) => layer)
          .filter(() => i < LAYERS || roll(4) < share);
        const streamed = chosen.length === 0 ? [LAYERS - 1] : chosen;
        const depth = i < LAYERS ? i + 1 : 1 + roll(streamed.length);
        const from = roll(2) === 0 ? "disk" : "host";
        const plan = streams(streamed, depth, from, exact);
        const threads = 1 + roll(3);
        const { wasm, driver } = await streaming(file, plan, {
          ...kind,
          threads,
        });
        try {
          const got = await logitsOf(driver);
          const name = `${streamed} ${from}, ${depth} slots, ${threads}`;
          assert.deepEqual(got, want, name);
        } finally {
          await wasm[Symbol.asyncDispose]();
        }
      }
    }
  });
});

Deno.test("a backend goes on from a file that was deleted", async () => {
  const run = async (streamed: number[]) => {
    const plan = streamed.length === 0 ? undefined : streams(streamed, 2);
    const { wasm, driver } = await withRandomFile(
      MODEL,
      (file) => streaming(file, plan),
    );
    await using _ = wasm;
    return await logitsOf(driver);
  };
  assert.deepEqual(await run([1, 2, 4, 5]), await run([]));
});

Deno.test("WasmBackend.lines() tell slots, what stays and what is on the host", async () => {
  await withRandomFile(MODEL, async (file) => {
    for (const from of ["disk", "host"] as const) {
      const plan = streams([1, 3, 5, 6], 2, from);
      const { wasm } = await streaming(file, plan);
      await using _ = wasm;
      const ledger = new Ledger();
      ledger.register(() => wasm.lines());
      ledger.meter("device", () => wasm.memory.stat());
      // The driver's blocks are nobody's here.
      const lines = ledger.lines().filter((l) => l.owner === "weights");
      const bytes = (component: string) =>
        lines.find((l) => l.component === component)?.bytes;
      assert.equal(bytes("2 slots of streamed layers"), 2 * plan.slotBytes);
      assert.equal(bytes("streamed layers") !== undefined, from === "host");
      assert.ok(bytes("model")! > 0);
    }
  });
});

Deno.test("a file that is cut, grows or is written to ends steps with its name, and no byte of it is used", async (t) => {
  const faults: readonly (readonly [string, (path: string) => void, RegExp])[] =
    [
      [
        "cut",
        (path) => Deno.truncateSync(path, 10_000),
        /layer \d.*"[^"]+\.tensors".*(ended \d+ bytes early|changed)/,
      ],
      [
        "grown",
        (path) =>
          Deno.writeFileSync(path, new Uint8Array(64), { append: true }),
        /layer \d.*"[^"]+\.tensors" changed.*\d+ bytes/,
      ],
      [
        "written to",
        (path) => {
          const bytes = Deno.readFileSync(path);
          bytes.fill(0x3f, 30_000);
          using file = Deno.openSync(path, { write: true });
          file.writeSync(bytes);
          file.utimeSync(1, 1);
        },
        /layer \d.*"[^"]+\.tensors" changed/,
      ],
    ];
  for (const [name, act, message] of faults) {
    for (const threads of [1, 3]) {
      await t.step(
        `${name}, ${threads} threads`,
        () =>
          withRandomFile(MODEL, async (file) => {
            const plan = streams([0, 2, 3, 4, 6], 2);
            const { wasm, driver } = await streaming(file, plan, { threads });
            await logitsOf(driver, 2);
            act(file.paths[0]!);
            const step = () => driver.step([{ seq: 1, from: 0, ids: [1, 2] }]);
            const error = await soon(untilFailure(step));
            assert.match(error.message, message);
            // It stays so, and closing is as ever.
            await assert.rejects(soon(step()), message);
            await soon(wasm[Symbol.asyncDispose]());
          }),
      );
    }
  }
});

Deno.test("closing while steps run rejects them, soon, however little is in", async () => {
  await withRandomFile(MODEL, async (file) => {
    for (let i = 0; i < 12; i++) {
      const plan = streams([0, 1, 2, 3, 4, 5, 6], 1 + i % 3, "disk");
      const { wasm, driver } = await streaming(file, plan, {
        threads: 1 + i % 3,
      });
      await logitsOf(driver, 1);
      // It may be through before.
      const ended = wasm.run().then(() => {}, (error: Error) => error);
      if (i % 2 === 1) await new Promise((r) => setTimeout(r));
      await soon(wasm[Symbol.asyncDispose]());
      assert.match(`${(await ended) ?? "closed"}`, /closed/);
      await assert.rejects(wasm.run(), /the backend was closed/);
    }
  });
});

Deno.test("createWasm() rejects, and leaves nobody behind, where feeders cannot open the file", async () => {
  await withRandomFile(MODEL, async (file) => {
    const plan = streams([1, 2], 2);
    await assert.rejects(
      soon(streaming(file, plan, {
        onStarted: () => Deno.renameSync(file.paths[0]!, `${file.paths[0]}x`),
      })),
      (error: Error) => /No such file|cannot find/i.test(error.message),
    );
    // Either the workers or the feeders came too late; both say why.
    Deno.renameSync(`${file.paths[0]}x`, file.paths[0]!);
  });
});
