import assert from "node:assert/strict";
import { LostBlocks } from "./swap.ts";
import { compilePlan } from "./plan.ts";
import { PlanError, type Plugin } from "./plugin.ts";
import { type CacheDriver, cacheDriver, dice } from "./testing/cache_driver.ts";
import { FakeBackend } from "./testing/fake_backend.ts";
import { fakeModel, layoutPlugin, windowPlugin } from "./testing/fake_plan.ts";
import { restorerPlugin, toyRestorer } from "./testing/toys.ts";
import type { Restorer } from "./slots.ts";
import type { SeqId } from "./types.ts";

function range(n: number, from = 0): number[] {
  return Array.from({ length: n }, (_, i) => from + i);
}

/** Blocks of 2 and 3: checkpoints are of 6. */
const TWO = [
  layoutPlugin(2, (l) => l.layer === 0),
  layoutPlugin(3, (l) => l.layer > 0),
];

/** Bytes of a block at two boundaries. */
const BLOCK = 2 * 6 * 3 * 4;

function driver(
  restorer = toyRestorer([1, 2]),
  plugins: readonly Plugin[] = TWO,
): Promise<CacheDriver> {
  return cacheDriver([...plugins, restorerPlugin(restorer)], { layers: 3 });
}

/** Changes the i-th block that a restorer keeps by a bit, and has it noticed. */
function spoiler(r: Restorer) {
  const keys: string[] = [], keep = r.keep;
  r.keep = (key, rows) => {
    keys.push(key);
    keep(key, rows);
  };
  const spoil = (i: number, noticed = true): void => {
    new Int32Array(r.get(keys[i]!)!.buffer)[9]! ^= 4;
    if (noticed) r.get(keys[i]!);
  };
  return { spoil };
}

/** Restores positions of a text that a sequence is to have next. */
function restore(
  d: CacheDriver,
  seq: SeqId,
  tokens: readonly number[],
  rows: number,
): void {
  const from = d.cache.length(seq);
  const work = [{ seq, tokens, from, to: from + rows }];
  const r = d.cache.reserve(work, 1, true);
  assert.ok(r.ok);
  try {
    d.run(r, work);
  } catch (e) {
    d.cache.cancel(r);
    throw e;
  }
  d.cache.commit(r);
}

Deno.test("KVCache restores a text from hidden states, in steps of any size", async () => {
  const d = await driver();
  const text = range(40), first = d.open([]);
  for (let at = 0, n = 1; at < 40; at += n++) {
    d.append([{
      seq: first,
      tokens: text,
      from: at,
      to: Math.min(40, at + n),
    }]);
  }
  d.close(first);
  for (const rows of [1, 4, 5, 6, 17, 36]) {
    const seq = d.open([]);
    for (let at = 0; at < 36; at += rows) {
      const { start, end } = d.cache.restorable(seq, text, 39)!;
      assert.deepEqual([start, end], [at, 36]);
      restore(d, seq, text, Math.min(rows, end - at));
    }
    assert.equal(d.cache.restorable(seq, text, 39)!.start, Infinity);
    d.append([{ seq, tokens: text, from: 36 }]);
    d.close(seq);
    d.check();
  }
  assert.equal(d.cache.stat().restores, 36);
  d.end();
});

Deno.test("KVCache.restorable() stops at what is not there, and finds what comes behind", async () => {
  const r = toyRestorer([1, 2]);
  const { spoil } = spoiler(r);
  const d = await driver(r), text = range(40);
  const a = d.open([]);
  d.append([{ seq: a, tokens: text }]);
  d.close(a);
  for (const block of [0, 1, 2]) spoil(block);
  assert.equal(r.used, 3 * BLOCK);
  const b = d.open([]);
  assert.deepEqual(d.cache.restorable(b, text, 40), { start: 18, end: 36 });
  // Whole blocks before the end only.
  assert.deepEqual(d.cache.restorable(b, text, 35), { start: 18, end: 30 });
  assert.equal(d.cache.restorable(b, text, 23)!.start, Infinity);
  d.append([{ seq: b, tokens: text, to: 20 }]);
  assert.deepEqual(d.cache.restorable(b, text, 40), { start: 20, end: 36 });
  restore(d, b, text, 7);
  assert.deepEqual(d.cache.restorable(b, text, 40), { start: 27, end: 36 });
  d.end();
});

Deno.test("Checkpoints are of what was kept of a step, and of no other text or salt", async () => {
  const r = toyRestorer([1, 2]);
  const d = await driver(r), text = range(24);
  const a = d.open([], { salt: "a" });
  // Guesses from position 8 on are wrong.
  const wrong = [...range(8), ...range(16, 60)];
  assert.ok(d.append([{ seq: a, tokens: wrong }], [8]));
  assert.equal(r.used, BLOCK);
  d.append([{ seq: a, tokens: text, from: 8 }]);
  assert.equal(r.used, 4 * BLOCK);
  const b = d.open([], { salt: "a" }), c = d.open([], { salt: "c" });
  assert.equal(d.cache.restorable(b, wrong, 24)!.end, 6);
  assert.equal(d.cache.restorable(b, text, 24)!.end, 24);
  assert.equal(d.cache.restorable(c, text, 24)!.start, Infinity);
  // Taken back within a block: rows of it are not those of the text that follows.
  d.trim(a, 10);
  d.append([{ seq: a, tokens: range(20, 70) }]);
  assert.equal(r.used, 7 * BLOCK);
  d.end();
});

