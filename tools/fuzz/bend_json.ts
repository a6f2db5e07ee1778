/**
 * Bending JSON by its structure.
 *
 * @module
 */
import type { Random } from "./random.ts";

/** A value of any kind, some of them large, deep or odd. */
export function anyJson(r: Random): unknown {
  switch (r.below(9)) {
    case 0:
      return r.pick([
        0,
        -1,
        1,
        0.5,
        1e308,
        -1e-320,
        2 ** 31,
        2 ** 32,
        2 ** 53,
        2 ** 64,
      ]);
    case 1:
      return r.pick([
        "",
        "F32",
        "0",
        "null",
        "\u0000",
        "\u2028\x7f",
        "__proto__",
        "x".repeat(r.below(5000)),
      ]);
    case 2:
      return r.pick([true, false, null]);
    case 3:
      return Array.from({ length: r.below(6) }, () => r.below(100));
    case 4:
      return { [r.pick(["a", "constructor", "length", ""])]: r.below(9) };
    case 5:
      return deep(r.pick([2, 50, 3000, r.once(20) ? 100_000 : 9]), r.once(2));
    case 6:
      return [];
    case 7:
      return {};
    default:
      return r.below(1000);
  }
}

/**
 * Stands for something nested so deep that it cannot be written from a value;
 * `writeJson()` puts it in.
 */
function deep(depth: number, lists: boolean): string {
  return `deep ${lists ? "lists" : "objects"} ${depth}`;
}

type Holder = Record<string, unknown> | unknown[];

/** Every list and object in a value, itself among them. */
function holders(value: unknown, found: Holder[] = []): Holder[] {
  if (typeof value !== "object" || value === null || found.length > 2000) {
    return found;
  }
  found.push(value as Holder);
  for (const inner of Object.values(value)) holders(inner, found);
  return found;
}

/** Changes a value itself, once: a field or an item left out, renamed, doubled, swapped, replaced. */
export function bendJson(value: unknown, r: Random, other: unknown): void {
  const all = holders(value).filter((h) => Object.keys(h).length > 0);
  if (all.length === 0) return;
  const holder = r.pick(all) as Record<string, unknown>,
    list = Array.isArray(holder);
  const keys = Object.keys(holder), key = r.pick(keys), was = holder[key];
  const put = (k: string, v: unknown): void => {
    if (list) (holder as unknown as unknown[]).push(v);
    else {Object.defineProperty(holder, k, {
        value: v,
        enumerable: true,
        configurable: true,
        writable: true,
      });}
  };
  switch (r.below(9)) {
    case 0:
      if (list) (holder as unknown as unknown[]).splice(Number(key), 1);
      else delete holder[key];
      return;
    case 1:
      if (!list) delete holder[key];
      return put(key + r.pick(["s", "_", " ", "\n"]), was);
    case 2: {
      const from = holders(other), source = from.length > 0 ? r.pick(from) : {};
      const pair = Object.entries(source)[0] ?? ["x", 1];
      return put(pair[0], JSON.parse(JSON.stringify(pair[1] ?? null)));
    }
    case 3:
      return put(r.pick(["__proto__", "constructor", "extra"]), anyJson(r));
    case 4: {
      const second = r.pick(keys);
      [holder[key], holder[second]] = [holder[second], was];
      return;
    }
    case 5:
      if (typeof was === "number") {
        holder[key] = was + r.pick([-1, 1, 0.5, -was, 2 ** 32]);
      } else holder[key] = anyJson(r);
      return;
    case 6:
      holder[key] = typeof was === "string" ? Number(was) : String(was);
      return;
    case 7:
      holder[key] = [was];
      return;
    default:
      holder[key] = anyJson(r);
  }
}

/** JSON of a value, odd in ways that JSON allows or not. */
export function writeJson(value: unknown, r: Random): string {
  const text = JSON.stringify(value).replace(
    /"deep (lists|objects) (\d+)"/g,
    (_, kind, depth) => {
      const [open, close] = kind === "lists" ? ["[", "]"] : ['{"a":', "}"];
      return open.repeat(depth) + "1" + close.repeat(depth);
    },
  );
  if (!r.once(6)) return text;
  return r.pick([
    ` \n\t${text} `,
    "\uFEFF" + text,
    text + text,
    text.replace(/:(\d+)/, ":$1.0"),
    text.replace(/:(\d+)/, ":1e999"),
    text.replace(/:(\d+)/, ":-0"),
    text.replace(/"([^"]+)":/, '"$1":1,"$1":'),
    text.replaceAll("}", ",}"),
  ]);
}
