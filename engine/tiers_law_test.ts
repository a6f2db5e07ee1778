/** Transparency: whatever tiers there are, and whatever they lose, no token changes. */
import assert from "node:assert/strict";
import type { Plugin } from "../core/plugin.ts";
import { dice } from "../core/testing/cache_driver.ts";
import { deeper } from "../models/testing/tiny_llama.ts";
import { cpuOffload } from "../plugins/cpu_offload.ts";
import { diskOffload } from "../plugins/disk_offload.ts";
import { kvInt8 } from "../plugins/kv_int8.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { prefixCache } from "../plugins/prefix_cache.ts";
import { redisTest, TestServer } from "../plugins/redis/testing/server.ts";
import { redisOffload } from "../plugins/redis_offload.ts";
import type { Engine } from "./engine.ts";
import type { GenerateOptions, LoadOptions } from "./options.ts";
import { type Faults, faulty } from "./testing/faulty_tier.ts";
import { kvBudget } from "./testing/kv_budget.ts";
import { collect, tinyEngine } from "./testing/tiny_engine.ts";

const { changes, shapes } = deeper(12, 1024);

function engineOf(options: LoadOptions): Promise<Engine> {
  return tinyEngine(
    { context: 1024, chunk: 32, parallel: 6, ...options },
    changes,
    shapes,
  );
}

const text = Array.from({ length: 900 }, (_, k) => 2 + (k * k + (k >> 3)) % 6);

/** Long and short ones, some of which begin alike. */
const REQUESTS: readonly GenerateOptions[] = [
  [0, 700],
  [0, 120],
  [5, 90],
  [0, 400],
  [40, 200],
  [5, 330],
].map(([from, to], i) => ({
  tokens: text.slice(from, to),
  maxTokens: 12 + i,
  ignoreEos: true,
  temperature: i % 2,
  seed: i,
}));

/** Runs all of them, some together, twice. */
async function run(engine: Engine): Promise<unknown[]> {
  const out: unknown[] = [];
  for (let round = 0; round < 2; round++) {
    for (const half of [REQUESTS.slice(0, 3), REQUESTS.slice(3)]) {
      out.push(
        ...await Promise.all(half.map((r) => collect(engine.generate(r)))),
      );
    }
  }
  engine.check();
  return out;
}

function base(codec: readonly Plugin[]): readonly Plugin[] {
  return [pagedAttention({ blockTokens: 16 }), prefixCache(), ...codec];
}

/** `at`: a folder; `url`: a server, where the tiers need one. */
type Make = (at: string, url: string) => Plugin;

const host: Make = () => cpuOffload({ bytes: 3e6 });
const small: Make = () => cpuOffload({ bytes: 4e5 });
const tiny: Make = () => cpuOffload({ bytes: 1e5 });
const disk: Make = (folder) =>
  diskOffload({ folder, bytes: 1 << 24, sync: false });
const late: Make = (folder) =>
  diskOffload({ folder, bytes: 1 << 24, sync: false, write: "leaving" });

/** Whether the machine is busy is not what is tested here. */
const PATIENT = { waitMs: 5_000, writeMs: 5_000, connectMs: 5_000 };
const redis: Make = (_, url) => redisOffload({ url, ...PATIENT });
/** In this order, so that all three have blocks that are read in parts. */
const littleRedis: Make = (_, url) =>
  redisOffload({ url, bytes: 2e5, rank: 2, ...PATIENT });
const diskBelow: Make = (folder) =>
  diskOffload({ folder, bytes: 1 << 24, sync: false, rank: 3 });

const TIERS: readonly (readonly [string, readonly Make[]])[] = [
  ["host", [host]],
  ["disk", [disk]],
  ["disk, written late", [late]],
  ["host and disk", [host, disk]],
  ["little host and disk, written late", [small, late]],
  ["Redis", [redis]],
  ["little host and Redis", [small, redis]],
  ["little host, little Redis and disk", [tiny, littleRedis, diskBelow]],
];

