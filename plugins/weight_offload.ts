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
 * Of models with experts it is those that come, each when a row takes it, unless whole
 * layers are spoken of: weight_offload/experts.ts.
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
import { placeExperts } from "./weight_offload/experts.ts";
import {
  type Choice,
  choose,
  fitting,
  type Wanted,
  weightBytes,
} from "./weight_offload/choose.ts";

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
  /**
   * Of a model with experts: how many are there at once, of all layers together, from as
   * many as a layer has. Default: as many as fit, unless `resident` or `depth` ask for
   * whole layers.
   */
  readonly experts?: number;
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
  { from = "disk", resident, depth, experts }: WeightOffloadOptions = {},
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
  whole("experts", experts, 1);
  const layers = resident !== undefined || depth !== undefined;
  if (layers && experts !== undefined) {
    throw new RangeError(
      `Cannot stream weights with "experts" ${experts} and ${
        resident === undefined ? `"depth" ${depth}` : `"resident" ${resident}`
      }: either experts come one by one or whole layers stream, leave one out`,
    );
  }
  return {
    name: "weight-offload",
    setup: (host) =>
      host.provide(
        "weights",
        placement({ from, resident, depth }, experts, layers),
      ),
  };
}

/** `whole`: layers stream as a whole, whatever they have. */
function placement(
  wanted: Wanted,
  experts: number | undefined,
  whole: boolean,
): WeightPlacement {
  return {
    id: `weights/${wanted.from}`,
    place: (sizes) => {
      const { layers } = sizes;
      let asked = wanted;
      if (sizes.experts !== undefined && !whole) {
        const plan = placeExperts({ from: wanted.from, experts }, sizes);
        if (plan !== undefined) return plan;
        // All of them, and so all layers.
        if (experts !== undefined) {
          asked = { ...wanted, resident: layers.length };
        }
      } else if (experts !== undefined) {
        throw new RangeError(
          `Cannot keep "experts" ${experts}: the model has none`,
        );
      }
      if (wanted.resident !== undefined && wanted.resident > layers.length) {
        throw new RangeError(
          `Cannot keep "resident" ${wanted.resident} layers: the model has ${layers.length}`,
        );
      }
      const first = sizes.steps[0]!;
      const chosen = choose(asked, sizes, first.bytes);
      // A streamed layer should serve many rows, if that sends no layer away.
      const larger = chosen.streamed.length === 0 ? [] : sizes.steps.slice(1);
      const step = larger.findLast(({ bytes }) => {
        const other = fitting(asked, sizes, bytes);
        return other !== undefined &&
          `${other.streamed}` === `${chosen.streamed}` &&
          other.depth === chosen.depth;
      }) ?? first;
      return described(asked, sizes, chosen, step);
    },
  };
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
