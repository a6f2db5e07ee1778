/**
 * A Redis or Valkey server as a place for blocks that several machines share.
 *
 * What one engine has computed of a prompt, another finds there, by its content and
 * in one round trip. A block is one value with a checksum; what is not exactly right
 * is computed anew, and so is what the server is too slow to give. A server that does
 * not answer is not asked for a while, so it costs nothing.
 *
 * Whoever can write to the server can change K and V of all who read from it: give
 * it a password, and to nobody else.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";
import type { Tier } from "../core/slots.ts";
import { type Address, parseAddress } from "./redis/address.ts";
import { Asker } from "./redis/asker.ts";
import { RedisLink } from "./redis/link.ts";
import { type Limits, Outbox, RedisStore } from "./redis/store.ts";
import { RedisSwap } from "./redis/swap.ts";

/** Settings of `redisOffload()`. */
export interface RedisOffloadOptions {
  /**
   * `redis://[user:password@]host[:port][/database]`, or `rediss:` for TLS. One
   * server, Redis 6.2 or Valkey and newer; no cluster.
   */
  readonly url: string;
  /**
   * Most bytes there of blocks of this engine's requests that gave way, or need more
   * than the device has. Blocks that all share are bounded by the server
   * (`maxmemory`). Default 1 GiB.
   */
  readonly bytes?: number;
  /** What the names of all values begin with: letters, digits, "-", "_" and ".". */
  readonly prefix?: string;
  /** Seconds after its last use at which a shared block is gone. Default: never. */
  readonly ttlSeconds?: number;
  /** Place in the order of tiers, 1 or more. Default 3. */
  readonly rank?: number;
  /** Milliseconds a look-up or read may take, whatever it saves. Default 100. */
  readonly waitMs?: number;
  /** Milliseconds more for each 1,024 tokens it would save. Default 250. */
  readonly waitMsPerKiToken?: number;
  /** Milliseconds a write may take, for which nobody waits. Default 2,000. */
  readonly writeMs?: number;
  /** Milliseconds in which a connection has to be there. Default 2,000. */
  readonly connectMs?: number;
  /** Milliseconds for which a server that failed is not asked. Default 5,000. */
  readonly pauseMs?: number;
  /**
   * Whether loading fails when the server cannot be used then. Default false: it is
   * asked again later, and nothing is found until it answers.
   */
  readonly required?: boolean;
  /** Told each time that the server is not asked for a while, and why. */
  readonly onTrouble?: (why: Error) => void;
}

/** Failures in a row after which the server is left alone. */
const FAILURES = 3;
const PENDING_BYTES = 64 * 2 ** 20;
/** What is written when the engine closes has so long to arrive. */
const CLOSE_MS = 1_000;

/**
 * Shares blocks with others over a Redis or Valkey server.
 *
 * ```ts ignore
 * await load("smollm2", {
 *   plugins: [
 *     pagedAttention(),
 *     prefixCache(),
 *     redisOffload({ url: "redis://:password@10.0.0.7", ttlSeconds: 86_400 }),
 *   ],
 * });
 * ```
 *
 * It needs `--allow-net` of the server's host and port, and nothing else.
 *
 * @throws {TypeError} for a `url` or `prefix` of another form.
 * @throws {RangeError} for numbers that make no sense.
 */
export function redisOffload(options: RedisOffloadOptions): Plugin {
  const at = parseAddress(options.url);
  const { prefix = "quire", bytes = 2 ** 30, ttlSeconds } = options;
  if (!/^[\w.-]+$/.test(prefix)) {
    throw new TypeError(
      `Cannot use Redis with "prefix" "${prefix}": letters, digits, "-", "_" and "." are wanted`,
    );
  }
  const check = (name: string, value: number, least: number): number => {
    if (Number.isSafeInteger(value) && value >= least) return value;
    throw new RangeError(
      `Cannot use Redis with "${name}" ${value}: a whole number of at least ${least} is wanted`,
    );
  };
  check("bytes", bytes, 1);
  if (ttlSeconds !== undefined) check("ttlSeconds", ttlSeconds, 1);
  const limits: Limits = {
    waitMs: check("waitMs", options.waitMs ?? 100, 1),
    waitMsPerKiToken: check(
      "waitMsPerKiToken",
      options.waitMsPerKiToken ?? 250,
      0,
    ),
    writeMs: check("writeMs", options.writeMs ?? 2_000, 1),
    pendingBytes: PENDING_BYTES,
  };
  const connectMs = check("connectMs", options.connectMs ?? 2_000, 1);
  const pauseMs = check("pauseMs", options.pauseMs ?? 5_000, 1);
  return {
    name: "redis-offload",
    setup: async (host) => {
      const asker = new Asker({
        reads: new RedisLink(at, connectMs),
        writes: new RedisLink(at, connectMs),
      }, { failures: FAILURES, pauseMs, onTrouble });
      const outbox = new Outbox(limits.pendingBytes);
      const swap = new RedisSwap(asker, outbox, prefix, limits);
      host.onClose(async () => {
        swap.clear();
        await asker.close(CLOSE_MS);
      });
      try {
        await asker.hello(connectMs);
      } catch (error) {
        if (options.required) {
          await asker.close(0);
          throw troubleAt(at, error as Error, "start it, or load without it");
        }
        onTrouble(error as Error);
      }
      const tier: Tier = {
        id: "redis",
        rank: options.rank ?? 3,
        capacity: bytes,
        put: (block, bytes) => swap.put(block, bytes),
        get: (block, out) => swap.get(block, out),
        drop: (block) => swap.drop(block),
        slice: (block, at, out) => swap.slice(block, at, out),
        content: new RedisStore(asker, outbox, { prefix, ttlSeconds, limits }),
      };
      host.provide("tier", tier);
    },
  };

  function onTrouble(error: Error): void {
    try {
      options.onTrouble?.(
        troubleAt(at, error, `it is left alone for ${pauseMs / 1000} s`),
      );
    } catch {
      // Who listens is not who asked.
    }
  }
}

function troubleAt(at: Address, error: Error, what: string): Error {
  return new Error(
    `Cannot use Redis at "${at.shown}": ${error.message}; ${what}`,
  );
}
