import assert from "node:assert/strict";
import type { Plugin } from "./plugin.ts";
import type { GenRequest, StepPlan } from "./scheduler_types.ts";
import { dice } from "./testing/cache_driver.ts";
import { FAKE_VOCAB, fakeGenerate } from "./testing/fake_backend.ts";
import {
  indexPlugin,
  layoutPlugin,
  windowPlugin,
} from "./testing/fake_plan.ts";
import {
  type SchedulerDriver,
  schedulerDriver,
} from "./testing/scheduler_driver.ts";

function request(id: string, length: number, maxTokens: number): GenRequest {
  const roll = dice(length * 7919 + id.length);
  const prompt = Array.from({ length }, () => roll(FAKE_VOCAB));
  return { id, prompt, maxTokens };
}

/** Every request ended with the tokens it has alone. */
function assertAlone(
  d: SchedulerDriver,
  requests: readonly GenRequest[],
): void {
  for (const r of requests) {
    const f = d.finished.get(r.id);
    assert.ok(f, `"${r.id}" did not finish`);
    assert.equal(f.reason, "length", `"${r.id}": ${f.error?.message}`);
    const wanted = fakeGenerate(d.plan, r.prompt, r.maxTokens);
    assert.deepEqual(f.tokens, wanted, `"${r.id}"`);
  }
}

function assertEmpty(d: SchedulerDriver): void {
  assert.ok(d.scheduler.idle);
  d.cache.evictIdle();
  d.cache.check();
  assert.equal(d.backend.memory.stat().used, 0);
}

Deno.test("Scheduler.step() puts decodes before prompts, in chunks, within maxRows", async () => {
  const d = await schedulerDriver([layoutPlugin(4)], { rows: 8 });
  d.scheduler.add(request("a", 3, 9));
  assert.ok(d.step());
  d.scheduler.add(request("b", 20, 2));
  const shapes: string[] = [];
  for (let i = 0; i < 4; i++) {
    const plan = d.scheduler.step()!;
    shapes.push(
      Array.from({ length: plan.count }, (_, k) => {
        const e = plan.entries[k]!;
        return `${e.request.id}:${e.kind}@${e.start}+${e.rows}w${e.wanted}`;
      }).join(" "),
    );
    d.run(plan);
    d.keep(d.scheduler.done(plan));
  }
  assert.deepEqual(shapes, [
    "a:decode@3+1w1 b:prefill@0+7w0",
    "a:decode@4+1w1 b:prefill@7+7w0",
    "a:decode@5+1w1 b:prefill@14+6w1",
    "a:decode@6+1w1 b:decode@20+1w1",
  ]);
  d.drain();
  assertAlone(d, [request("a", 3, 9), request("b", 20, 2)]);
  assertEmpty(d);
});

Deno.test("Scheduler gives each request the tokens it has alone, whatever runs beside it", async () => {
  const lists: (readonly Plugin[])[] = [
    [layoutPlugin(4)],
    [layoutPlugin(4), indexPlugin()],
    [layoutPlugin(2), windowPlugin(9, 3), indexPlugin()],
    [layoutPlugin(4), windowPlugin(5, 0, (l) => l.layer === 0), indexPlugin()],
  ];
  for (const plugins of lists) {
    for (const rows of [1, 3, 64]) {
      const d = await schedulerDriver(plugins, { rows, seqs: 5 });
      const all = [1, 2, 5, 13, 30, 30, 41, 8].map((n, i) =>
        request(`r${i}`, n, 1 + (n * 3) % 17)
      );
      for (const r of all) assert.equal(d.scheduler.add(r), undefined);
      d.drain();
      assertAlone(d, all);
      assertEmpty(d);
    }
  }
});