Deno.test("KVCache.fill() says where what was to be restored is lost, and nothing has changed", async () => {
  const r = toyRestorer([1, 2]);
  const { spoil } = spoiler(r);
  const d = await driver(r), text = range(30);
  const a = d.open([]);
  d.append([{ seq: a, tokens: text }]);
  d.close(a);
  const b = d.open([]);
  assert.deepEqual(d.cache.restorable(b, text, 30), { start: 0, end: 30 });
  spoil(1, false);
  restore(d, b, text, 6);
  const work = [{ seq: b, tokens: text, from: 6, to: 20 }];
  const step = d.cache.reserve(work, 1, true);
  assert.ok(step.ok);
  assert.throws(
    () => d.cache.fill(step, d.backend.batch),
    (e) => e instanceof LostBlocks && e.lost.size === 1 && e.lost.get(b) === 6,
  );
  d.cache.cancel(step);
  d.check();
  assert.deepEqual(d.cache.restorable(b, text, 30), { start: 12, end: 30 });
  d.append([{ seq: b, tokens: text, from: 6, to: 12 }]);
  restore(d, b, text, 18);
  d.end();
});

Deno.test("KVCache.againSeconds() counts what hidden states save, as steps were timed", async () => {
  const d = await driver(), text = range(40);
  const plain = await cacheDriver(TWO, { layers: 3 });
  const a = d.open([]), b = plain.open([]);
  d.append([{ seq: a, tokens: text }]);
  plain.append([{ seq: b, tokens: text }]);
  const all = plain.cache.againSeconds(b);
  assert.equal(all, 40 * plain.cache.rowSeconds);
  assert.ok(d.cache.againSeconds(a) < all / 2);
  d.cache.timedRestore(10, 10);
  assert.equal(
    d.cache.againSeconds(a).toFixed(6),
    (36 + 4 * d.cache.rowSeconds).toFixed(6),
  );
  assert.equal(plain.cache.restorable(b, text, 40), undefined);
});

Deno.test("KVCache.lines() has what a restorer holds and what is gathered", async () => {
  const d = await driver(), a = d.open([]);
  const bytes = (): number =>
    d.cache.lines().find((l) => l.component === "toy")!.bytes;
  assert.equal(bytes(), 0);
  d.append([{ seq: a, tokens: range(5) }]);
  assert.equal(bytes(), BLOCK);
  d.append([{ seq: a, tokens: [1] }]);
  assert.equal(bytes(), BLOCK);
  d.append([{ seq: a, tokens: [1] }]);
  assert.equal(bytes(), 2 * BLOCK);
  d.close(a);
  assert.equal(bytes(), BLOCK);
  const [line] = d.cache.lines().filter((l) => l.component === "toy");
  assert.deepEqual([line!.tier, line!.peak], ["host", 2 * BLOCK]);
});

Deno.test("Random sequences restored, trimmed, forked and closed hold what they should", async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const roll = dice(seed);
    const d = await driver(toyRestorer([2], (1 + roll(30)) * BLOCK), [
      ...TWO,
      windowPlugin(7, 2, (l) => l.layer === 1),
    ]);
    const texts = [0, 1, 2].map((t) =>
      Array.from({ length: 60 }, (_, i) => i < 20 ? i : (i * t) % 50)
    );
    const open = new Map<SeqId, number[]>();
    let restored = 0;
    for (let i = 0; i < 200; i++) {
      const [seq, text] = [...open][roll(Math.max(1, open.size))] ?? [];
      if (seq === undefined || (open.size < 5 && roll(8) === 0)) {
        open.set(d.open([]), texts[roll(3)]!);
        continue;
      }
      const at = d.cache.length(seq), left = 60 - at;
      const what = roll(10);
      if (what === 0 || left === 0) {
        d.close(seq);
        open.delete(seq);
      } else if (what === 1) d.trim(seq, roll(at + 1));
      else if (what === 2 && open.size < 5) {
        open.set(d.fork(seq), texts[roll(3)]!);
      } else {
        const ahead = d.cache.restorable(seq, text!, 60)!;
        const rows = 1 + roll(Math.min(left, 20));
        if (ahead.start === at && what > 4) {
          restore(d, seq, text!, Math.min(rows, ahead.end - at));
          restored++;
        } else {
          const work = { seq, tokens: text!, from: at, to: at + rows };
          d.append([work], [1 + roll(rows)]);
        }
      }
      d.check();
    }
    assert.ok(restored > 0, `seed ${seed}`);
    d.end();
  }
});

Deno.test("A plan refuses a restorer whose layers are not there, and a backend that has nothing for it", async () => {
  const conflicts = async (boundaries: number[], hidden = true) => {
    const backend = Object.assign(new FakeBackend(), { hidden });
    const plugins = [restorerPlugin(toyRestorer(boundaries)), layoutPlugin(4)];
    try {
      await compilePlan({ model: fakeModel(3), backend, plugins });
      return [];
    } catch (e) {
      assert.ok(e instanceof PlanError);
      return e.conflicts.map((c) => `${c.code}: ${c.message}`);
    }
  };
  assert.deepEqual(await conflicts([1, 2]), []);
  assert.deepEqual(await conflicts([], false), []);
  for (const wrong of [[0], [3], [2, 1], [1, 1], [0.5]]) {
    const [conflict] = await conflicts(wrong);
    assert.match(conflict!, /^value: restorer "toy".*layers from 1 to 2/);
  }
  const [conflict] = await conflicts([1], false);
  assert.match(conflict!, /^input: restorer "toy".*"reference" does not give/);
});
