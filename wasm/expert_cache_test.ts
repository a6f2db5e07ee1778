import assert from "node:assert/strict";
import { Ledger } from "../core/ledger.ts";
import { dice } from "../core/testing/cache_driver.ts";
import type { Driver } from "../core/testing/drive.ts";
import { cacheWords, expertItems } from "./expert_cache.ts";
import {
  comes,
  EXPERT_MODEL,
  ITEMS,
  MOST,
} from "./testing/expert_streaming.ts";
import { withRandomFile } from "./testing/random_file.ts";
import { soon, untilFailure } from "./testing/soon.ts";
import { streaming } from "./testing/streaming.ts";

/** Steps of one or two sequences, of one row or of dozens. */
async function steps(driver: Driver, seed: number, count = 12) {
  const roll = dice(seed), ends = [0, 0], out: Float32Array[] = [];
  for (let i = 0; i < count; i++) {
    const rows = roll(3) === 0 ? 1 + roll(18) : 1;
    const seqs = roll(2) === 0 ? [0, 1] : [roll(2)];
    const work = seqs.filter((seq) => ends[seq]! + rows <= 64).map((seq) => {
      const from = ends[seq]!;
      ends[seq]! += rows;
      const ids = Array.from({ length: rows }, () => roll(61));
      return { seq, from, ids };
    });
    if (work.length > 0) out.push((await driver.step(work)).logits);
  }
  return out;
}

Deno.test("experts that come one by one change no bit, from wherever, through however many slots", async () => {
  await withRandomFile(EXPERT_MODEL, async (file) => {
    const kinds = [
      { exact: false, build: "simd" },
      { exact: true, build: "relaxed" },
    ] as const;
    for (const [k, kind] of kinds.entries()) {
      const all = await streaming(file, undefined, kind);
      const want = await steps(all.driver, k);
      assert.equal(all.wasm.weightStat(), undefined);
      await all.wasm[Symbol.asyncDispose]();
      const asked: number[] = [], misses: number[] = [];
      for (let slots = MOST; slots < ITEMS; slots += 1 + (k + slots) % 3) {
        const from = slots % 2 === 0 ? "disk" : "host";
        const { wasm, driver } = await streaming(
          file,
          comes(slots, from, kind.exact),
          { ...kind, threads: 1 + slots % 3 },
        );
        await using _ = wasm;
        assert.deepEqual(await steps(driver, k), want, `${slots}, ${from}`);
        const stat = wasm.weightStat()!;
        asked.push(stat.hits + stat.misses);
        misses.push(stat.misses);
        assert.ok(stat.bytes > 0);
      }
      // Whatever is there, as much is asked for; with more slots more of it is there.
      assert.equal(new Set(asked).size, 1);
      assert.ok(misses.at(-1)! < misses[0]! / 2, `${misses}`);
      assert.ok(misses.at(-1)! >= MOST && misses[0]! < asked[0]!);
    }
  });
});

Deno.test("an expert that was just used is there, one of long ago is not", async () => {
  await withRandomFile(EXPERT_MODEL, async (file) => {
    const { wasm, driver } = await streaming(file, comes(MOST));
    await using _ = wasm;
    const step = async (ids: number[]) => {
      const { hits, misses } = wasm.weightStat()!;
      await driver.step([{ seq: 0, from: 0, ids }]);
      const now = wasm.weightStat()!;
      return [now.hits - hits, now.misses - misses];
    };
    // A row takes 2, 3 and 1: six of nine slots.
    assert.deepEqual(await step([1]), [0, 6]);
    assert.deepEqual(await step([1]), [6, 0]);
    await step(Array.from({ length: 40 }, (_, i) => i));
    const [hits, misses] = await step([1]);
    assert.ok(hits! < 6 && misses! > 0, `${hits} ${misses}`);
    assert.deepEqual(await step([1]), [6, 0]);
  });
});

Deno.test("WasmBackend.lines() tell slots of experts, and what is on the host", async () => {
  await withRandomFile(EXPERT_MODEL, async (file) => {
    for (const from of ["disk", "host"] as const) {
      const plan = comes(12, from);
      const { wasm } = await streaming(file, plan);
      await using _ = wasm;
      const ledger = new Ledger();
      ledger.register(() => wasm.lines());
      ledger.meter("device", () => wasm.memory.stat());
      const lines = ledger.lines().filter((l) => l.owner === "weights");
      const bytes = (component: string) =>
        lines.find((l) => l.component === component)?.bytes;
      const { slotBytes } = plan.experts!;
      assert.equal(bytes("12 slots of experts"), 12 * slotBytes);
      assert.equal(bytes("experts") !== undefined, from === "host");
      assert.ok(bytes("model")! > 0);
    }
  });
});

Deno.test("a file that is cut or written to ends the step that lacks an expert with both names", async (t) => {
  const faults: readonly (readonly [string, (path: string) => void, RegExp])[] =
    [
      [
        "cut",
        (path) => Deno.truncateSync(path, 5000),
        /stream expert \d of layer \d: .*"[^"]+\.tensors".*(ended \d+ bytes early|changed)/,
      ],
      [
        "written to",
        (path) => {
          const bytes = Deno.readFileSync(path).fill(0x3f, 30_000);
          using file = Deno.openSync(path, { write: true });
          file.writeSync(bytes);
          file.utimeSync(1, 1);
        },
        /stream expert \d of layer \d: .*"[^"]+\.tensors" changed/,
      ],
    ];
  for (const [name, act, message] of faults) {
    for (const threads of [1, 3]) {
      await t.step(
        `${name}, ${threads} threads`,
        () =>
          withRandomFile(EXPERT_MODEL, async (file) => {
            const { wasm, driver } = await streaming(file, comes(MOST), {
              threads,
            });
            await steps(driver, 3, 2);
            act(file.paths[0]!);
            let id = 0;
            const step = () => {
              const ids = [id++ % 61, id % 61];
              return driver.step([{ seq: 1, from: 0, ids }]);
            };
            assert.match((await soon(untilFailure(step))).message, message);
            await assert.rejects(soon(step()), message);
            await soon(wasm[Symbol.asyncDispose]());
          }),
      );
    }
  }
});

Deno.test("closing while experts come rejects the step, soon", async () => {
  await withRandomFile(EXPERT_MODEL, async (file) => {
    for (let i = 0; i < 12; i++) {
      const { wasm, driver } = await streaming(
        file,
        comes(MOST, i % 4 === 0 ? "host" : "disk"),
        { threads: 1 + i % 3 },
      );
      await steps(driver, i, 2);
      const ids = Array.from({ length: 40 }, (_, k) => (k * k + i) % 61);
      // It may be through before.
      const ended = driver.step([{ seq: 1, from: 0, ids }])
        .then(() => {}, (error: Error) => error);
      if (i % 2 === 1) await new Promise((r) => setTimeout(r));
      await soon(wasm[Symbol.asyncDispose]());
      assert.match(`${(await ended) ?? "closed"}`, /closed/);
      await assert.rejects(wasm.run(), /the backend was closed/);
    }
  });
});

Deno.test("cacheWords() lays words out one behind another", () => {
  const { owners, queue, capacity, items, length } = cacheWords(12, 40, 9);
  assert.deepEqual([owners, queue], [8 + 24, 8 + 24 + 12]);
  assert.equal(capacity, 16);
  assert.deepEqual([items, length], [queue + 32, queue + 32 + 120]);
  const all = expertItems(EXPERT_MODEL.spec);
  assert.equal(all.length, ITEMS);
  assert.deepEqual([all[6]!.layer, all[6]!.expert], [2, 0]);
});