Deno.test("Scheduler finishes 64 requests in memory for a few, alike", async () => {
  for (const plugins of [[], [indexPlugin()], [windowPlugin(11, 2)]]) {
    // The largest takes 60 positions: 15 blocks of 64 bytes of 24.
    const d = await schedulerDriver([layoutPlugin(4), ...plugins], {
      budgetBytes: 24 * 64,
      rows: 32,
      seqs: 16,
    });
    const roll = dice(11);
    const all = Array.from(
      { length: 64 },
      (_, i) => request(`r${i}`, 1 + roll(40), 1 + roll(20)),
    );
    for (const r of all) assert.equal(d.scheduler.add(r), undefined);
    d.drain();
    assertAlone(d, all);
    if (plugins.length === 0) assert.ok(d.scheduler.stat().preempted > 0);
    assertEmpty(d);
  }
});

Deno.test("Scheduler finishes a request that fits just so, and refuses the next larger", async () => {
  for (
    const plugins of [[layoutPlugin(4)], [layoutPlugin(4), windowPlugin(9, 2)]]
  ) {
    const probe = await schedulerDriver(plugins, { budgetBytes: 4096 });
    const budgetBytes = probe.cache.peakBytes(40, 1);
    const d = await schedulerDriver(plugins, { budgetBytes, rows: 32 });
    // 40 positions are computed; the last sampled token is not.
    const fits = request("fits", 30, 11);
    assert.equal(d.scheduler.add(fits), undefined);
    if (plugins.length === 1) {
      const short = d.scheduler.add(request("large", 30, 12));
      assert.deepEqual(short, { ok: false, blocks: 1, bytes: 64 });
    }
    const small = request("small", 9, 9);
    d.scheduler.add(small);
    d.drain();
    assertAlone(d, [fits, small]);
    assertEmpty(d);
  }
});

Deno.test("Scheduler ends a request with an error where others hold the memory", async () => {
  const d = await schedulerDriver([layoutPlugin(4)], { budgetBytes: 10 * 64 });
  const held = d.cache.open([]).seq;
  const r = d.cache.reserve([{ seq: held, tokens: new Uint8Array(32) }]);
  assert.ok(r.ok);
  d.cache.commit(r);
  d.scheduler.add(request("a", 20, 5));
  d.scheduler.add(request("b", 4, 5));
  d.drain();
  const a = d.finished.get("a")!;
  assert.equal(a.reason, "error");
  assert.match(a.error!.message, /"a".*bytes of KV memory are missing of 640/);
  assertAlone(d, [request("b", 4, 5)]);
});

Deno.test("Scheduler.done() ends requests on a stop token and on length", async () => {
  const long = request("long", 5, 60);
  const probe = await schedulerDriver([layoutPlugin(4)]);
  const tokens = fakeGenerate(probe.plan, long.prompt, 60);
  const stop = tokens[7]!;
  const d = await schedulerDriver([layoutPlugin(4)], { stop });
  d.scheduler.add(long);
  d.drain();
  assert.deepEqual(d.finished.get("long"), {
    id: "long",
    tokens: tokens.slice(0, tokens.indexOf(stop) + 1),
    reason: "stop",
    cached: 0,
    miss: { reason: "off", position: 0, block: 0, group: 0 },
  });
});

Deno.test("Scheduler wants the logits asked for: every row, the last, or no sampling", async () => {
  const d = await schedulerDriver([layoutPlugin(4), indexPlugin()], {
    rows: 7,
    wanted: 5,
  });
  d.scheduler.add({ ...request("warm", 23, 1) });
  d.drain();
  d.scheduler.add({ ...request("all", 23, 0), logits: "all" });
  d.scheduler.add({ ...request("more", 9, 3), logits: "all" });
  d.scheduler.add(request("tiny", 2, 0));
  d.scheduler.add(request("last", 12, 0));
  d.drain();
  assert.deepEqual(d.rows.get("tiny"), [1]);
  assert.deepEqual(d.rows.get("all"), Array.from({ length: 23 }, (_, i) => i));
  assert.deepEqual(d.rows.get("more"), Array.from({ length: 11 }, (_, i) => i));
  assert.deepEqual(d.rows.get("last"), [11]);
  assert.deepEqual(d.finished.get("all"), {
    id: "all",
    tokens: [],
    reason: "length",
    cached: 0,
    miss: { reason: "unwanted", position: 0, block: 0, group: 0 },
  });
  assertAlone(d, [request("more", 9, 3)]);
});

