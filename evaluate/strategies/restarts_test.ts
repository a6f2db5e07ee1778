import assert from "node:assert/strict";
import { withFile } from "../../models/testing/files.ts";
import { deeper, tinyLlama } from "../../models/testing/tiny_llama.ts";
import { redisTest, TestServer } from "../../plugins/redis/testing/server.ts";
import { strategyOptions } from "./options.ts";
import { type Restart, restartRuns, restartTable } from "./restarts.ts";
import { TEXT } from "./texts.ts";

/** Two rounds with prompts of 140 tokens, of which two blocks are found again. */
async function run(folder: string, redis: readonly string[]) {
  const text = Array.from({ length: 900 }, (_, i) => "abc"[i * i % 11 % 3]);
  await Deno.writeTextFile(`${folder}/${TEXT}`, text.join(" "));
  const { changes, shapes } = deeper(2, 512);
  const said: string[] = [];
  const restarts = await withFile(tinyLlama(changes, shapes), (model) => {
    const args = ["--model", model, "--data", folder, "--rounds", "2"];
    const options = strategyOptions(["tiers", "--threads", "1", ...args]);
    const all = { ...options, ...redis.length ? { redis: redis[0]! } : {} };
    return restartRuns(folder, 140, all, (line) => void said.push(line));
  });
  return { restarts, said };
}

function check(restarts: readonly Restart[], tiers: readonly string[]): void {
  assert.deepEqual(restarts.map((r) => r.tier), tiers);
  for (const r of restarts) {
    assert.equal(r.cached, 128);
    assert.ok(r.equal);
    assert.ok(r.coldMs > 0 && r.warmMs > 0);
  }
}

redisTest(
  "restartRuns() finds blocks on disk and in a server, and leaves nothing there for ever",
  async () => {
    const folder = await Deno.makeTempDir({ prefix: "quire_test_" });
    await using server = await TestServer.start();
    try {
      const { restarts, said } = await run(folder, [server.url]);
      check(restarts, [
        "disk",
        "Redis",
        "session",
        "disk",
        "Redis",
        "session",
      ]);
      assert.match(
        said[1]!,
        /^restart, Redis: [\d.]+ ms cold, [\d.]+ ms warm$/,
      );
      const names = await server.names();
      assert.ok(names.length >= 4);
      for (const name of names) {
        const ttl = await server.command("TTL", name) as number;
        assert.ok(ttl > 500 && ttl <= 600, `${ttl} s`);
      }
      await server.stop();
      await assert.rejects(
        () => run(folder, [server.url]),
        /Cannot use Redis at/,
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

Deno.test("restartRuns() without a server does with disk and a session", async () => {
  const folder = await Deno.makeTempDir({ prefix: "quire_test_" });
  try {
    check((await run(folder, [])).restarts, [
      "disk",
      "session",
      "disk",
      "session",
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("restartTable() has the medians of each tier apart", () => {
  const one = (tier: Restart["tier"], coldMs: number, warmMs: number) => ({
    ...{ tier, coldMs, warmMs, cached: warmMs, equal: true },
  });
  const { rows, head } = restartTable([
    one("disk", 100, 10),
    one("Redis", 600, 30),
    one("disk", 300, 20),
    one("Redis", 600, 60),
    one("disk", 200, 40),
    one("Redis", 700, 90),
  ], 7);
  assert.deepEqual(rows, [
    ["on disk", "200", "20.0", "10.0×", "10", "3"],
    ["in Redis", "600", "60.0", "10.0×", "30", "3"],
  ]);
  assert.equal(head.length, rows[0]!.length);
});
