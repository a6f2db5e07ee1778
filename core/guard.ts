/**
 * What a plugin throws while it is used carries its name and the slot.
 *
 * @module
 */
import { PluginError } from "./plugin.ts";

/** A stand-in for `value` that does the same; see `PluginError`. */
export function guard<T extends object>(
  value: T,
  plugin: string,
  slot: string,
): T {
  const out = {};
  const of = value as Record<string, unknown>;
  for (const [name, member] of membersOf(value)) {
    const place = { plugin, slot, name };
    Object.defineProperty(
      out,
      name,
      typeof member === "function"
        ? { enumerable: true, value: method(value, member, place) }
        : { enumerable: true, get: method(value, () => of[name], place) },
    );
  }
  return out as T;
}

/** Where a method belongs. */
interface Place {
  readonly plugin: string;
  readonly slot: string;
  readonly name: string;
}

/**
 * Runs the method on the plugin's own object, which may have private fields. Some
 * run for every token: parameters are passed on one by one, as an array of them
 * would be an allocation. No slot has a method of more than four.
 */
function method(
  on: object,
  // deno-lint-ignore ban-types -- any method of any slot
  member: Function,
  place: Place,
): (a?: unknown, b?: unknown, c?: unknown, d?: unknown) => unknown {
  return (a, b, c, d) => {
    try {
      const result = member.call(on, a, b, c, d);
      if (result instanceof Promise) {
        return result.catch((e) => fail(e, place));
      }
      return isGenerator(result) ? guarded(result, place) : result;
    } catch (e) {
      return fail(e, place);
    }
  };
}

function isGenerator(x: unknown): x is Iterator<unknown> {
  return typeof (x as Iterator<unknown> | undefined)?.next === "function";
}

/** What is thrown later, as it goes through its values, is named as well. */
function guarded(inner: Iterator<unknown>, place: Place): Iterable<unknown> {
  const next = method(inner, inner.next, place) as Iterator<unknown>["next"];
  return { [Symbol.iterator]: () => ({ next }) };
}

function fail(cause: unknown, { plugin, slot, name }: Place): never {
  if (cause instanceof PluginError) throw cause;
  throw new PluginError(plugin, slot, name, cause);
}

/** What an object and its classes have, Object's own left out; getters are not asked. */
function membersOf(value: object): Map<string, unknown> {
  const members = new Map<string, unknown>();
  for (
    let at: object | null = value;
    at !== null && at !== Object.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    const own = Object.getOwnPropertyDescriptors(at);
    for (const [name, descriptor] of Object.entries(own)) {
      if (name === "constructor" || members.has(name)) continue;
      members.set(name, descriptor.value);
    }
  }
  return members;
}
