import assert from "node:assert/strict";
import type { Plugin } from "./plugin.ts";
import type { GenRequest, StepPlan } from "./scheduler_types.ts";
import { dice } from "./testing/cache_driver.ts";
import { FAKE_VOCAB, fakeGenerate, fakeNext } from "./testing/fake_backend.ts";
import {
  indexPlugin,
  layoutPlugin,
  windowPlugin,
} from "./testing/fake_plan.ts";
import {
  type SchedulerDriver,
  schedulerDriver,
} from "./testing/scheduler_driver.ts";

function prompt(length: number): number[] {
  const roll = dice(length * 31);
  return Array.from({ length }, () => roll(FAKE_VOCAB));
}

function request(id: string, length: number, maxTokens: number): GenRequest {
  return { id, prompt: prompt(length), maxTokens };
}

function assertAlone(d: SchedulerDriver, all: readonly GenRequest[]): void {
  for (const { id, prompt, maxTokens } of all) {
    const wanted = fakeGenerate(d.plan, prompt, maxTokens);
    assert.deepEqual(d.finished.get(id)?.tokens, wanted, `"${id}"`);
  }
}

function assertEmpty(d: SchedulerDriver): void {
  assert.ok(d.scheduler.idle);
  d.cache.evictIdle();
  d.cache.check();
  assert.equal(d.backend.memory.stat().used, 0);
}

const KINDS: readonly (readonly Plugin[])[] = [
  [layoutPlugin(4)],
  [layoutPlugin(4), indexPlugin()],
  [layoutPlugin(4), windowPlugin(9, 2, (l) => l.layer === 0)],
];

Deno.test("Scheduler computes the prompt of a family once", async () => {
  for (const plugins of KINDS) {
    for (const length of [1, 2, 17, 40]) {
      const d = await schedulerDriver(plugins, { rows: 16 });
      const all = Array.from({ length: 5 }, (_, i) => ({
        ...request(`n${i}`, length, 6),
        ...(i > 0 ? { sharesWith: "n0" } : {}),
      }));
      for (const r of all) d.scheduler.add(r);
      d.drain();
      assertAlone(d, all);
      // The prompt but its last token once, then that and five more for each.
      assert.equal(d.scheduler.stat().rows, length - 1 + 5 * 6);
      assert.equal(d.scheduler.stat().recomputed, 0);
      const cached = all.map((r) => d.finished.get(r.id)!.cached);
      assert.deepEqual(cached, [0, ...Array(4).fill(length - 1)]);
      assert.equal(d.cache.stat().forks, length > 1 ? 4 : 0);
      assertEmpty(d);
    }
  }
});

Deno.test("Scheduler stores what a family shares once", async () => {
  const d = await schedulerDriver([layoutPlugin(4)], { rows: 64 });
  for (let i = 0; i < 4; i++) {
    d.scheduler.add({
      ...request(`n${i}`, 41, 3),
      ...(i > 0 ? { sharesWith: "n0" } : {}),
    });
  }
  d.step();
  d.step();
  const { blocks, references } = d.cache.stat();
  // Ten full blocks for all, and one for each to write to.
  assert.equal(blocks.open + blocks.sealed, 10 + 4);
  assert.equal(references, 4 * 11);
  d.drain();
  assertEmpty(d);
});

Deno.test("Scheduler lets a sibling that comes late begin where the prompt ends", async () => {
  const d = await schedulerDriver([layoutPlugin(4)], { rows: 16 });
  const a = request("a", 21, 12);
  const b = { ...request("b", 21, 5), sharesWith: "a" };
  d.scheduler.add(a);
  for (let i = 0; i < 6; i++) d.step();
  d.scheduler.add(b);
  d.drain();
  assertAlone(d, [a, b]);
  assert.equal(d.finished.get("b")!.cached, 20);
  assertEmpty(d);
});

Deno.test("Scheduler begins a sibling by itself where a window has let go of the prompt's end", async () => {
  const d = await schedulerDriver([layoutPlugin(2), windowPlugin(4)], {
    rows: 16,
  });
  const a = request("a", 21, 30);
  const b = { ...request("b", 21, 5), sharesWith: "a" };
  d.scheduler.add(a);
  for (let i = 0; i < 20; i++) d.step();
  d.scheduler.add(b);
  d.drain();
  assertAlone(d, [a, b]);
  assert.equal(d.finished.get("b")!.cached, 0);
  assertEmpty(d);
});

Deno.test("Scheduler lets a family go on when its first ends, aborted or done", async () => {
  for (const steps of [0, 1, 2, 5]) {
    const d = await schedulerDriver([layoutPlugin(4)], { rows: 8 });
    const all = ["a", "b", "c"].map((id) => ({
      ...request(id, 20, 6),
      ...(id === "a" ? {} : { sharesWith: "a" }),
    }));
    for (const r of all) d.scheduler.add(r);
    for (let i = 0; i < steps; i++) d.step();
    d.scheduler.abort("a");
    d.drain();
    assertAlone(d, all.slice(1));
    assertEmpty(d);
  }
});