/** What comes out without tiers, and a budget with a tenth of its K and V. */
async function unlimited(
  codec: readonly Plugin[],
  tiers: readonly Plugin[],
): Promise<{ readonly wanted: unknown[]; readonly budget: number }> {
  let wanted: unknown[], bytes = 0;
  {
    await using engine = await engineOf({ plugins: base(codec) });
    wanted = await run(engine);
    bytes = engine.memory().lines
      .filter((l) => l.owner === "kv").reduce((n, l) => n + l.peak, 0);
  }
  const least = Math.ceil(codec.length === 0 ? bytes / 10 : bytes / 6);
  const plugins = [...base(codec), ...tiers];
  return {
    wanted,
    budget: await kvBudget(least, (budget) => engineOf({ plugins, budget })),
  };
}

function assertMoved(engine: Engine): void {
  const below = engine.memory().lines.filter((l) =>
    l.tier !== "device" && l.component === "blocks"
  );
  assert.ok(below.some((l) => l.peak > 0), "nothing was moved");
}

/** Faults in each test, of all its tiers. */
const FAULTS = 200;

function sum(all: readonly Faults[]): number {
  return all.flatMap((f) => Object.values(f)).reduce((a, b) => a + b, 0);
}

async function check(
  codec: readonly Plugin[],
  makes: readonly Make[],
  url: string,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "quire_test_" });
  try {
    const { wanted, budget } = await unlimited(
      codec,
      makes.map((make) => make(`${folder}/size`, url)),
    );
    const roll = dice(7);
    const all: Faults[] = [];
    // Whole tiers first, then broken ones, on what the former left behind.
    for (const broken of [false, true]) {
      const plugins = makes.map((make) => {
        const plugin = make(`${folder}/run`, url);
        if (!broken) return plugin;
        const made = faulty(plugin, roll);
        all.push(made.faults);
        return made.plugin;
      });
      await using engine = await engineOf({
        plugins: [...base(codec), ...plugins],
        budget,
      });
      let rounds = 0;
      do {
        assert.deepEqual(await run(engine), wanted, `broken: ${broken}`);
      } while (broken && sum(all) < FAULTS && ++rounds < 8);
      assertMoved(engine);
    }
    const faults = sum(all);
    assert.ok(faults >= FAULTS, `${faults}: ${JSON.stringify(all)}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const LAW = "tiers change no token in a tenth of the memory";

for (const [name, tiers] of TIERS) {
  for (const codec of [[], [kvInt8()]]) {
    const title = `${LAW}: ${name}${codec.length === 0 ? "" : ", int8"}`;
    if (!/Redis/.test(name)) {
      Deno.test(title, () => check(codec, tiers, ""));
      continue;
    }
    redisTest(title, async () => {
      await using server = await TestServer.start();
      await check(codec, tiers, server.url);
    });
  }
}

redisTest(`${LAW}: Redis that is emptied, cut off and frozen`, async () => {
  await using server = await TestServer.start();
  const limits = { waitMs: 100, writeMs: 100, pauseMs: 20 };
  const plugin = () => redisOffload({ url: server.url, ...limits });
  const { wanted, budget } = await unlimited([], [plugin()]);
  await using engine = await engineOf({
    plugins: [...base([]), plugin()],
    budget,
  });
  const roll = dice(3);
  const wait = (ms: number) => new Promise((done) => setTimeout(done, ms));
  let hurts = 0, over = false;
  const hurting = (async () => {
    for (; !over; hurts++) {
      await wait(100 + roll(200));
      if (hurts % 3 === 0) await server.command("FLUSHALL");
      else if (hurts % 3 === 1) {
        await server.command("CLIENT", "KILL", "TYPE", "normal");
      } else {
        server.freeze();
        await wait(roll(300));
        server.thaw();
      }
    }
  })();
  try {
    for (let round = 0; round < 2; round++) {
      assert.deepEqual(await run(engine), wanted);
    }
  } finally {
    over = true;
    await hurting;
  }
  assertMoved(engine);
  assert.ok(hurts >= 10, `${hurts} times`);
  // One that needs the server ends when there is none; others do without.
  await server.stop();
  const long = collect(engine.generate({ ...REQUESTS[0]!, tenant: "alone" }));
  await assert.rejects(long, /tiers have lost what it left there \d+ times/);
  assert.deepEqual(await collect(engine.generate(REQUESTS[2]!)), wanted[2]);
});
