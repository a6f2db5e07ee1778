import assert from "node:assert/strict";
import { block } from "../../core/testing/suites/index_suite.ts";
import { Asker } from "./asker.ts";
import { Refused } from "./link.ts";
import { PAGE } from "./pages.ts";
import { Outbox } from "./store.ts";
import { RedisSwap } from "./swap.ts";
import { FakeServer } from "./testing/fake_link.ts";
import { blockOf } from "./testing/open_tier.ts";

function make(pendingBytes = 1000) {
  const server = new FakeServer();
  const asker = new Asker(
    { reads: server.link(), writes: server.link() },
    { failures: 3, pauseMs: 1000, onTrouble: () => {} },
  );
  const limits = {
    waitMs: 20,
    waitMsPerKiToken: 0,
    writeMs: 20,
    pendingBytes,
  };
  const swap = new RedisSwap(asker, new Outbox(pendingBytes), "q", limits);
  const get = async (id: number) => {
    const out = new Uint8Array(8);
    const found = await swap.get(block(id), out);
    return found === "ok" ? out[0] : found;
  };
  const slice = async (id: number, at: number, length: number) => {
    const out = new Uint8Array(length);
    if (await swap.slice(block(id), at, out) === "ok") return out;
    assert.ok(out.every((b) => b === 0), "it was written");
    return "lost";
  };
  return { server, asker, swap, get, slice };
}

const bytes = (value: number) => new Uint8Array(8).fill(value);
const settle = () => new Promise((done) => setTimeout(done, 5));

Deno.test("RedisSwap uses no name twice, so that nothing late is taken for the latest", async () => {
  const { server, swap, get } = make();
  await swap.put(block(1), bytes(1));
  const [name] = [...server.values.keys()];
  const late = server.values.get(name!)!;
  await swap.put(block(1), bytes(2));
  await settle();
  assert.equal(server.values.size, 1, "the one before is removed");
  server.values.set(name!, late);
  assert.equal(await get(1), 2);
});

Deno.test("RedisSwap has lost what did not arrive", async () => {
  const { server, swap, get } = make();
  await swap.put(block(1), bytes(1));
  server.mode = "silent";
  await swap.put(block(1), bytes(2));
  server.mode = "up";
  assert.equal(await get(1), "lost", "what was put before is no answer");
});

Deno.test("RedisSwap lets all expire, and removes what is there at the end", async () => {
  const { server, asker, swap } = make();
  for (let i = 1; i <= 50; i++) await swap.put(block(i), bytes(i));
  assert.equal(server.values.size, 50);
  assert.ok([...server.values.keys()].every((n) => server.expires.has(n)));
  swap.clear();
  await asker.close(1000);
  assert.equal(server.values.size, 0);
});

Deno.test("RedisSwap of two processes share no name", async () => {
  const one = make(), two = make();
  await one.swap.put(block(1), bytes(1));
  await two.swap.put(block(1), bytes(2));
  const names = [one, two].map(({ server }) => [...server.values.keys()][0]);
  assert.notEqual(names[0], names[1]);
});

Deno.test("RedisSwap reads the pages that a part lies in, in one command", async () => {
  const { server, swap, slice } = make(1 << 20);
  const whole = blockOf(1, 5 * PAGE);
  await swap.put(block(1), whole.slice());
  assert.equal(server.values.size, 5);
  const asked: string[][] = [];
  server.answer = (words) => {
    if (words[0] === "MGET") asked.push(words.slice(1));
    return undefined;
  };
  const parts = [[0, 10], [PAGE - 1, 2], [2 * PAGE, 2 * PAGE], [PAGE, 10]];
  const found = await Promise.all(
    parts.map(([at, length]) => slice(1, at!, length!)),
  );
  for (const [i, [at, length]] of parts.entries()) {
    assert.deepEqual(found[i], whole.slice(at!, at! + length!));
  }
  const pages = asked.map((names) => names.map((n) => n.split(":").at(-1)));
  assert.deepEqual(pages, [["0"], ["0", "1"], ["2", "3"], ["1"]]);
});

Deno.test("RedisSwap asks for many parts before one is answered", async () => {
  const { server, swap, slice } = make(1 << 20);
  await swap.put(block(1), blockOf(1, PAGE));
  let open = 0, most = 0;
  const [value] = [...server.values.values()];
  server.answer = ([command]) => {
    if (command !== "MGET") return undefined;
    most = Math.max(most, ++open);
    return Promise.resolve([value]).finally(() => open--);
  };
  const all = Array.from({ length: 100 }, (_, at) => slice(1, at, 20));
  assert.ok((await Promise.all(all)).every((out) => out !== "lost"));
  assert.equal(most, 100);
});

Deno.test("RedisSwap has no block with a hole, and removes all pages of one", async () => {
  const { server, swap, slice } = make(1 << 20);
  const out = new Uint8Array(3 * PAGE);
  for (let hole = 0; hole < 3; hole++) {
    await swap.put(block(1), blockOf(1, 3 * PAGE));
    server.values.delete([...server.values.keys()][hole]!);
    assert.equal(await swap.get(block(1), out), "lost");
    assert.equal(await slice(1, hole * PAGE, 1), "lost");
    swap.drop(block(1));
    await settle();
    assert.equal(server.values.size, 0);
  }
});

Deno.test("RedisSwap keeps no page of a block that the server refused in part", async () => {
  const { server, swap, slice } = make(1 << 20);
  let sets = 0;
  server.answer = ([command]) => {
    if (command === "SET" && ++sets === 3) throw new Refused("OOM");
  };
  await swap.put(block(1), blockOf(1, 4 * PAGE));
  await settle();
  assert.equal(sets, 4);
  assert.equal(server.values.size, 0);
  assert.equal(await slice(1, 0, 10), "lost");
});

Deno.test("RedisSwap believes no nonsense about parts", async () => {
  const { server, swap, slice } = make(1 << 20);
  await swap.put(block(1), blockOf(1, 2 * PAGE));
  const values = [...server.values.values()];
  for (
    const nonsense of [5, "OK", null, [], [values[0]], [...values, null], [
      1,
      2,
    ]]
  ) {
    const before = server.connections;
    server.answer = ([command]) => command === "MGET" ? nonsense : undefined;
    assert.equal(await slice(1, 0, 2 * PAGE), "lost");
    server.answer = undefined;
    assert.notEqual(await slice(1, 0, 2 * PAGE), "lost");
    assert.ok(server.connections > before);
  }
  assert.deepEqual(await slice(1, 7, 0), new Uint8Array());
  for (const at of [-1, 2 * PAGE - 3, 2 * PAGE, 1e9]) {
    assert.equal(await slice(1, at, 4), "lost");
  }
});
