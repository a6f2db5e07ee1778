import assert from "node:assert/strict";
import type { Sought } from "../../core/slots.ts";
import { Asker } from "./asker.ts";
import { Refused } from "./link.ts";
import { type Limits, Outbox, RedisStore } from "./store.ts";
import { FakeServer } from "./testing/fake_link.ts";

const ADA: Sought = { salt: "ada", tokens: 0, fingerprint: "f00d" };
const LIMITS: Limits = {
  waitMs: 20,
  waitMsPerKiToken: 1024,
  writeMs: 20,
  pendingBytes: 1000,
};

function make(ttlSeconds?: number) {
  const server = new FakeServer();
  const clock = { now: 0 };
  const troubles: string[] = [];
  const asker = new Asker(
    { reads: server.link(), writes: server.link() },
    {
      failures: 3,
      pauseMs: 100,
      now: () => clock.now++,
      onTrouble: (e) => void troubles.push(e.message),
    },
  );
  const outbox = new Outbox(LIMITS.pendingBytes);
  const options = { prefix: "q", ttlSeconds, limits: LIMITS };
  const store = new RedisStore(asker, outbox, options);
  const read = async (key: string, about = ADA, length = 100) => {
    const out = new Uint8Array(length);
    const found = await store.read(key, out, about);
    if (found === "lost") assert.ok(out.every((b) => b === 0), "written");
    return found === "ok" ? [...out] : found;
  };
  return { server, asker, store, clock, troubles, read };
}

const block = (value: number, length = 100) =>
  new Uint8Array(length).fill(value);

const settle = () => new Promise((done) => setTimeout(done, 5));

Deno.test("RedisStore finds and gives back what was kept", async () => {
  const { store, read } = make();
  await store.keep("a", block(1), ADA);
  await store.keep("c", block(3), ADA);
  assert.deepEqual([...await store.find(["a", "b", "c"], ADA)], [1, 0, 1]);
  assert.deepEqual(await read("c"), [...block(3)]);
  assert.equal(await read("b"), "lost");
  assert.deepEqual([...await store.find([], ADA)], []);
});

Deno.test("RedisStore leaves what is there as it is, and does not send it again", async () => {
  const { server, store, read } = make();
  await store.keep("a", block(1), ADA);
  await store.keep("a", block(2), ADA);
  assert.deepEqual(await read("a"), [...block(1)]);
  assert.equal(server.heard.filter((c) => c === "SET").length, 1);
});

Deno.test("RedisStore does not overwrite what others kept meanwhile", async () => {
  const { server, store, read } = make();
  await store.keep("a", block(1), ADA);
  server.answer = ([command]) => command === "EXISTS" ? 0 : undefined;
  await store.keep("a", block(2), ADA);
  server.answer = undefined;
  assert.deepEqual(await read("a"), [...block(1)]);
});

Deno.test("RedisStore shows nobody blocks of another model or tenant", async () => {
  const { store, read } = make();
  await store.keep("a", block(1), ADA);
  for (
    const about of [{ ...ADA, salt: "bob" }, { ...ADA, fingerprint: "beef" }]
  ) {
    assert.deepEqual([...await store.find(["a"], about)], [0]);
    assert.equal(await read("a", about), "lost");
  }
});

Deno.test("RedisStore finds in one round trip, however many keys", async () => {
  const { server, store } = make();
  const keys = Array.from({ length: 500 }, (_, i) => `k${i}`);
  let most = 0, open = 0;
  server.answer = ([command]) => {
    if (command !== "EXISTS") return undefined;
    most = Math.max(most, ++open);
    return Promise.resolve(1).finally(() => open--);
  };
  const there = await store.find(keys, ADA);
  assert.equal(there.length, 500);
  assert.ok(there.every((n) => n === 1));
  assert.equal(most, 500, "all were asked before one was answered");
});

Deno.test("RedisStore lets blocks expire after their last use, where it is told to", async () => {
  const { server, store, read } = make(7);
  await store.keep("a", block(1), ADA);
  const [name] = [...server.values.keys()];
  assert.equal(server.expires.get(name!), "7");
  server.expires.clear();
  await read("a");
  assert.equal(server.expires.get(name!), "7");
  const forever = make();
  await forever.store.keep("a", block(1), ADA);
  await forever.read("a");
  assert.equal(forever.server.expires.size, 0);
});

Deno.test("RedisStore removes what is broken and leaves what others can use", async () => {
  const { server, store, read } = make();
  await store.keep("a", block(1), ADA);
  const [[name, value]] = [...server.values] as [[string, Uint8Array]];
  assert.equal(await read("a", ADA, 99), "lost");
  const other = value.slice();
  other[4] = 9; // the version
  server.values.set(name, other);
  assert.equal(await read("a"), "lost");
  await settle();
  assert.ok(server.values.has(name), "another version is others' own");
  const broken = value.slice();
  broken[60]! ^= 1;
  server.values.set(name, broken);
  assert.equal(await read("a"), "lost");
  await settle();
  assert.ok(!server.values.has(name));
  await store.keep("a", block(1), ADA);
  assert.deepEqual(await read("a"), [...block(1)]);
});

Deno.test("RedisStore takes the wrong type of a value for a loss", async () => {
  const { server, store, read, troubles } = make();
  await store.keep("a", block(1), ADA);
  server.answer = ([command]) => {
    if (command !== "GET") return undefined;
    throw new Refused("WRONGTYPE Operation against a key");
  };
  for (let i = 0; i < 5; i++) assert.equal(await read("a"), "lost");
  await settle();
  assert.equal(server.values.size, 0, "it was removed");
  assert.deepEqual(troubles, []);
});

