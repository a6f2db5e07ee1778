import assert from "node:assert/strict";
import { BlockPlaces } from "./block_places.ts";
import { FakeMemory } from "./testing/fake_memory.ts";
import { type CacheDriver, cacheDriver } from "./testing/cache_driver.ts";
import { codecPlugin, fakeCodec } from "./testing/fake_codec.ts";
import { fakePlan, indexPlugin, layoutPlugin } from "./testing/fake_plan.ts";
import type { SeqId } from "./types.ts";

function range(n: number, from = 0): number[] {
  return Array.from({ length: n }, (_, i) => from + i);
}

/** Blocks of 4 positions in 2 layers: 64 bytes open, 32 sealed. */
const PLUGINS = () => [
  layoutPlugin(4),
  indexPlugin(),
  codecPlugin(fakeCodec({ lossy: true })),
];

/** A device just as large as its budget. */
async function driver(budgetBytes: number): Promise<CacheDriver> {
  return await cacheDriver(PLUGINS(), {
    fused: ["fake"],
    bytes: budgetBytes + 16,
    budgetBytes,
    rows: 128,
  });
}

/** Sequences of one sealed block each, all the memory in turn. */
function fill(d: CacheDriver, count: number): SeqId[] {
  return Array.from({ length: count }, (_, i) => {
    const seq = d.open([], { reuse: false });
    assert.ok(d.append([{ seq, tokens: range(4, i) }]));
    return seq;
  });
}

Deno.test("KVCache moves blocks together where what is free lies in pieces", async () => {
  const d = await driver(12 * 32);
  // Ten sealed blocks; four of them go, none beside another, into no index.
  const all = fill(d, 10);
  for (const i of [1, 3, 5, 7]) d.close(all[i]!);
  d.cache.evictIdle();
  const { largestFree } = d.backend.memory.stat();
  assert.ok(largestFree < 2 * 64, `${largestFree} bytes in one run`);
  const seq = d.open([]);
  assert.ok(d.append([{ seq, tokens: range(6, 50) }]));
  d.check();
  assert.equal(d.cache.stat().evictions, 4);
  // What was moved is read like before.
  d.close(seq);
  for (const i of [0, 2, 4, 6, 8, 9]) {
    assert.ok(d.append([{ seq: all[i]!, tokens: [7] }]));
    assert.ok(d.trim(all[i]!, 4));
    d.check();
  }
  d.end();
});

Deno.test("KVCache moves nothing while a step knows where blocks are", async () => {
  const d = await driver(14 * 32);
  const all = fill(d, 10);
  for (const i of [1, 3, 5, 7]) d.close(all[i]!);
  d.cache.evictIdle();
  const seq = d.open([]), work = [{ seq: all[0]!, tokens: [50] }];
  const r = d.cache.reserve(work);
  assert.ok(r.ok);
  d.run(r, work);
  const more = [{ seq, tokens: range(5, 60) }];
  assert.equal(d.cache.reserve(more).ok, false, "a batch is out");
  d.cache.check();
  d.cache.commit(r);
  assert.ok(d.append(more), "it is over");
  d.check();
  d.end();
});

Deno.test("KVCache moves the blocks of steps that are not filled yet", async () => {
  const d = await driver(14 * 32);
  const all = fill(d, 10);
  for (const i of [1, 3, 5, 7]) d.close(all[i]!);
  d.cache.evictIdle();
  const work = [{ seq: all[9]!, tokens: range(2, 50) }];
  const r = d.cache.reserve(work);
  assert.ok(r.ok);
  const seq = d.open([]);
  const more = [{ seq, tokens: range(5, 60) }];
  const second = d.cache.reserve(more);
  assert.ok(second.ok);
  d.check();
  d.run(r, work);
  d.cache.commit(r);
  d.run(second, more);
  d.cache.commit(second);
  d.check();
  d.end();
});

