import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { Plugin } from "../core/plugin.ts";
import type { Tier } from "../core/slots.ts";
import { runScenario } from "../core/testing/scenario.ts";
import { block } from "../core/testing/suites/index_suite.ts";
import { tierLaws } from "../core/testing/suites/tier_suite.ts";
import { pagedAttention } from "./paged_attention.ts";
import {
  ADA,
  blockOf,
  bounded,
  type OpenTier,
  openTier,
} from "./redis/testing/open_tier.ts";
import { redisTest, TestServer } from "./redis/testing/server.ts";
import { redisOffload, type RedisOffloadOptions } from "./redis_offload.ts";

for (const { says, check } of tierLaws) {
  redisTest(`redisOffload() ${says}`, async () => {
    await using server = await TestServer.start();
    const open: OpenTier[] = [];
    const make = async (): Promise<Tier> => {
      await server.command("FLUSHALL");
      open.push(await openTier({ url: server.url, bytes: 1 << 20 }));
      return open.at(-1)!.tier;
    };
    try {
      await check(make);
    } finally {
      for (const tier of open) await tier[Symbol.asyncDispose]();
    }
  });
}

redisTest("redisOffload() gives one engine what another kept", async () => {
  await using server = await TestServer.start();
  await using one = await openTier({ url: server.url });
  await using two = await openTier({ url: server.url });
  const keys = Array.from({ length: 200 }, (_, i) => `key${i}`);
  await Promise.all(
    keys.slice(0, 150).map((key, i) =>
      one.content.keep(key, blockOf(i, 20_000), ADA)
    ),
  );
  const there = await two.content.find(keys, ADA);
  assert.deepEqual([...there], keys.map((_, i) => i < 150 ? 1 : 0));
  const outs = keys.map(() => new Uint8Array(20_000));
  const found = await Promise.all(
    keys.map((key, i) => two.content.read(key, outs[i]!, ADA)),
  );
  for (const [i, out] of outs.entries()) {
    assert.equal(found[i], i < 150 ? "ok" : "lost");
    assert.deepEqual(
      out,
      i < 150 ? blockOf(i, 20_000) : new Uint8Array(20_000),
    );
  }
});

redisTest(
  "redisOffload() names values so that a model's or a tenant's can be removed",
  async () => {
    await using server = await TestServer.start();
    await using own = await openTier({ url: server.url, prefix: "mine" });
    for (const salt of ["ada", "bob"]) {
      for (const fingerprint of ["f00d", "beef"]) {
        await own.content.keep("k", blockOf(1), { ...ADA, salt, fingerprint });
      }
    }
    const names = await server.names();
    assert.equal(names.length, 4);
    for (const name of names) assert.match(name, /^mine:\w+:\w{32}:k$/);
    assert.equal((await server.names("mine:f00d:*")).length, 2);
    assert.ok(!names.join().includes("ada"));
  },
);

redisTest(
  "redisOffload() lets shared blocks expire, and always those of requests",
  async () => {
    await using server = await TestServer.start();
    await using tier = await openTier({ url: server.url, ttlSeconds: 50 });
    await using forever = await openTier({
      url: server.url,
      prefix: "forever",
    });
    await tier.content.keep("k", blockOf(1), ADA);
    await forever.content.keep("k", blockOf(1), ADA);
    await tier.tier.put(block(1), blockOf(2));
    const ttl = async (pattern: string) => {
      const [name] = await server.names(pattern);
      return await server.command("TTL", name!) as number;
    };
    const kept = await ttl("quire:f00d:*");
    assert.ok(kept > 40 && kept <= 50, `${kept} s`);
    assert.equal(await ttl("forever:*"), -1);
    const swapped = await ttl("quire:swap:*");
    assert.ok(swapped > 3000 && swapped <= 3600, `${swapped} s`);
  },
);

