import assert from "node:assert/strict";
import type { Sought } from "../core/slots.ts";
import { block } from "../core/testing/suites/index_suite.ts";
import { frame } from "./redis/frame.ts";
import { contentPrefix } from "./redis/names.ts";
import { PAGE } from "./redis/pages.ts";
import {
  ADA,
  blockOf,
  bounded,
  eventually,
  IMPATIENT,
  type OpenTier,
  openTier,
} from "./redis/testing/open_tier.ts";
import {
  redisTest,
  type Settings,
  TestServer,
} from "./redis/testing/server.ts";

const KEYS = Array.from({ length: 12 }, (_, i) => `key${i}`);

/** Reads a block, which is right or lost and nothing else. */
async function read(
  { content }: OpenTier,
  number: number,
  about: Sought = ADA,
): Promise<boolean> {
  const out = new Uint8Array(1000);
  const found = await bounded(content.read(`key${number}`, out, about));
  assert.deepEqual(
    out,
    found === "ok" ? blockOf(number) : new Uint8Array(1000),
  );
  return found === "ok";
}

async function keepAll({ content }: OpenTier): Promise<void> {
  await bounded(
    Promise.all(KEYS.map((key, i) => content.keep(key, blockOf(i), ADA))),
  );
}

/** All is kept, found and read, and requests' own blocks too. */
async function works(tier: OpenTier): Promise<void> {
  await keepAll(tier);
  const there = await bounded(tier.content.find(KEYS, ADA));
  assert.ok(there.every((n) => n === 1), `found ${there}`);
  const all = await Promise.all(KEYS.map((_, i) => read(tier, i)));
  assert.ok(all.every((ok) => ok), `read ${all}`);
  await bounded(tier.tier.put(block(1), blockOf(1)));
  const out = new Uint8Array(1000);
  assert.equal(await bounded(tier.tier.get(block(1), out)), "ok");
  assert.deepEqual(out, blockOf(1));
}

/** Everything is asked for; says how many blocks were there. */
async function use(tier: OpenTier): Promise<number> {
  let read_ = 0;
  for (let round = 0; round < 5; round++) {
    await bounded(tier.content.find(KEYS, ADA));
    const all = await Promise.all(KEYS.map((_, i) => read(tier, i)));
    read_ += all.filter((ok) => ok).length;
    await bounded(tier.content.keep(`new${round}`, blockOf(round), ADA));
    await bounded(tier.tier.put(block(9), blockOf(round)));
    const out = new Uint8Array(1000);
    if (await bounded(tier.tier.get(block(9), out)) === "ok") {
      assert.deepEqual(out, blockOf(round));
    }
    tier.tier.drop(block(9));
  }
  return read_;
}

const FAULTS: Record<string, {
  settings?: Settings;
  hurt: (server: TestServer) => Promise<unknown> | void;
  heal?: (server: TestServer) => Promise<unknown> | void;
  /** Whether nothing can be there meanwhile. */
  all?: boolean;
}> = {
  "a server that is stopped": {
    hurt: (server) => server.stop(),
    heal: (server) => server.start(),
    all: true,
  },
  "a server that is frozen": {
    hurt: (server) => server.freeze(),
    heal: (server) => server.thaw(),
    all: true,
  },
  "a server that is restarted": {
    hurt: async (server) => {
      await server.stop();
      await server.start();
    },
  },
  "a server that is emptied": {
    hurt: (server) => server.command("FLUSHALL"),
    all: true,
  },
  "connections that are cut": {
    hurt: (server) => server.command("CLIENT", "KILL", "TYPE", "normal"),
  },
  "a server that stands still for a moment": {
    settings: { "enable-debug-command": "yes" },
    hurt: (server) => void server.command("DEBUG", "SLEEP", "0.3"),
  },
  "a server that lets nobody in any more": {
    settings: { requirepass: "sesame" },
    hurt: async (server) => {
      await server.command("CONFIG", "SET", "requirepass", "other");
      await server.commandAs("other", "CLIENT", "KILL", "TYPE", "normal");
    },
    heal: async (server) => {
      await server.commandAs("other", "CONFIG", "SET", "requirepass", "sesame");
    },
    all: true,
  },
};

