/**
 * The tier of `redisOffload()` without an engine around it.
 *
 * @module
 */
import { provided } from "../../../core/testing/suites/suite.ts";
import type { ContentStore, Sought, Tier } from "../../../core/slots.ts";
import { redisOffload, type RedisOffloadOptions } from "../../redis_offload.ts";

/** Whose blocks tests keep. */
export const ADA: Sought = { salt: "ada", tokens: 256, fingerprint: "f00d" };

/** A tier, and what its plugin said and left for the end. */
export interface OpenTier {
  readonly tier: Tier;
  readonly content: ContentStore;
  readonly troubles: string[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** Settings with which faults do not take long. */
export const IMPATIENT: Omit<RedisOffloadOptions, "url"> = {
  waitMs: 200,
  writeMs: 300,
  connectMs: 400,
};

/** Sets the plugin up; patient, as the machine may be busy with other tests. */
export async function openTier(
  options: RedisOffloadOptions,
): Promise<OpenTier> {
  const troubles: string[] = [];
  const closers: (() => unknown)[] = [];
  const plugin = redisOffload({
    waitMs: 3_000,
    waitMsPerKiToken: 100,
    writeMs: 3_000,
    connectMs: 3_000,
    pauseMs: 40,
    onTrouble: (e) => void troubles.push(e.message),
    ...options,
  });
  const close = async () => {
    for (const closer of closers.splice(0)) await closer();
  };
  try {
    const tier = await provided(plugin, "tier", {
      onClose: (fn) => void closers.push(fn),
    });
    return {
      tier,
      content: tier.content!,
      troubles,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Bytes of a block, other ones for each number. */
export function blockOf(number: number, length: number = 1000): Uint8Array {
  const out = new Uint8Array(length);
  let x = number + 1;
  for (let i = 0; i < length; i++) {
    x = Math.imul(x, 1664525) + 1013904223;
    out[i] = x >>> 24;
  }
  return out;
}

/** What a promise comes to; an error where it hangs. */
export async function bounded<T>(
  promise: T | PromiseLike<T>,
  ms: number = 5_000,
): Promise<Awaited<T>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("it hangs")), ms);
  });
  try {
    return await Promise.race([promise, late]) as Awaited<T>;
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until `holds` does, and throws what it last threw when it never does. */
export async function eventually(holds: () => Promise<void>): Promise<void> {
  for (let tries = 0;; tries++) {
    try {
      return await holds();
    } catch (error) {
      if (tries === 200) throw error;
      await new Promise((done) => setTimeout(done, 20));
    }
  }
}
