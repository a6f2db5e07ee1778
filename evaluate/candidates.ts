/**
 * Which ways to keep K and V are measured.
 *
 * @module
 */
import { spans } from "../core/explain.ts";
import type { CachePlan } from "../core/plan.ts";
import type { Plugin } from "../core/plugin.ts";
import type { MaybePromise } from "../core/types.ts";
import { kvCache, type KvFormat } from "../plugins/kv_cache.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";

/** One way to keep K and V. */
export interface Candidate {
  /** What it was asked for as; undefined for plugins that say themselves what they are. */
  readonly name: string | undefined;
  /** What it is loaded with. */
  readonly plugins: readonly Plugin[];
}

/** The name of a candidate that codes nothing. */
export const PLAIN = "none";

/** No codec, and nothing kept once a text is done. */
export function plain(): Candidate {
  return { name: PLAIN, plugins: [pagedAttention()] };
}

/** The plugin for K as `k` and V as `v`. Throws a RangeError for unknown formats. */
export type CodecFor = (k: string, v: string) => MaybePromise<Plugin>;

/**
 * Reads a list like "none,int8,int8/int4": the format of both, or of K and of V. What
 * is in `base` comes with every one of them.
 *
 * @throws {RangeError} for an empty list, one twice, and formats that do not exist.
 */
export async function parseCandidates(
  list: string,
  base: readonly Plugin[] = plain().plugins,
  codecFor: CodecFor = byName,
): Promise<readonly Candidate[]> {
  const names = list.split(",").map((name) => name.trim());
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new RangeError(
      `Cannot measure candidate "${twice}" twice: name each one once`,
    );
  }
  return await Promise.all(names.map(async (name) => {
    if (name === PLAIN) return { name, plugins: base };
    const [k, v = k, ...more] = name.split("/");
    if (!k || !v || more.length > 0) {
      throw new RangeError(
        `Cannot measure candidate "${name}": a format, or one for K and one for V, is wanted, "int8" or "int8/int4"`,
      );
    }
    return { name, plugins: [...base, await codecFor(k, v)] };
  }));
}

/** See `kvCache()`, which knows what formats there are. */
function byName(k: string, v: string): Plugin {
  return kvCache({ k: k as KvFormat, v: v as KvFormat });
}

/**
 * What a plan keeps full blocks in: "int8h/int4", or with layers where they differ,
 * "int8 layers 0-3, f16 layers 4-29".
 */
export function formatOf(
  plan: Pick<CachePlan, "groups" | "rawFormat">,
): string {
  const layers = new Map<string, number[]>();
  for (const { codec, layers: own } of plan.groups) {
    const id = codec.id === "raw" ? plan.rawFormat : codec.id;
    layers.set(id, [...layers.get(id) ?? [], ...own]);
  }
  if (layers.size === 1) return [...layers.keys()][0]!;
  return [...layers].map(([id, own]) =>
    `${id} layers ${spans(own.toSorted((a, b) => a - b))}`
  ).join(", ");
}