redisTest(
  "redisOffload() leaves shared blocks and nothing else when it is closed",
  async () => {
    await using server = await TestServer.start();
    await using tier = await openTier({ url: server.url });
    for (let i = 1; i <= 30; i++) {
      await tier.tier.put(block(i), blockOf(i));
      // Not waited for: closing does.
      void tier.content.keep(`k${i}`, blockOf(i, 100_000), ADA);
    }
    await tier[Symbol.asyncDispose]();
    const names = await server.names();
    assert.equal(names.length, 30);
    assert.deepEqual(names.filter((n) => n.includes(":swap:")), []);
  },
);

redisTest(
  "redisOffload() wants the right of the server's port alone, and keeps no process alive",
  async () => {
    await using server = await TestServer.start();
    const plugin = new URL("./redis_offload.ts", import.meta.url);
    const run = async (url: string) => {
      const code = `
      import { redisOffload } from "${plugin}";
      let tier;
      await redisOffload({ url: "${url}", connectMs: 5000, waitMs: 5000 }).setup({
        provide: (_, t) => tier = t, onClose() {},
      });
      const about = { salt: "", tokens: 1, fingerprint: "f" };
      await tier.content.keep("k", new Uint8Array(9), about);
      const found = await tier.content.find(["k"], about);
      console.log(found[0]);
      // Not closed on purpose.
    `;
      const child = spawn("deno", [
        "run",
        "--quiet",
        "--no-prompt",
        "--no-check",
        `--allow-net=127.0.0.1:${server.port}`,
        "--ext=ts",
        "-",
      ], { stdio: ["pipe", "pipe", "pipe"] });
      let out = "";
      child.stdout.on("data", (d) => out += d);
      child.stderr.on("data", (d) => out += d);
      child.stdin.end(code);
      const status = await bounded(
        new Promise((done) => child.once("close", done)),
        30_000,
      );
      return `${out.trim()}, ${status}`;
    };
    assert.equal(await run(server.url), "1, 0");
    await server.stop();
    assert.equal(await run(server.url), "0, 0");
  },
);

Deno.test("redisOffload() refuses what makes no sense, before anything starts", () => {
  const url = "redis://localhost";
  for (
    const [options, message] of [
      [{ url: "localhost:6379" }, /Cannot use Redis/],
      [{ url, prefix: "a:b" }, /"prefix" "a:b"/],
      [{ url, prefix: "" }, /"prefix" ""/],
      [{ url, bytes: 0 }, /"bytes" 0/],
      [{ url, ttlSeconds: 0.5 }, /"ttlSeconds" 0.5/],
      [{ url, waitMs: 0 }, /"waitMs" 0/],
      [{ url, waitMsPerKiToken: -1 }, /"waitMsPerKiToken" -1/],
      [{ url, writeMs: 0 }, /"writeMs" 0/],
      [{ url, connectMs: NaN }, /"connectMs" NaN/],
      [{ url, pauseMs: Infinity }, /"pauseMs" Infinity/],
    ] as [RedisOffloadOptions, RegExp][]
  ) assert.throws(() => redisOffload(options), message);
});

redisTest(
  "redisOffload() changes no token where requests give way",
  async () => {
    await using server = await TestServer.start();
    const closers: (() => unknown)[] = [];
    const plugin = redisOffload({ url: server.url, waitMs: 3_000 });
    const onClose = (fn: () => unknown) => void closers.push(fn);
    const redis: Plugin = {
      ...plugin,
      setup: (host) => plugin.setup({ ...host, onClose }),
    };
    const run = async (...more: readonly Plugin[]) =>
      await runScenario([pagedAttention({ blockTokens: 3 }), ...more], {
        rows: 16,
        seqs: 6,
        bytes: 1 << 16,
        tableStride: 32,
        tight: true,
      });
    try {
      const bare = await run();
      const { tokens, cache } = await run(redis);
      assert.deepEqual(tokens, bare.tokens);
      assert.ok(cache.moves > 0, "nothing was moved");
    } finally {
      for (const close of closers) await close();
    }
  },
);