Deno.test("BlockPlaces gives up where strangers lie in between, until more is free", async () => {
  const { plan: { groups } } = await fakePlan(PLUGINS(), { fused: ["fake"] });
  const memory = new FakeMemory(16 + 20 * 32);
  const places = new BlockPlaces(groups, memory, 20 * 32, [64]);
  places.grow(64);
  // Every other 32 bytes are a stranger's.
  const strangers = [];
  for (let id = 1; id <= 10; id++) {
    assert.ok(places.takeSealed(id, 0));
    strangers.push(memory.alloc(32)!);
  }
  for (let id = 1; id <= 10; id++) places.giveSealed(id, 0);
  let slides = 0;
  const slide = memory.slide.bind(memory);
  memory.slide = (span) => {
    slides++;
    return slide(span);
  };
  for (let id = 1; id <= 4; id++) assert.ok(places.takeSealed(id, 0));
  assert.equal(places.takeOpen(20, 0), false);
  const tried = slides;
  assert.ok(tried > 0);
  assert.equal(places.takeOpen(20, 0), false);
  assert.equal(slides, tried, "nothing was given back since");
  memory.free(strangers[0]!);
  memory.free(strangers[1]!);
  places.giveSealed(3, 0);
  places.giveSealed(4, 0);
  assert.ok(places.takeOpen(20, 0));
});

Deno.test("KVCache.commit() leaves no slab nearly empty where others have room", async () => {
  // Slabs of 16 blocks. What is moved has to be read again.
  const d = await cacheDriver([layoutPlugin(4)], { bytes: 1 << 16 });
  const all = Array.from({ length: 100 }, (_, i) => {
    const seq = d.open([]);
    assert.ok(d.append([{ seq, tokens: range(3, i % 50) }]));
    return seq;
  });
  const slots = 16;
  const most = d.cache.stat().tiers[0]!.used;
  assert.ok(most >= 100 * 64 && most % (slots * 64) === 0, `${most}`);
  for (const [i, seq] of all.entries()) if (i % 4 > 0) d.close(seq);
  assert.ok(d.cache.stat().unused > most / 2);
  for (let round = 0; round < 20; round++) {
    assert.ok(d.append([{ seq: all[4]!, tokens: [round] }]));
    d.check();
  }
  // 24 sequences of one block and one of six.
  assert.equal(d.cache.stat().tiers[0]!.used, 2 * slots * 64);
  const work = all.filter((_, i) => i % 8 === 0)
    .map((seq) => ({ seq, tokens: [7] }));
  assert.ok(d.append(work));
  d.check();
  d.end();
});

Deno.test("BlockPlaces.drain() moves all parts of a block, and nothing while a step knows it", async () => {
  const { plan } = await fakePlan([layoutPlugin(4)]);
  const groups = [{ ...plan.groups[0]!, slab: { blocks: 4, parts: 2 } }];
  const memory = new FakeMemory(16 + 2 * 256);
  const places = new BlockPlaces(groups, memory, 512, [64]);
  const bytes = (id: number): number[] =>
    [...places.openSpans(id, 0)].flatMap((s) => [
      ...memory.bytes.subarray(s.offset, s.offset + s.bytes),
    ]);
  for (let id = 1; id <= 8; id++) {
    assert.ok(places.takeOpen(id, 0));
    for (
      const [part, { offset, bytes }] of [...places.openSpans(id, 0)].entries()
    ) {
      memory.bytes.fill(id * 10 + part, offset, offset + bytes);
    }
  }
  const wanted = [2, 5, 7, 8].map(bytes);
  for (const id of [1, 3, 4, 6]) places.giveOpen(id, 0);
  places.pins++;
  places.drain();
  assert.equal(places.quota.held, 512);
  places.pins--;
  places.drain();
  assert.equal(places.quota.held, 256);
  assert.deepEqual([2, 5, 7, 8].map(bytes), wanted);
  places.open[0]!.check();
});

Deno.test("BlockPlaces finds room for one group in what another has left in many slabs", async () => {
  const { plan } = await fakePlan([layoutPlugin(4)]);
  const group = { ...plan.groups[0]!, slab: { blocks: 4, parts: 1 } };
  const memory = new FakeMemory(16 + 2 * 256);
  const places = new BlockPlaces([group, group], memory, 512, [64, 64]);
  for (let id = 1; id <= 8; id++) assert.ok(places.takeOpen(id, 0));
  for (const id of [1, 2, 5, 6]) places.giveOpen(id, 0);
  places.pins++;
  assert.equal(places.takeOpen(9, 1), false, "a step knows where blocks are");
  places.pins--;
  assert.ok(places.takeOpen(9, 1));
  for (const id of [3, 4, 7, 8]) places.giveOpen(id, 0);
  places.giveOpen(9, 1);
  assert.equal(places.quota.held, 0);
});
