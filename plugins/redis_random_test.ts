import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { BlockId } from "../core/types.ts";
import { dice } from "../core/testing/cache_driver.ts";
import {
  ADA,
  blockOf,
  bounded,
  eventually,
  openTier,
} from "./redis/testing/open_tier.ts";
import { redisTest, TestServer } from "./redis/testing/server.ts";

const FAULTS = 200;
const KEYS = 24;
/** Bytes of a block by number: three pages. */
const SWAPPED = 40_000;
/** Bytes of a block by its key; a few do not fit one packet. */
const lengthOf = (key: number): number => key % 5 === 0 ? 150_000 : 500 + key;

/** Does something to the server; tells what. */
async function hurt(
  server: TestServer,
  roll: (n: number) => number,
): Promise<string> {
  const names = async () => (await server.names()).sort();
  const some = async () => {
    const all = await names();
    return all.length === 0 ? undefined : all[roll(all.length)];
  };
  const kind = roll(100);
  const name = await some();
  if (kind < 30 && name !== undefined) {
    const at = String(roll(540));
    await server.command("SETRANGE", name, at, String.fromCharCode(roll(128)));
    return `change ${name}`;
  }
  if (kind < 45 && name !== undefined) {
    const other = await some();
    if (other !== name) await server.command("COPY", other!, name, "REPLACE");
    return `mix up ${name}`;
  }
  if (kind < 60 && name !== undefined) {
    await server.command("DEL", name);
    return `delete ${name}`;
  }
  if (kind < 65 && name !== undefined) {
    await server.command("SET", name, "x".repeat(roll(200)));
    return `shorten ${name}`;
  }
  if (kind < 72) {
    await server.command("FLUSHALL");
    return "flush";
  }
  if (kind < 86) {
    await server.command("CLIENT", "KILL", "TYPE", "normal").catch(() => {});
    return "cut";
  }
  if (kind < 92) {
    const least = roll(2) === 0 ? "0" : "2mb";
    await server.command("CONFIG", "SET", "maxmemory", least);
    return `memory ${least}`;
  }
  if (kind < 97) {
    server.freeze();
    setTimeout(() => server.thaw(), 30 + roll(80));
    await new Promise((done) => setTimeout(done, roll(40)));
    return "freeze";
  }
  await server.stop();
  await server.start();
  return "restart";
}

redisTest(
  `redisOffload() gives right bytes or none through ${FAULTS} faults`,
  async () => {
    await using server = await TestServer.start();
    await using tier = await openTier({
      url: server.url,
      waitMs: 40,
      waitMsPerKiToken: 0,
      writeMs: 80,
      pauseMs: 10,
    });
    const roll = dice(7);
    const held = new Map<BlockId, number>();
    let ok = 0, lost = 0, version = 0;
    const history: string[] = [];
    const look = (
      found: "ok" | "lost",
      out: Uint8Array,
      wanted: Uint8Array,
    ): void => {
      if (found === "ok") ok++;
      else lost++;
      const right = found === "ok" ? wanted : new Uint8Array(out.length);
      const same = Buffer.compare(out, right) === 0;
      assert.ok(same, `wrong bytes, after ${history.slice(-8).join(", ")}`);
    };
    for (let fault = 0; fault < FAULTS; fault++) {
      for (let i = 0; i < 6; i++) {
        const key = roll(KEYS), id = 1 + roll(8) as BlockId;
        const salt = key % 3 === 0 ? "bob" : "ada";
        const about = { ...ADA, salt };
        switch (roll(6)) {
          case 0:
          case 1: {
            const block = blockOf(key, lengthOf(key));
            const kept = tier.content.keep(`k${key}`, block, about);
            if (roll(3) > 0) await bounded(kept);
            break;
          }
          case 2: {
            const keys = Array.from({ length: KEYS }, (_, i) => `k${i}`);
            const there = await bounded(tier.content.find(keys, about));
            assert.equal(there.length, KEYS);
            break;
          }
          case 3: {
            const outs = [key, (key + 3) % KEYS].map((k) =>
              [k, new Uint8Array(lengthOf(k))] as const
            );
            const found = await bounded(Promise.all(
              outs.map(([k, out]) => tier.content.read(`k${k}`, out, about)),
            ));
            // Blocks of the other tenant are there under another name.
            for (const [j, [k, out]] of outs.entries()) {
              look(found[j]!, out, blockOf(k, lengthOf(k)));
            }
            break;
          }
          case 4: {
            held.set(id, ++version);
            const done = tier.tier.put(id, blockOf(1000 + version, SWAPPED));
            if (roll(3) > 0) await bounded(done);
            break;
          }
          default: {
            // A part or two, or all of it.
            const parts = roll(2) === 0 ? [[0, SWAPPED]] : [0, 1].map(() => {
              const at = roll(SWAPPED);
              return [at, 1 + roll(SWAPPED - at)];
            });
            const wanted = held.get(id);
            const whole = blockOf(1000 + (wanted ?? 0), SWAPPED);
            await Promise.all(parts.map(async ([at, length]) => {
              const out = new Uint8Array(length!);
              const found = await bounded(
                parts.length === 1
                  ? tier.tier.get(id, out)
                  : tier.tier.slice!(id, at!, out),
              );
              look(found, out, whole.subarray(at, at! + length!));
              assert.ok(found === "lost" || wanted !== undefined);
            }));
            if (roll(4) > 0) break;
            tier.tier.drop(id);
            held.delete(id);
          }
        }
      }
      try {
        history.push(await bounded(hurt(server, roll), 20_000));
      } catch (error) {
        // The server is full, which is a fault as well; it goes on with the next one.
        assert.match(String(error), /OOM/);
        await server.command("CONFIG", "SET", "maxmemory", "0");
        history.push("full");
      }
    }
    assert.ok(ok > 100, `${ok} blocks came back, ${lost} were lost`);
    await server.command("CONFIG", "SET", "maxmemory", "0");
    await eventually(async () => {
      await bounded(tier.content.keep("end", blockOf(1), ADA));
      const out = new Uint8Array(1000);
      assert.equal(await bounded(tier.content.read("end", out, ADA)), "ok");
    });
  },
);
