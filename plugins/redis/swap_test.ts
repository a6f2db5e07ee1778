import assert from "node:assert/strict";
import { block } from "../../core/testing/suites/index_suite.ts";
import { Asker } from "./asker.ts";
import { Outbox } from "./store.ts";
import { RedisSwap } from "./swap.ts";
import { FakeServer } from "./testing/fake_link.ts";

function make() {
  const server = new FakeServer();
  const asker = new Asker(
    { reads: server.link(), writes: server.link() },
    { failures: 3, pauseMs: 1000, onTrouble: () => {} },
  );
  const limits = {
    waitMs: 20,
    waitMsPerKiToken: 0,
    writeMs: 20,
    pendingBytes: 1000,
  };
  const swap = new RedisSwap(asker, new Outbox(1000), "q", limits);
  const get = async (id: number) => {
    const out = new Uint8Array(8);
    const found = await swap.get(block(id), out);
    return found === "ok" ? out[0] : found;
  };
  return { server, asker, swap, get };
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
