/**
 * What conformance suites are made of: laws that are functions, so that tests can
 * also look that a broken subject breaks them.
 *
 * @module
 */
import type { Plugin, PluginHost } from "../../plugin.ts";
import type { SlotName, Slots } from "../../slots.ts";
import type { MaybePromise } from "../../types.ts";
import { fakeModel } from "../fake_plan.ts";

/** Makes a subject that nobody has used yet. */
export type Make<T> = () => MaybePromise<T>;

/** One thing that a slot promises. */
export interface Law<T> {
  /** Goes on with what has the law: "gives what was set". */
  readonly says: string;
  /** Throws where a subject breaks it. */
  readonly check: (make: Make<T>) => MaybePromise<void>;
}

/** Registers a test for each law. `name`: the factory and the slot, as "lru()". */
export function register<T>(
  name: string,
  laws: readonly Law<T>[],
  make: Make<T>,
): void {
  for (const { says, check } of laws) {
    Deno.test(`${name} ${says}`, async () => await check(make));
  }
}

/** What a subject breaks, in the words of the laws. */
export async function brokenLaws<T>(
  laws: readonly Law<T>[],
  make: Make<T>,
): Promise<string[]> {
  const out: string[] = [];
  for (const { says, check } of laws) {
    try {
      await check(make);
    } catch {
      out.push(says);
    }
  }
  return out;
}

/** Compares long lists; node's own comparison takes minutes to print how they differ. */
export function assertEqual(
  actual: ArrayLike<number> | string,
  wanted: ArrayLike<number>,
  what: string = "it",
): void {
  if (typeof actual === "string") throw new Error(`${what} is ${actual}`);
  if (actual.length !== wanted.length) {
    throw new Error(`${what} has ${actual.length}, wanted ${wanted.length}`);
  }
  for (let i = 0; i < wanted.length; i++) {
    if (Object.is(actual[i], wanted[i])) continue;
    throw new Error(`${what} has ${actual[i]} at ${i}, wanted ${wanted[i]}`);
  }
}

/** The first value that a plugin provides for each slot. */
export async function providedAll(
  plugin: Plugin,
  host: Partial<PluginHost> = {},
): Promise<Partial<Slots>> {
  const found: Record<string, unknown> = {};
  const bytes = 1 << 20;
  await plugin.setup({
    model: fakeModel(2),
    backend: {
      id: "reference",
      limits: {
        bytes,
        maxSpan: bytes,
        align: 16,
        rows: 64,
        seqs: 16,
        wanted: 64,
        top: 0,
      },
    },
    signal: new AbortController().signal,
    onClose: () => {},
    ...host,
    provide: (name, value) => void (found[name] ??= value),
  });
  return found as Partial<Slots>;
}

/** The first value that a plugin provides for a slot; throws where it has none. */
export async function provided<S extends SlotName>(
  plugin: Plugin,
  slot: S,
  host?: Partial<PluginHost>,
): Promise<Slots[S]> {
  const value = (await providedAll(plugin, host))[slot];
  if (value !== undefined) return value;
  throw new Error(
    `Cannot test slot "${slot}" of plugin "${plugin.name}": it provides nothing for it`,
  );
}