Deno.test("RedisStore waits longer for what saves more, and writes nothing late", async () => {
  const { server, store } = make();
  await store.keep("a", block(1), ADA);
  let late: ((value: Uint8Array) => void) | undefined;
  const value = [...server.values.values()][0]!;
  server.answer = ([command]) =>
    command === "GET" ? new Promise((done) => late = done) : undefined;
  const out = new Uint8Array(100);
  assert.equal(await store.read("a", out, ADA), "lost");
  late!(value);
  await settle();
  assert.ok(out.every((b) => b === 0), "an answer that came late was written");
  // 1,024 ms for as many tokens.
  const slow = store.read("a", out, { ...ADA, tokens: 1024 });
  setTimeout(() => late!(value), 60);
  assert.equal(await slow, "ok");
  assert.deepEqual(out, block(1));
});

Deno.test("RedisStore does not ask a dead server, and comes back by itself", async () => {
  const { server, store, clock, troubles, read } = make();
  await store.keep("a", block(1), ADA);
  server.mode = "down";
  for (let i = 0; i < 3; i++) await store.find(["a"], ADA);
  assert.equal(troubles.length, 1);
  server.mode = "up";
  server.heard.length = 0;
  assert.deepEqual([...await store.find(["a"], ADA)], [0]);
  assert.deepEqual(server.heard, [], "nothing is asked during the pause");
  clock.now += 100;
  assert.deepEqual([...await store.find(["a"], ADA)], [0], "a try meanwhile");
  await settle();
  assert.deepEqual(server.heard, ["PING"]);
  assert.deepEqual([...await store.find(["a"], ADA)], [1]);
  assert.deepEqual(await read("a"), [...block(1)]);
});

Deno.test("RedisStore finds nothing while it cannot read", async () => {
  const { server, store, clock, read } = make();
  await store.keep("a", block(1), ADA);
  server.answer = ([command]) => {
    if (command === "GET") throw new Refused("LOADING");
  };
  for (let i = 0; i < 3; i++) assert.equal(await read("a"), "lost");
  assert.deepEqual([...await store.find(["a"], ADA)], [0]);
  server.answer = undefined;
  clock.now += 100;
  await store.find(["a"], ADA);
  await settle();
  assert.deepEqual([...await store.find(["a"], ADA)], [1]);
});

Deno.test("RedisStore reads on from a server that has no memory for more", async () => {
  const { server, store, clock, read } = make();
  await store.keep("a", block(1), ADA);
  let sets = 0;
  server.answer = ([command]) => {
    if (command !== "SET") return undefined;
    sets++;
    throw new Refused("OOM command not allowed");
  };
  for (let i = 0; i < 10; i++) await store.keep(`b${i}`, block(2), ADA);
  assert.equal(sets, 3, "it is not sent what it does not take");
  assert.deepEqual(await read("a"), [...block(1)]);
  assert.deepEqual([...await store.find(["a", "b0"], ADA)], [1, 0]);
  clock.now += 100;
  server.answer = undefined;
  await store.keep("c", block(3), ADA);
  await store.keep("d", block(4), ADA);
  assert.deepEqual([...await store.find(["c", "d"], ADA)], [1, 1]);
});

Deno.test("RedisStore believes no nonsense and makes a new connection", async () => {
  const { server, store, read } = make();
  await store.keep("a", block(1), ADA);
  for (const nonsense of ["1", 2, [1], new Uint8Array([1]), -1]) {
    const before = server.connections;
    server.answer = ([command]) => command === "EXISTS" ? nonsense : undefined;
    assert.deepEqual([...await store.find(["a"], ADA)], [0]);
    server.answer = ([command]) => command === "GET" ? 5 : undefined;
    assert.equal(await read("a"), "lost");
    server.answer = undefined;
    assert.deepEqual(await read("a"), [...block(1)]);
    assert.deepEqual([...await store.find(["a"], ADA)], [1]);
    assert.ok(server.connections > before);
  }
});

Deno.test("RedisStore forgets writes that are too many at once", async () => {
  const { server, store } = make();
  server.mode = "silent";
  const kept = Array.from(
    { length: 15 },
    (_, i) => store.keep(`k${i}`, block(i), ADA),
  );
  server.mode = "up";
  await Promise.all(kept);
  assert.equal(server.values.size, 10, "1,000 bytes may be under way");
  await store.keep("z", block(1), ADA);
  assert.equal(server.values.size, 11, "there is room again");
});

Deno.test("RedisStore ends what waits when it is closed", async () => {
  const { server, store, asker } = make();
  await store.keep("a", block(1), ADA);
  server.mode = "silent";
  const out = new Uint8Array(100);
  const read = store.read("a", out, { ...ADA, tokens: 1e6 });
  const found = store.find(["a"], { ...ADA, tokens: 1e6 });
  const kept = store.keep("b", block(1), ADA);
  await settle();
  await asker.close(1);
  assert.equal(await read, "lost");
  assert.deepEqual([...await found], [0]);
  await kept;
  const { length } = server.heard;
  await store.keep("c", block(1), ADA);
  assert.deepEqual([...await store.find(["a"], ADA)], [0]);
  assert.equal(await store.read("a", out, ADA), "lost");
  assert.equal(server.heard.length, length, "nothing is asked any more");
});