Deno.test("Scheduler keeps to maxWanted where one request takes all of them", async () => {
  const d = await schedulerDriver([layoutPlugin(4)], { rows: 7, wanted: 5 });
  d.scheduler.add({ ...request("all", 5, 0), logits: "all" });
  d.scheduler.add(request("tiny", 2, 0));
  const plan = d.scheduler.step()!;
  assert.deepEqual([plan.rows, plan.wanted, plan.count], [6, 5, 2]);
  d.run(plan);
  d.keep(d.scheduler.done(plan));
  d.drain();
  assert.deepEqual(d.rows.get("tiny"), [1]);
});

Deno.test("Scheduler wants the rows from a position on, in steps as full as they can be", async () => {
  for (const [wanted, chunks] of [[5, [7, 6, 5, 5]], [64, [7, 7, 7, 2]]]) {
    for (const from of [0, 1, 8, 22]) {
      const d = await schedulerDriver([layoutPlugin(4), indexPlugin()], {
        rows: 7,
        wanted: wanted as number,
      });
      d.scheduler.add(request("warm", 23, 1));
      d.drain();
      d.scheduler.add({ ...request("some", 23, 2), logits: from });
      const steps: number[] = [];
      for (;;) {
        const plan = d.scheduler.step();
        if (plan === undefined) break;
        steps.push(plan.rows);
        d.run(plan);
        d.keep(d.scheduler.done(plan));
      }
      const rows = Array.from({ length: 24 - from }, (_, i) => from + i);
      assert.deepEqual(d.rows.get("some"), rows);
      if (from === 8) assert.deepEqual(steps, [...chunks as number[], 1]);
      assertAlone(d, [request("some", 23, 2)]);
    }
  }
  const d = await schedulerDriver([layoutPlugin(4)]);
  for (const logits of [-1, 23, 0.5, NaN]) {
    assert.throws(
      () => d.scheduler.add({ ...request("bad", 23, 1), logits }),
      /its prompt has 0 to 22/,
    );
  }
});

/** A lone request whose blocks lie badly when it has to go on. */
async function liesBadly(moves: boolean): Promise<SchedulerDriver> {
  // Blocks of 16 (two in a slab) and of 512 bytes: 130 positions are 65 and 3.
  const budgetBytes = 66 * 16 + 3 * 512;
  const d = await schedulerDriver([
    layoutPlugin(2, (l) => l.layer === 0),
    layoutPlugin(64, (l) => l.layer === 1),
  ], { budgetBytes, bytes: budgetBytes + 16 });
  if (!moves) d.backend.memory.slide = (span) => span;
  const r = request("a", 1, 130);
  assert.equal(d.scheduler.add(r), undefined);
  const strangers = [];
  for (let i = 0; i < 24; i++) {
    d.step();
    if (i % 4 === 0) strangers.push(d.backend.memory.alloc(304)!);
  }
  // Holes of 304 bytes are left, and no place for 512.
  for (const span of strangers) d.backend.memory.free(span);
  d.drain();
  assertAlone(d, [r]);
  assertEmpty(d);
  return d;
}

Deno.test("Scheduler moves the blocks of a lone request together where they lie badly", async () => {
  const d = await liesBadly(true);
  assert.equal(d.scheduler.stat().preempted, 0);
});

Deno.test("Scheduler begins a lone request anew where its blocks lie badly and cannot be moved", async () => {
  const d = await liesBadly(false);
  assert.equal(d.scheduler.stat().preempted, 1);
});

Deno.test("Scheduler wants prompt rows again, and no others, after a preemption", async () => {
  const d = await schedulerDriver([layoutPlugin(4)], { rows: 64 });
  const all: GenRequest = { ...request("all", 6, 5), logits: "all" };
  d.scheduler.add(all);
  for (let i = 0; i < 3; i++) d.step();
  d.scheduler.preempt("all", "drop");
  assert.deepEqual(d.scheduler.stat().waiting, 1);
  d.drain();
  const once = [0, 1, 2, 3, 4, 5];
  assert.deepEqual(d.rows.get("all"), [...once, 6, 7, ...once, 8, 9]);
  assertAlone(d, [all]);
});

