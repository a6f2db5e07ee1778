/**
 * Models whose weights do not fit: layers are read from the file, or from host
 * memory, while others compute.
 *
 * A step that streams S of L layers takes, with loading behind computing,
 *
 * ```text
 *  t = max(bytes read / bandwidth, time to compute L layers and the output)
 *
 *  evenly     r s s r s s r s s r s s     bytes read: S layers, and what is read ahead
 *                                         too far at the end of each run
 *  together   r r r r s s s s s s s s     one run, but one long pause: more slots
 * ```
 * so each layer that stays (r) is worth the same wherever it stands, and as many stay
 * as the budget holds. Evenly, no pause between streamed layers (s) is long. Systems
 * read ahead in files, so from disk small layers stand together.
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
   * V of one sequence as long as the context; none where these do not fit anyway.
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
          `${other.streamed}` === `${chosen.streamed}` &&
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
  // No room for a whole context: K and V get what layers that stay would take.
  const most = { ...wanted, resident: wanted.resident ?? 0 };
  const found = fitting(wanted, sizes, workspace) ??
    fitting(most, { ...sizes, contextKv: sizes.leastKv }, workspace, true);
  if (found !== undefined) return found;
  const { budget, fixed, leastKv, streaming, layers } = sizes;
  const taken = fixed + workspace + leastKv + streaming[wanted.from];
  const stays = wanted.resident ?? 0;
  const least = candidate(sizes, first(stays), wanted.depth ?? 1);
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

/** Bytes that are read too far at the end of a run of layers, about. */
const READ_AHEAD = 1 << 20;

/**
 * The least that a step reads beside `contextKv`; undefined where nothing could run.
 */
function fitting(
  wanted: Wanted,
  sizes: WeightSizes,
  workspace: number,
  tight = false,
): Choice | undefined {
  const evenly = mostStaying(wanted, sizes, workspace, spread);
  if (evenly === undefined || wanted.from === "host") {
    return evenly && { ...evenly, tight };
  }
  const together = mostStaying(wanted, sizes, workspace, first);
  // A longer pause is worth no small change.
  const less = together !== undefined &&
    readBytes(sizes, together) < 0.95 * readBytes(sizes, evenly);
  return { ...less ? together : evenly, tight };
}

/** Of L layers, which R stay. */
type Arrange = (stay: number, all: number) => readonly number[];

function spread(stay: number, all: number): number[] {
  return Array.from(
    { length: stay },
    (_, j) => Math.floor((j + 0.5) * all / stay),
  );
}

function first(stay: number): number[] {
  return Array.from({ length: stay }, (_, j) => j);
}

/** What a step reads, with what is read too far. */
function readBytes({ layers }: WeightSizes, { streamed }: Choice): number {
  const away = new Set(streamed);
  let bytes = 0, over = 0;
  layers.forEach((b, i) => {
    over = away.has(i) ? READ_AHEAD : over;
    bytes += away.has(i) ? b : Math.min(over, b);
    if (!away.has(i)) over -= Math.min(over, b);
  });
  return bytes;
}

/** The most layers that stay beside `contextKv`, so arranged. */
function mostStaying(
  { from, resident, depth }: Wanted,
  sizes: WeightSizes,
  workspace: number,
  arrange: Arrange,
): Choice | undefined {
  const { layers, budget, fixed, contextKv, streaming } = sizes;
  const room = budget - fixed - workspace - contextKv;
  const fits = (c: Choice): boolean =>
    weightBytes(sizes, c) + (c.depth > 0 ? streaming[from] : 0) <= room;
  const all = layers.length;
  const most = resident ?? all, least = resident ?? 0;
  for (let stay = most; stay >= least; stay--) {
    const resident = arrange(stay, all);
    const deep = depth ?? hidingDepth(sizes, candidate(sizes, resident, 1));
    const c = candidate(sizes, resident, deep);
    if (fits(c)) return c;
    if (depth !== undefined || stay > least) continue;
    // No layer is left to be sent away: rather fewer slots than nothing.
    for (let fewer = c.depth - 1; fewer > 0; fewer--) {
      const c = candidate(sizes, resident, fewer);
      if (fits(c)) return c;
    }
  }
  return undefined;
}

function candidate(
  { layers }: WeightSizes,
  resident: readonly number[],
  depth: number,
): Choice {
  const stay = new Set(resident);
  const streamed = layers.map((_, i) => i).filter((i) => !stay.has(i));
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

/** How much longer a step's loading takes than its computing, as slots are counted. */
const LOADING = 4;

/**
 * Slots that keep loading busy while nothing that is streamed computes: one in use,
 * one being filled, and as many as are filled during the longest pause, which is the
 * output matrix or a run of layers that stay. Time goes by bytes.
 *
 * A slot more hides the loading of one layer, at most; a layer that stays saves it for
 * sure. So slots are counted for a step that loads much longer than it computes. Where
 * both take about the same, some of the pause is not hidden.
 */
function hidingDepth(
  { layers, output }: WeightSizes,
  { streamed }: Choice,
): number {
  if (streamed.length === 0) return 0;
  const away = new Set(streamed);
  let all = output, loaded = 0, pause = 0, run = 0;
  // Twice round: the run at the end goes on, over the output, at the start.
  for (let i = 0; i < 2 * layers.length; i++) {
    const layer = i % layers.length, bytes = layers[layer]!;
    if (i === layers.length) run += output;
    if (i < layers.length) all += bytes;
    if (!away.has(layer)) run += bytes;
    else {
      pause = Math.max(pause, run);
      run = 0;
      if (i < layers.length) loaded += bytes;
    }
  }
  const each = loaded / streamed.length;
  return 2 + Math.ceil(loaded / (LOADING * all) * pause / each);
}

function described(
  { from, resident, depth }: Wanted,
  sizes: WeightSizes,
  c: Choice,
  { rows, bytes: workspace }: WeightSizes["steps"][number],
): WeightPlan {
  const { budget, layers, fixed, contextKv, streaming } = sizes;
  const { streamed, depth: slots, slotBytes } = c;
  const moved = streamed.reduce((sum, i) => sum + layers[i]!, 0);
  const held = fixed + weightBytes(sizes, c);
  const notes = [
    `of ${budget} bytes, ${held} are weights, ${workspace} working memory` +
    (slots > 0 ? `, ${streaming[from]} to stream with` : "") +
    (c.tight
      ? `; K and V get the rest: one whole context's ${contextKv} are not left`
      : `; ${contextKv} are kept for K and V, one whole context's`),
  ];
  if (slots > 0) {
    const said = resident !== undefined
      ? "as many layers stay as was asked for"
      : c.tight
      ? "no layer stays"
      : "as many layers stay as fit";
    notes.push(
      `${said}; every step reads ${moved} bytes, so it takes at least ${moved} over the bandwidth, or what it computes if that is longer`,
      depth !== undefined
        ? `${slots} slots as asked for`
        : slots === 1
        ? "one slot: there is no room for a second, loading and computing take turns"
        : `${slots} slots: one in use, the others filled ahead while layers that stay and the output compute`,
      `steps of up to ${rows} rows${
        sizes.steps.length === 1
          ? ", as asked for"
          : rows > sizes.steps[0]!.rows
          ? ": more rows for each layer that is read, and no layer goes for it"
          : ": there is no room for larger ones"
      }`,
    );
  }
  return { from, streamed, depth: slots, slotBytes, rows, notes };
}
