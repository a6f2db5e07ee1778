/**
 * Models whose weights do not fit: layers are read from the file, or from host
 * memory, while others compute.
 *
 * A step that streams S of L layers takes, with loading behind computing,
 *
 * ```text
 *  t = max(S × bytes of a layer / bandwidth, time to compute L layers and the output)
 * ```
 * so each layer that stays is worth the same wherever it stands, and as many stay as
 * the budget holds. They stand evenly among the streamed ones: while a layer that
 * stays computes, the next ones are loaded, and none of the pauses between streamed
 * layers is longer than the others.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";
import type {
  WeightPlacement,
  WeightPlan,
  WeightSizes,
  WeightSource,
} from "../core/weight_plan.ts";

/** Settings of `weightOffload()`. */
export interface WeightOffloadOptions {
  /**
   * "disk" reads the model's own file again in every step and needs no memory for
   * it; "host" keeps layers in host memory, ready to be used. Default "disk".
   */
  readonly from?: WeightSource;
  /**
   * Layers that stay on the device. Default: as many as the budget holds beside K and
   * V of one sequence as long as the context.
   */
  readonly resident?: number;
  /** Slots that streamed layers go through. Default: what hides the longest pause. */
  readonly depth?: number;
}

/**
 * Streams the layers for which there is no room.
 *
 * ```ts ignore
 * await load("model.gguf", {
 *   budget: "2GiB",
 *   plugins: [pagedAttention(), prefixCache(), weightOffload({ from: "disk" })],
 * });
 * ```
 *
 * @throws {RangeError} for options that no model could have.
 */
export function weightOffload(
  { from = "disk", resident, depth }: WeightOffloadOptions = {},
): Plugin {
  if (from !== "disk" && from !== "host") {
    throw new RangeError(
      `Cannot stream weights from "${from}": "disk", "host" are possible`,
    );
  }
  const whole = (name: string, value: number | undefined, least: number) => {
    if (value === undefined) return;
    if (Number.isSafeInteger(value) && value >= least) return;
    throw new RangeError(
      `Cannot stream weights with "${name}" ${value}: a whole number from ${least} is wanted`,
    );
  };
  whole("resident", resident, 0);
  whole("depth", depth, 1);
  return {
    name: "weight-offload",
    setup: (host) =>
      host.provide("weights", placement({ from, resident, depth })),
  };
}

/** The options, with what is not said left open. */
interface Wanted {
  readonly from: WeightSource;
  readonly resident: number | undefined;
  readonly depth: number | undefined;
}

function placement(wanted: Wanted): WeightPlacement {
  return {
    id: `weights/${wanted.from}`,
    place: (sizes) => {
      const { layers } = sizes;
      if (wanted.resident !== undefined && wanted.resident > layers.length) {
        throw new RangeError(
          `Cannot keep "resident" ${wanted.resident} layers: the model has ${layers.length}`,
        );
      }
      const first = sizes.steps[0]!;
      const chosen = choose(wanted, sizes, first.bytes);
      // A streamed layer should serve many rows, if that sends no layer away.
      const larger = chosen.streamed.length === 0 ? [] : sizes.steps.slice(1);
      const step = larger.findLast(({ bytes }) => {
        const other = fitting(wanted, sizes, bytes);
        return other !== undefined &&
          other.streamed.length === chosen.streamed.length &&
          other.depth === chosen.depth;
      }) ?? first;
      return described(wanted, sizes, chosen, step);
    },
  };
}

/** Which layers are streamed, and through how many slots. */
interface Choice {
  readonly streamed: readonly number[];
  readonly depth: number;
  readonly slotBytes: number;
  /** K and V were left less than a whole context's. */
  readonly tight: boolean;
}

/** Throws a RangeError with the numbers where nothing fits. */
function choose(wanted: Wanted, sizes: WeightSizes, workspace: number): Choice {
  const found = fitting(wanted, sizes, workspace) ??
    fitting(wanted, { ...sizes, contextKv: sizes.leastKv }, workspace, true);
  if (found !== undefined) return found;
  const { budget, fixed, leastKv, streaming, layers } = sizes;
  const taken = fixed + workspace + leastKv + streaming[wanted.from];
  const stays = wanted.resident ?? 0;
  const least = candidate(sizes, stays, wanted.depth ?? 1);
  const slots = `${least.depth} ${least.depth === 1 ? "slot" : "slots"}`;
  throw new RangeError(
    `Cannot stream weights in a "budget" of ${budget} bytes: ${taken} are taken ` +
      `(${fixed} of weights that always stay, ${workspace} of working memory, ` +
      `${
        streaming[wanted.from]
      } to stream with, ${leastKv} of K and V), which leaves ` +
      `${
        Math.max(0, budget - taken)
      }; ${stays} of ${layers.length} layers that stay and ${slots} of ` +
      `${least.slotBytes} take ${
        weightBytes(sizes, least)
      }: raise it, or lower "chunk"` +
      (stays > 0 ? ' or "resident"' : "") +
      (wanted.depth !== undefined && wanted.depth > 1 ? ' or "depth"' : ""),
  );
}