Deno.test("Scheduler never lets the oldest running request give way", async () => {
  const arrivals: string[] = [];
  let asked = 0;
  const d = await schedulerDriver([layoutPlugin(4), {
    name: "hostile",
    setup: (host) =>
      host.provide("admission", {
        order: (waiting) => [...waiting].reverse(),
        victim(running) {
          asked++;
          const order = running.map((r) => arrivals.indexOf(r.id));
          assert.ok(!order.includes(oldest()), "the oldest is offered");
          return running[0]!;
        },
      }),
  }], { budgetBytes: 14 * 64, rows: 16, seqs: 8 });
  let entries: string[] = [];
  const oldest = () => Math.min(...entries.map((id) => arrivals.indexOf(id)));
  const all = Array.from({ length: 12 }, (_, i) => request(`r${i}`, 9, 25));
  for (const r of all) {
    arrivals.push(r.id);
    d.scheduler.add(r);
  }
  for (;;) {
    const plan = d.scheduler.step();
    if (plan === undefined) break;
    entries = plan.entries.slice(0, plan.count).map((e) => e.request.id);
    d.run(plan);
    const ended = d.scheduler.done(plan);
    d.keep(ended);
    entries = entries.filter((id) => !d.finished.has(id));
  }
  assert.ok(asked > 5, "memory was never short");
  assertAlone(d, all);
});

Deno.test("Scheduler finishes everything in a device without room to spare", async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const roll = dice(seed);
    const budgetBytes = 16 * 96;
    const d = await schedulerDriver([
      layoutPlugin(2, (l) => l.layer === 0),
      layoutPlugin(5, (l) => l.layer > 0),
      windowPlugin(6, 1, (l) => l.layer === 0),
      indexPlugin(),
    ], { budgetBytes, bytes: budgetBytes + 16, rows: 12, seqs: 6, layers: 3 });
    const all: GenRequest[] = [];
    for (let i = 0; i < 25; i++) {
      const r = request(`r${i}`, 1 + roll(45), 1 + roll(30));
      if (d.scheduler.add(r) === undefined) all.push(r);
    }
    assert.ok(all.length > 10);
    d.drain();
    assertAlone(d, all);
    assertEmpty(d);
  }
});

Deno.test("Scheduler.abort() ends a request at any moment and leaks nothing", async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const roll = dice(seed);
    const d = await schedulerDriver([layoutPlugin(2), indexPlugin()], {
      budgetBytes: 40 * 32,
      rows: 9,
      seqs: 6,
    });
    const alive: GenRequest[] = [];
    for (let i = 0; i < 60; i++) {
      if (roll(3) === 0) {
        const r = request(`r${i}`, 1 + roll(20), 1 + roll(9));
        d.scheduler.add(r);
        alive.push(r);
      }
      const plan = d.scheduler.step();
      const some = () => alive[roll(alive.length)]?.id ?? "nobody";
      if (roll(4) === 0) d.scheduler.abort(some());
      if (roll(4) === 0) d.scheduler.preempt(some(), "drop");
      if (plan !== undefined) {
        if (roll(5) === 0) d.keep(d.scheduler.cancel(plan));
        else {
          d.run(plan);
          d.keep(d.scheduler.done(plan));
        }
      }
      d.keep(d.scheduler.ended());
      d.cache.check();
    }
    d.drain();
    assert.equal(d.finished.size, alive.length);
    assertAlone(
      d,
      alive.filter((r) => d.finished.get(r.id)!.reason === "length"),
    );
    for (const r of alive) {
      const { reason, tokens } = d.finished.get(r.id)!;
      if (reason === "length") continue;
      assert.equal(reason, "aborted");
      const wanted = fakeGenerate(d.plan, r.prompt, tokens.length);
      assert.deepEqual(tokens, wanted);
    }
    assertEmpty(d);
  }
});