Deno.test("Scheduler gives each of a family the rows of its prompt that it wants", async () => {
  const d = await schedulerDriver([layoutPlugin(4)], { rows: 8 });
  d.scheduler.add(request("a", 14, 3));
  d.scheduler.add({ ...request("b", 14, 3), sharesWith: "a", logits: "all" });
  d.scheduler.add({ ...request("c", 14, 3), sharesWith: "a", logits: 9 });
  d.drain();
  const from = (first: number) =>
    Array.from({ length: 16 - first }, (_, i) => first + i);
  assert.deepEqual(d.rows.get("a"), from(13));
  assert.deepEqual(d.rows.get("b"), from(0));
  assert.deepEqual(d.rows.get("c"), from(9));
  assertEmpty(d);
});

Deno.test("Scheduler refuses a sibling with another prompt or tenant, and leaves unknown ones alone", async () => {
  const d = await schedulerDriver([layoutPlugin(4)]);
  const a = request("a", 9, 3);
  d.scheduler.add(a);
  for (
    const other of [
      { prompt: prompt(8) },
      { prompt: [...a.prompt.slice(0, 8), 96] },
      { tenant: "x" },
    ]
  ) {
    assert.throws(
      () => d.scheduler.add({ ...a, id: "b", sharesWith: "a", ...other }),
      /"b": it shares with "a", which has another prompt, tenant or adapters/,
    );
  }
  const b = { ...a, id: "b", sharesWith: "nobody" };
  d.scheduler.add(b);
  d.drain();
  assertAlone(d, [a, b]);
});

/** Runs a step in which the requests of `rest` are held. */
function stepAndHold(d: SchedulerDriver, rest: readonly string[]): StepPlan {
  const plan = d.scheduler.step()!;
  d.run(plan);
  for (let i = 0; i < plan.count; i++) {
    if (!rest.includes(plan.entries[i]!.request.id)) continue;
    if (!plan.entries[i]!.samples) continue;
    plan.holds[i] = 1;
    plan.sampled[i] = -1;
  }
  d.keep(d.scheduler.done(plan));
  return plan;
}

Deno.test("Scheduler.resume() gives what rests its token, whichever it is", async () => {
  const d = await schedulerDriver([layoutPlugin(4)]);
  const a = request("a", 9, 4), b = request("b", 7, 6);
  d.scheduler.add(a);
  d.scheduler.add(b);
  stepAndHold(d, ["a"]);
  for (let i = 0; i < 3; i++) {
    const { count, entries } = stepAndHold(d, []);
    assert.deepEqual([count, entries[0]!.request.id], [1, "b"], "a rests");
  }
  d.scheduler.resume("a", 42);
  d.drain();
  assertAlone(d, [b]);
  const rest = fakeGenerate(d.plan, [...a.prompt, 42], 3);
  assert.deepEqual(d.finished.get("a")!.tokens, [42, ...rest]);
  assertEmpty(d);
});

Deno.test("Scheduler.resume() ends a request with its last token, or one that stops", async () => {
  const d = await schedulerDriver([layoutPlugin(4)]);
  d.scheduler.add(request("a", 9, 1));
  d.scheduler.add(request("b", 9, 5));
  stepAndHold(d, ["a", "b"]);
  d.scheduler.resume("a", 3);
  d.scheduler.resume("b", 4, true);
  d.keep(d.scheduler.ended());
  const ends = ["a", "b"].map((id) => d.finished.get(id)!);
  assert.deepEqual(ends.map((f) => [f.reason, f.tokens]), [
    ["length", [3]],
    ["stop", [4]],
  ]);
  assertEmpty(d);
});

Deno.test("Scheduler.fork() goes on from where another rests, with its blocks", async () => {
  const d = await schedulerDriver([layoutPlugin(4)]);
  const a = request("a", 18, 7);
  d.scheduler.add(a);
  d.step();
  stepAndHold(d, ["a"]);
  const before = d.cache.stat().blocks;
  for (const id of ["b", "c"]) d.scheduler.fork("a", { ...a, id });
  d.scheduler.fork("c", { ...a, id: "d" });
  assert.deepEqual(d.cache.stat().blocks, before, "nothing is copied yet");
  const first = fakeNext(d.plan, a.prompt);
  const tokens = { a: 1, b: 2, c: 3, d: 4 };
  for (const [id, token] of Object.entries(tokens)) {
    d.scheduler.resume(id, token);
  }
  d.drain();
  for (const [id, token] of Object.entries(tokens)) {
    const so = [first, token];
    const rest = fakeGenerate(d.plan, [...a.prompt, ...so], 5);
    assert.deepEqual(d.finished.get(id)!.tokens, [...so, ...rest], id);
  }
  // Nobody computed the prompt, or the first token, again.
  assert.equal(d.scheduler.stat().rows, 18 + 1 + 4 * 5);
  assertEmpty(d);
});

