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
  for (const name of namesOf(value)) {
    const member = of[name];
    Object.defineProperty(
      out,
      name,
      typeof member === "function"
        ? {
          enumerable: true,
          value: method(value, member, { plugin, slot, name }),
        }
        : { enumerable: true, get: () => of[name] },
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
      return result instanceof Promise
        ? result.catch((e) => fail(e, place))
        : result;
    } catch (e) {
      return fail(e, place);
    }
  };
}

function fail(cause: unknown, { plugin, slot, name }: Place): never {
  if (cause instanceof PluginError) throw cause;
  throw new PluginError(plugin, slot, name, cause);
}

/** Names of what an object and its classes have, Object's own left out. */
function namesOf(value: object): Set<string> {
  const names = new Set<string>();
  for (
    let at: object | null = value;
    at !== null && at !== Object.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    for (const name of Object.getOwnPropertyNames(at)) {
      if (name !== "constructor") names.add(name);
    }
  }
  return names;
}