Deno.test("Scheduler lets the admission slot choose who runs and who gives way", async () => {
  const admission: Plugin = {
    name: "priority",
    setup: (host) =>
      host.provide("admission", {
        order: (waiting) =>
          [...waiting].sort((a, b) => (b.priority ?? 0) - (a.priority ?? 0)),
        victim: (running) =>
          [...running].sort((a, b) =>
            (a.priority ?? 0) - (b.priority ?? 0)
          )[0]!,
      }),
  };
  const d = await schedulerDriver([layoutPlugin(4), admission], {
    budgetBytes: 12 * 64,
    rows: 16,
    seqs: 1,
  });
  const all = [0, 5, 1, 9].map((priority, i) => ({
    ...request(`p${priority}`, 5 + i, 9),
    priority,
  }));
  for (const r of all) d.scheduler.add(r);
  d.drain();
  assertAlone(d, all);
  assert.deepEqual([...d.finished.keys()], ["p9", "p5", "p1", "p0"]);
});

Deno.test("Scheduler.add() refuses what makes no sense", async () => {
  const d = await schedulerDriver([]);
  d.scheduler.add(request("a", 3, 3));
  assert.throws(() => d.scheduler.add(request("a", 3, 3)), /id is in use/);
  assert.throws(() => d.scheduler.add(request("b", 0, 3)), /prompt is empty/);
  for (const maxTokens of [-1, 1.5, NaN, Infinity]) {
    assert.throws(
      () => d.scheduler.add(request("b", 1, maxTokens)),
      RangeError,
    );
  }
});

Deno.test("Scheduler plans one step at a time and wants every token", async () => {
  const d = await schedulerDriver([]);
  assert.equal(d.scheduler.step(), undefined);
  d.scheduler.add(request("a", 3, 3));
  const plan = d.scheduler.step()!;
  assert.throws(() => d.scheduler.step(), /done\(\) or cancel\(\)/);
  assert.throws(() => d.scheduler.done(plan), /entry 0 of request "a"/);
  assert.throws(() => d.scheduler.done({ ...plan } as StepPlan), TypeError);
  d.scheduler.cancel(plan);
  assert.throws(() => d.scheduler.cancel(plan), TypeError);
  d.drain();
  assertAlone(d, [request("a", 3, 3)]);
});

Deno.test("Scheduler reuses one plan, and decoding keeps the heap as it is", async () => {
  const d = await schedulerDriver([layoutPlugin(32)], { tableStride: 2048 });
  d.scheduler.add(request("a", 3, 50_000));
  const one = d.scheduler.step()!;
  d.run(one);
  d.scheduler.done(one);
  // The step without the fake backend's own work, which is slow and allocates.
  const step = () => {
    const plan = d.scheduler.step()!;
    assert.equal(plan, one);
    d.cache.fill(plan.reservation, d.backend.batch);
    plan.sampled[0] = 1;
    d.scheduler.done(plan);
  };
  for (let i = 0; i < 20_000; i++) step();
  const before = Deno.memoryUsage().heapUsed;
  for (let i = 0; i < 10_000; i++) step();
  const grown = Deno.memoryUsage().heapUsed - before;
  assert.ok(grown < 4 << 20, `${grown} bytes in 10,000 steps`);
});

Deno.test("Scheduler admits by what is missing: blocks that others use are there", async () => {
  // Room for 13 blocks; every prompt has 7, of which 6 are the same.
  const prompt = Array.from({ length: 25 }, (_, i) => i);
  for (const [plugins, together] of [[[indexPlugin()], 3], [[], 1]] as const) {
    const d = await schedulerDriver([layoutPlugin(4), ...plugins], {
      budgetBytes: 13 * 64,
    });
    d.scheduler.add({ id: "a", prompt, maxTokens: 3 });
    d.step();
    for (const id of ["b", "c"]) {
      d.scheduler.add({
        id,
        prompt: [...prompt.slice(0, 24), 60],
        maxTokens: 3,
      });
    }
    d.step();
    assert.equal(d.scheduler.stat().running, together);
    d.drain();
    assert.equal(d.scheduler.stat().preempted, 0);
  }
});