for (const [name, { settings, hurt, heal, all }] of Object.entries(FAULTS)) {
  redisTest(
    `redisOffload() loses blocks of ${name}, and comes back`,
    async () => {
      await using server = await TestServer.start(settings);
      await using tier = await openTier({ url: server.url, ...IMPATIENT });
      await eventually(() => works(tier));
      await hurt(server);
      const there = await use(tier);
      if (all) assert.equal(there, 0);
      await heal?.(server);
      await eventually(() => works(tier));
      for (const trouble of tier.troubles) {
        assert.match(trouble, /^Cannot use Redis at "redis:\/\/127\.0\.0\.1:/);
        assert.ok(!/sesame|other/.test(trouble), trouble);
      }
    },
  );
}

redisTest("redisOffload() of a frozen server is closed in time", async () => {
  await using server = await TestServer.start();
  const tier = await openTier({ url: server.url });
  await works(tier);
  server.freeze();
  const kept = tier.content.keep("more", blockOf(1), ADA);
  const found = tier.content.find(KEYS, { ...ADA, tokens: 1e6 });
  await bounded(tier[Symbol.asyncDispose]());
  await bounded(kept);
  assert.ok((await bounded(found)).every((n) => n === 0));
});

redisTest(
  "redisOffload() is set up without its server, unless it is required",
  async () => {
    await using server = await TestServer.start({ requirepass: "sesame" });
    const wrong = server.url.replace("sesame", "wrongword");
    const none = server.url.replace(":sesame@", "");
    const freeze = () => void server.freeze();
    for (
      const [url, hurt, heal, why] of [
        [server.url, () => server.stop(), () => server.start(), /ECONNREFUSED/],
        [server.url, freeze, () => server.thaw(), /no answer|timeout/],
        [wrong, () => {}, undefined, /WRONGPASS/],
        [none, () => {}, undefined, /NOAUTH/],
        ["redis://nowhere.invalid", () => {}, undefined, /./],
      ] as const
    ) {
      // Only the frozen one has to be waited for.
      const limits = hurt === freeze ? IMPATIENT : {};
      await hurt();
      await assert.rejects(
        () => bounded(openTier({ url, ...limits, required: true })),
        (error: Error) => {
          assert.match(error.message, /^Cannot use Redis at "redis:\/\//);
          assert.match(error.message, why);
          assert.ok(!/sesame|wrongword/.test(Deno.inspect(error)));
          return true;
        },
      );
      await using tier = await bounded(openTier({ url, ...limits }));
      assert.equal(tier.troubles.length, 1);
      assert.match(tier.troubles[0]!, why);
      assert.ok(!/sesame|wrongword/.test(tier.troubles[0]!));
      assert.equal(await use(tier), 0);
      if (heal === undefined) continue;
      await heal();
      await eventually(() => works(tier));
    }
  },
);

redisTest(
  "redisOffload() takes nothing that was changed in the server",
  async () => {
    await using server = await TestServer.start();
    await using tier = await openTier({ url: server.url });
    const prefix = contentPrefix("quire", ADA);
    const model = contentPrefix("quire", { ...ADA, fingerprint: "beef" });
    const changes: Record<string, (name: string) => Promise<unknown>> = {
      "a flipped bit of the block": (name) =>
        server.command("SETRANGE", name, "500", "\x07"),
      "a flipped bit of the header": (name) =>
        server.command("SETRANGE", name, "20", "\x07"),
      "the end is cut off": (name) =>
        server.command("SET", name, frame(name, blockOf(0)).subarray(0, 700)),
      "nothing is left": (name) => server.command("SET", name, ""),
      "more is behind it": (name) => server.command("APPEND", name, "x"),
      "it is text": (name) => server.command("SET", name, "hello"),
      "it is a list": async (name) => {
        await server.command("DEL", name);
        await server.command("LPUSH", name, "a");
      },
      "it is another block": (name) =>
        server.command("COPY", `${prefix}key5`, name, "REPLACE"),
      "it is of another model": async (name) => {
        await server.command(
          "SET",
          `${model}k`,
          frame(`${model}k`, blockOf(1)),
        );
        await server.command("COPY", `${model}k`, name, "REPLACE");
      },
      "it is of another length": (name) =>
        server.command("SET", name, frame(name, blockOf(0, 999))),
    };
    for (const [says, change] of Object.entries(changes)) {
      await works(tier);
      const name = `${prefix}key0`;
      await change(name);
      assert.equal(await read(tier, 0), false, says);
      for (let i = 1; i < 12; i++) assert.ok(await read(tier, i), says);
      if (says === "it is of another length") continue;
      // It is removed, so that it can be kept again.
      await eventually(async () => {
        assert.equal(await server.command("EXISTS", name), 0, says);
      });
    }
    assert.deepEqual(tier.troubles, []);
  },
);

/** Three pages and a bit of a block, one part each; "lost" or right. */
async function parts(tier: OpenTier, id: number): Promise<string> {
  const whole = blockOf(id, BIG);
  const found = await Promise.all([0, 1, 2, 3].map(async (page) => {
    const out = new Uint8Array(BIG - 3 * PAGE), at = page * PAGE;
    const found = await bounded(tier.tier.slice!(block(id), at, out));
    const right = found === "ok"
      ? whole.subarray(at, at + out.length)
      : new Uint8Array(out.length);
    assert.deepEqual(out, right);
    return found === "ok" ? page : "-";
  }));
  return found.join("");
}

const BIG = 3 * PAGE + 500;

redisTest(
  "redisOffload() loses parts of pages that were changed in the server, and no others",
  async () => {
    await using server = await TestServer.start();
    await using tier = await openTier({ url: server.url });
    const changes: Record<string, (names: string[]) => Promise<unknown>> = {
      "a missing page": ([, page]) => server.command("DEL", page!),
      "a flipped bit": ([, page]) =>
        server.command("SETRANGE", page!, "900", "\x07"),
      "a page of another block": ([, page, , , other]) =>
        server.command("COPY", other!, page!, "REPLACE"),
      "another page": ([first, page]) =>
        server.command("COPY", first!, page!, "REPLACE"),
      "a page that is cut": ([, page]) => server.command("SET", page!, "QUKV"),
      "a page that is a list": async ([, page]) => {
        await server.command("DEL", page!);
        await server.command("LPUSH", page!, "a");
      },
    };
    for (const [says, change] of Object.entries(changes)) {
      for (const id of [1, 2]) await tier.tier.put(block(id), blockOf(id, BIG));
      assert.equal(await parts(tier, 1), "0123");
      // Those of block 1 come first, and page 1 of block 2 is like page 1.
      const names = (await server.names())
        .sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
      assert.equal(names.length, 8);
      await change([...names.slice(0, 4), names[5]!]);
      assert.equal(await parts(tier, 1), "0-23", says);
      const out = new Uint8Array(BIG);
      assert.equal(await tier.tier.get(block(1), out), "lost", says);
      assert.equal(await parts(tier, 2), "0123", says);
      for (const id of [1, 2]) tier.tier.drop(block(id));
      await eventually(async () => {
        assert.deepEqual(await server.names(), [], says);
      });
    }
    assert.deepEqual(tier.troubles, []);
  },
);

redisTest(
  "redisOffload() loses parts of a server that freezes while they are read, in time",
  async () => {
    await using server = await TestServer.start();
    await using tier = await openTier({ url: server.url, ...IMPATIENT });
    const ids = [1, 2, 3, 4];
    const works = async () => {
      for (const id of ids) await tier.tier.put(block(id), blockOf(id, BIG));
      for (const id of ids) assert.equal(await parts(tier, id), "0123");
    };
    for (let round = 0; round < 3; round++) {
      await eventually(works);
      const reading = ids.map((id) => parts(tier, id));
      server.freeze();
      reading.push(...ids.map((id) => parts(tier, id)));
      // All of them are over after one wait, not one after another.
      const all = await bounded(Promise.all(reading), 2_000);
      assert.ok(all.slice(4).every((found) => found === "----"), `${all}`);
      for (let i = 0; i < 20; i++) await parts(tier, 1);
      server.thaw();
    }
    await eventually(works);
  },
);

for (
  const [policy, kept] of [["allkeys-lru", true], [
    "noeviction",
    false,
  ]] as const
) {
  redisTest(
    `redisOffload() fills a server with policy "${policy}" and reads on`,
    async () => {
      await using server = await TestServer.start({
        maxmemory: "12mb",
        "maxmemory-policy": policy,
      });
      await using tier = await openTier({ url: server.url });
      const keys = Array.from({ length: 240 }, (_, i) => `big${i}`);
      for (const [i, key] of keys.entries()) {
        await bounded(tier.content.keep(key, blockOf(i, 100_000), ADA));
      }
      await bounded(tier.tier.put(block(1), blockOf(1)));
      const there = await bounded(tier.content.find(keys, ADA));
      const found = there.reduce((sum, n) => sum + n, 0);
      assert.ok(found > 5 && found < 200, `${found} blocks are there`);
      let last = -1, first = 240;
      for (const [i, key] of keys.entries()) {
        const out = new Uint8Array(100_000);
        const ok = await bounded(tier.content.read(key, out, ADA)) === "ok";
        if (!ok) continue;
        assert.deepEqual(out, blockOf(i, 100_000));
        last = i;
        first = Math.min(first, i);
      }
      // Who evicts has the last ones, who does not the first.
      assert.ok(
        kept ? last > 200 : first === 0 && last < 200,
        `${first}, ${last}`,
      );
      assert.equal(tier.troubles.length > 0, !kept);
      for (const trouble of tier.troubles) assert.match(trouble, /OOM/);
      await server.command("CONFIG", "SET", "maxmemory", "0");
      await eventually(() => works(tier));
    },
  );
}