Deno.test("Scheduler.fork() and resume() refuse what does not rest", async () => {
  const d = await schedulerDriver([layoutPlugin(4)]);
  const a = request("a", 9, 5);
  d.scheduler.add(a);
  const b = { ...a, id: "b" };
  assert.throws(() => d.scheduler.fork("a", b), /"a": it is not held/);
  assert.throws(() => d.scheduler.fork("x", b), /"x": it is not there/);
  stepAndHold(d, ["a"]);
  assert.throws(() => d.scheduler.fork("a", a), /the id is in use/);
  const other = { ...b, prompt: [1] };
  assert.throws(() => d.scheduler.fork("a", other), /another prompt/);
  d.scheduler.fork("a", b);
  d.scheduler.resume("a", 1);
  assert.throws(() => d.scheduler.resume("a", 1), /"a": it is not held/);
  const plan = d.scheduler.step()!;
  assert.throws(() => d.scheduler.resume("b", 1), /a step is planned/);
  d.scheduler.cancel(plan);
  d.scheduler.resume("b", 2);
  d.drain();
  assertEmpty(d);
});

Deno.test("Scheduler.step() says that nothing can run while all rest", async () => {
  const d = await schedulerDriver([layoutPlugin(4)]);
  d.scheduler.add(request("a", 9, 5));
  stepAndHold(d, ["a"]);
  assert.equal(d.scheduler.step(), undefined);
  assert.ok(!d.scheduler.idle);
  assert.deepEqual(d.scheduler.stat().running, 1, "it keeps its memory");
  d.scheduler.abort("a");
  assert.equal(d.scheduler.ended()[0]!.reason, "aborted");
  assertEmpty(d);
});

Deno.test("Scheduler lets what rests give way to who waits, and computes it again", async () => {
  const d = await schedulerDriver([layoutPlugin(4)], { budgetBytes: 8 * 64 });
  const a = request("a", 17, 8), b = request("b", 19, 6);
  d.scheduler.add(a);
  d.scheduler.add(b);
  stepAndHold(d, ["a"]);
  assert.deepEqual(d.scheduler.stat().waiting, 1, "there is no room for b");
  d.scheduler.fork("a", { ...a, id: "c" });
  while (!d.finished.has("b")) assert.ok(d.step());
  assertAlone(d, [b]);
  assert.equal(d.scheduler.stat().preempted, 2, "a and its fork gave way");
  assert.equal(d.scheduler.step(), undefined);
  d.scheduler.resume("a", 5);
  d.scheduler.resume("c", 6);
  d.drain();
  for (const [id, token] of [["a", 5], ["c", 6]] as const) {
    const rest = fakeGenerate(d.plan, [...a.prompt, token], 7);
    assert.deepEqual(d.finished.get(id)!.tokens, [token, ...rest]);
  }
  assertEmpty(d);
});

Deno.test("Scheduler computes a prompt once more, not twice, for forks that gave way", async () => {
  const d = await schedulerDriver([layoutPlugin(4)]);
  const a = request("a", 17, 8);
  d.scheduler.add(a);
  stepAndHold(d, ["a"]);
  d.scheduler.fork("a", { ...a, id: "b" });
  for (const id of ["a", "b"]) d.scheduler.preempt(id, "drop");
  d.scheduler.resume("a", 5);
  d.scheduler.resume("b", 6);
  d.drain();
  for (const [id, token] of [["a", 5], ["b", 6]] as const) {
    const rest = fakeGenerate(d.plan, [...a.prompt, token], 7);
    assert.deepEqual(d.finished.get(id)!.tokens, [token, ...rest]);
  }
  // All of it for one, the prompt's last position for the other.
  assert.equal(d.scheduler.stat().recomputed, 17 + 1);
  assertEmpty(d);
});

Deno.test("Scheduler.fork() of what rests without memory takes none", async () => {
  const d = await schedulerDriver([layoutPlugin(4)]);
  const a = request("a", 17, 4);
  d.scheduler.add(a);
  stepAndHold(d, ["a"]);
  d.scheduler.preempt("a", "drop");
  d.scheduler.fork("a", { ...a, id: "b" });
  assert.equal(d.cache.stat().sequences, 0);
  d.scheduler.resume("b", 7);
  d.drain();
  const rest = fakeGenerate(d.plan, [...a.prompt, 7], 3);
  assert.deepEqual(d.finished.get("b")!.tokens, [7, ...rest]);
  d.scheduler.abort("a");
  assertEmpty(d);
});