/** The most layers that stay beside `contextKv`; undefined where none could run. */
function fitting(
  { from, resident, depth }: Wanted,
  sizes: WeightSizes,
  workspace: number,
  tight = false,
): Choice | undefined {
  const { layers, budget, fixed, contextKv, streaming } = sizes;
  const room = budget - fixed - workspace - contextKv;
  const fits = (c: Choice): boolean =>
    weightBytes(sizes, c) + (c.depth > 0 ? streaming[from] : 0) <= room;
  const all = layers.length;
  const most = resident ?? all, least = resident ?? 0;
  for (let stay = most; stay >= least; stay--) {
    const streamed = candidate(sizes, stay, 1).streamed;
    const deep = depth ?? hidingDepth(sizes, streamed);
    const c = { ...candidate(sizes, stay, deep), tight };
    if (fits(c)) return c;
    if (depth !== undefined || stay > least) continue;
    // The last layer to send away is gone: rather fewer slots than nothing.
    for (let fewer = deep - 1; fewer > 0; fewer--) {
      const c = { ...candidate(sizes, stay, fewer), tight };
      if (fits(c)) return c;
    }
  }
  return undefined;
}

function candidate(
  { layers }: WeightSizes,
  stay: number,
  depth: number,
): Choice {
  const all = layers.length, resident = new Set<number>();
  for (let j = 0; j < stay; j++) {
    resident.add(Math.floor((j + 0.5) * all / stay));
  }
  const streamed = layers.map((_, i) => i).filter((i) => !resident.has(i));
  return {
    streamed,
    depth: Math.min(depth, streamed.length),
    slotBytes: Math.max(0, ...streamed.map((i) => layers[i]!)),
    tight: false,
  };
}

function weightBytes(
  { layers }: WeightSizes,
  { streamed, depth, slotBytes }: Choice,
): number {
  const away = new Set(streamed);
  return layers.reduce((sum, b, i) => away.has(i) ? sum : sum + b, 0) +
    depth * slotBytes;
}

/**
 * Slots that keep loading busy while nothing that is streamed computes: one in use,
 * one being filled, and as many as are filled during the longest pause, which is the
 * output matrix or a run of layers that stay. Time goes by bytes. Loading is at its
 * slowest, relative to computing, where both take the same for a whole step: it is
 * bound by the one thing or the other beyond that, and waits anyway.
 */
function hidingDepth(
  { layers, output }: WeightSizes,
  streamed: readonly number[],
): number {
  const away = new Set(streamed);
  let all = output, loaded = 0, run = 0, pause = output;
  layers.forEach((bytes, i) => {
    all += bytes;
    if (away.has(i)) loaded += bytes;
    run = away.has(i) ? 0 : run + bytes;
    pause = Math.max(pause, run);
  });
  const each = loaded / Math.max(1, streamed.length);
  if (each === 0) return 0;
  return 2 + Math.ceil(loaded / all * pause / each);
}

function described(
  { from, resident, depth }: Wanted,
  sizes: WeightSizes,
  c: Choice,
  { rows, bytes: workspace }: WeightSizes["steps"][number],
): WeightPlan {
  const { budget, layers, fixed, contextKv, leastKv, streaming } = sizes;
  const { streamed, depth: slots, slotBytes } = c;
  const moved = streamed.reduce((sum, i) => sum + layers[i]!, 0);
  const kv = c.tight ? leastKv : contextKv;
  const held = fixed + weightBytes(sizes, c);
  const notes = [
    `of ${budget} bytes, ${held} are weights, ${workspace} working memory` +
    (slots > 0 ? `, ${streaming[from]} to stream with` : "") +
    `; ${kv} are kept for K and V${
      c.tight
        ? ", the least: there is no room for a whole context's"
        : ", one whole context's"
    }`,
  ];
  if (slots > 0) {
    const said = resident === undefined
      ? "as many layers stay as fit"
      : "as many layers stay as was asked for";
    notes.push(
      `${said}; every step reads ${moved} bytes, so it takes at least ${moved} over the bandwidth, or what it computes if that is longer`,
      depth !== undefined
        ? `${slots} slots as asked for`
        : slots === 1
        ? "one slot: there is no room for a second, loading and computing take turns"
        : `${slots} slots: one in use, the others filled ahead`,
      `steps of up to ${rows} rows: ${
        rows > sizes.steps[0]!.rows
          ? "more rows for every layer that is read, at the cost of no layer"
          : "larger ones would send layers away, or were not asked for"
      }`,
    );
  }
  return { from, streamed, depth: slots, slotBytes, rows, notes };
}
