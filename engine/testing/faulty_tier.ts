/**
 * A tier that fails now and then, whatever tier it is.
 *
 * @module
 */
import type { Plugin } from "../../core/plugin.ts";
import type { ContentStore, Tier } from "../../core/slots.ts";

/** What went wrong, by what was asked. */
export type Faults = Record<
  "put" | "get" | "slice" | "keep" | "find" | "read",
  number
>;

/**
 * The plugin with its tier made unreliable: `roll(n)` is a random number below n, and
 * one of `every` calls fails, one of `everySlice` where a step reads parts of many
 * blocks, until there were `most` faults.
 */
export function faulty(
  plugin: Plugin,
  roll: (n: number) => number,
  { every = 12, everySlice = 1500, most = 200 } = {},
): { readonly plugin: Plugin; readonly faults: Faults } {
  const faults: Faults = {
    put: 0,
    get: 0,
    slice: 0,
    keep: 0,
    find: 0,
    read: 0,
  };
  let count = 0;
  const fails = (what: keyof Faults): boolean => {
    const one = what === "slice" ? everySlice : every;
    if (count >= most || roll(one) !== 0) return false;
    count++;
    faults[what]++;
    return true;
  };
  /** One way or another: it throws, rejects, or says that it has nothing. */
  const fail = (out: Uint8Array): "lost" | Promise<"lost"> => {
    out.fill(0xa5);
    switch (roll(4)) {
      case 0:
        throw new Error("no such device");
      case 1:
        return Promise.reject(new Error("connection lost"));
      case 2:
        return new Promise((resolve) => setTimeout(() => resolve("lost"), 1));
      default:
        return "lost";
    }
  };
  const wrap = (tier: Tier): Tier => {
    const { slice, content } = tier;
    return {
      id: tier.id,
      rank: tier.rank,
      capacity: tier.capacity,
      put(block, bytes, signal) {
        if (!fails("put")) return tier.put(block, bytes, signal);
        if (roll(2) === 0) throw new Error("disk full");
        return Promise.reject(new Error("disk full"));
      },
      get: (block, out, signal) =>
        fails("get") ? fail(out) : tier.get(block, out, signal),
      drop: (block) => tier.drop(block),
      ...(slice === undefined ? {} : {
        slice: (block, at, out) =>
          fails("slice") ? fail(out) : slice.call(tier, block, at, out),
      } satisfies Partial<Tier>),
      ...(content === undefined ? {} : { content: wrapContent(content) }),
    };
  };
  const wrapContent = (content: ContentStore): ContentStore => ({
    when: content.when,
    get used() {
      return content.used ?? 0;
    },
    keep(key, bytes, about) {
      if (!fails("keep")) return content.keep(key, bytes, about);
      if (roll(2) === 0) throw new Error("disk full");
    },
    find(keys, about) {
      if (!fails("find")) return content.find(keys, about);
      // Says that it has everything, or nothing.
      return new Uint8Array(keys.length).fill(roll(2));
    },
    read: (key, out, about) =>
      fails("read") ? fail(out) : content.read(key, out, about),
  });
  return {
    faults,
    plugin: {
      ...plugin,
      setup: (host) =>
        plugin.setup({
          ...host,
          provide: (slot, value, scope) =>
            host.provide(
              slot,
              slot === "tier" ? wrap(value as Tier) as typeof value : value,
              scope,
            ),
        }),
    },
  };
}
