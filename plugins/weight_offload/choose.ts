/**
 * How many layers stay, which, and through how many slots the others go.
 *
 * @module
 */
import type { WeightSizes, WeightSource } from "../../core/weight_plan.ts";

/** The options, with what is not said left open. */
export interface Wanted {
  readonly from: WeightSource;
  readonly resident: number | undefined;
  readonly depth: number | undefined;
}

/** Which layers are streamed, and through how many slots. */
export interface Choice {
  readonly streamed: readonly number[];
  readonly depth: number;
  readonly slotBytes: number;
  /** K and V were left less than a whole context's. */
  readonly tight: boolean;
}

/** Throws a RangeError with the numbers where nothing fits. */
export function choose(
  wanted: Wanted,
  sizes: WeightSizes,
  workspace: number,
): Choice {
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
export function fitting(
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

/** Bytes of layers on the device: those that stay, and the slots. */
export function weightBytes(
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
