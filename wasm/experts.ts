/**
 * The records of a layer's experts, and the room they work in; the slots that rows get
 * are drawn in assembly/experts.ts.
 *
 * ```text
 *  norm → scores → ROUTE → ALLOT → rows to slots → GATED_EACH → DOWN_EACH → COMBINE
 *                            │                        │
 *                            └─ turns the records of  └─ of each expert that has rows:
 *                               experts to their slots   GATED, gate, up, GATE, down
 * ```
 *
 * @module
 */
import {
  allExperts,
  type ExpertsSpec,
  type LayerSpec,
  type MlpSpec,
  type ModelSpec,
} from "../core/model.ts";
import { cacheFields, waitingFields } from "./expert_cache.ts";
import type { Ring } from "./load.ts";
import { f32, FLAG, KIND, RECORD_BYTES, type Records } from "./records.ts";
import type { Forms, Space } from "./space.ts";

/** Records of an expert, in the order that assembly/experts.ts counts on. */
const EXPERT_RECORDS = 5;

/** Records of a layer with experts beside those of each, at most. */
const LAYER_RECORDS = 8;

/** Words of a record from which on its fields stand as they are for slot 0. */
const HOME_WORD = 22;

/** Sizes that a model's experts ask for; zeros where it has none. */
export interface ExpertExtent {
  /** Most experts of a layer, the shared one included. */
  readonly experts: number;
  /** Most that a row takes. */
  readonly taken: number;
  /** Values of a row of scores. */
  readonly scores: number;
  /** Slots, whole tiles of four. */
  readonly slots: number;
  readonly ffn: number;
}

/** Where experts work. */
export interface ExpertPlaces {
  readonly extent: ExpertExtent;
  readonly scores: number;
  readonly chosen: number;
  readonly shares: number;
  readonly places: number;
  readonly picks: number;
  readonly counts: number;
  readonly next: number;
  readonly list: number;
  /** Single words. */
  readonly listed: number;
  readonly slots: number;
  readonly gate: number;
  readonly up: number;
  readonly y: number;
  /** Rows as experts read them, and as their down products do. */
  readonly first: Forms;
  readonly second: Forms;
}

function up(n: number, to: number): number {
  return Math.ceil(n / to) * to;
}

/** What steps of `rows` rows need. */
export function expertExtent(spec: ModelSpec, rows: number): ExpertExtent {
  let count = 0, most = 0, scores = 0, slots = 0, ffn = 0;
  for (const { experts } of spec.layers) {
    if (experts === undefined) continue;
    const all = allExperts(experts);
    const taken = experts.used + (experts.shared === undefined ? 0 : 1);
    count = Math.max(count, all.length);
    most = Math.max(most, taken);
    scores = Math.max(scores, sharedAt(experts) + 8);
    // Each expert with rows wastes up to three.
    const more = 3 * Math.min(all.length, rows * taken);
    slots = Math.max(slots, up(rows * taken + more, 4));
    ffn = Math.max(ffn, ...all.map((m) => up(m.ffn, 32)));
  }
  return { experts: count, taken: most, scores, slots, ffn };
}

/** Where in a row of scores the shared expert's stands: behind whole panels. */
function sharedAt({ each }: ExpertsSpec): number {
  return up(each.length, 8);
}

/** Takes their room; undefined where a model has no experts. */
export function takeExperts(
  spec: ModelSpec,
  space: Space,
  rows: number,
): ExpertPlaces | undefined {
  const extent = expertExtent(spec, rows);
  const { experts, taken, scores, slots, ffn } = extent;
  if (experts === 0) return undefined;
  const words = (n: number): number =>
    space.take("activations", "experts' slots", n * 4);
  const act = (n: number): number =>
    space.take("activations", "experts", n * 4);
  const counts = words(2);
  return {
    extent,
    scores: act(rows * scores),
    chosen: words(rows * taken),
    shares: words(rows * taken),
    places: words(rows * taken),
    picks: words(slots),
    counts: words(experts),
    next: words(experts),
    list: words(experts),
    listed: counts,
    slots: counts + 4,
    gate: act(slots * ffn),
    up: act(slots * ffn),
    y: act(slots * spec.hidden),
    first: space.forms("experts", slots, spec.hidden),
    second: space.forms("experts", slots, ffn),
  };
}

/** What the records of a layer's experts are made from. */
export interface ExpertOptions {
  readonly out: Records;
  /** Address of the first record. */
  readonly base: number;
  readonly spec: ModelSpec;
  readonly layer: LayerSpec;
  /** Which it is. */
  readonly index: number;
  readonly at: ExpertPlaces;
  /** Writes a product of as many rows as stand at `rows`; see program.ts. */
  readonly product: (
    name: string,
    forms: Forms,
    to: number,
    stride: number,
    rows: number,
  ) => void;
  /** Forms that the readers of a set of activations want. */
  readonly wants: (...names: string[]) => number;
  /** Addresses of the norm's weight, of the number of rows and of the rows. */
  readonly norm: number;
  readonly rows: number;
  readonly x: number;
  /** Where the router finds the normed rows. */
  readonly normed: Forms;
  /** Where a matrix begins in its expert's slot; 0 where it stays. */
  readonly within: (name: string) => number;
  /** Where experts come and go, and the address of its words. */
  readonly cache?: { readonly ring: Ring; readonly words: number };
}

/**
 * Writes a layer's experts. The result writes the sum of what they give to rows at
 * `to`, or adds it there; behind a barrier, nothing of them is left.
 */
export function addExperts(
  o: ExpertOptions,
): (to: number, add: boolean) => void {
  const { out, base, spec, at, product, wants } = o;
  const experts = o.layer.experts!, { router, shared, each, used } = experts;
  const all = allExperts(experts), hidden = spec.hidden * 4;
  const stride = at.extent.scores * 4, own = sharedAt(experts) * 4;
  product(router, o.normed, at.scores, stride, o.rows);
  if (shared !== undefined) {
    product(shared.gate, o.normed, at.scores + own, stride, o.rows);
  }
  out.barrier();
  const more = shared === undefined ? 0 : FLAG.shared;
  const fields = (records: number, to: number): number[] => [
    ...[o.rows, at.scores, stride, own, each.length],
    ...[used + (shared === undefined ? 0 : 1), at.chosen, at.shares],
    ...[at.places, at.picks, at.counts, at.next, at.list, at.listed, at.slots],
    ...[records, at.y, hidden, to],
  ];
  const { cache, index } = o;
  const comes = cache === undefined
    ? []
    : cacheFields(cache.ring, cache.words, index);
  const waits = cache === undefined
    ? []
    : waitingFields(cache.ring, cache.words, index, each.length);
  const weighed = experts.normalised ? FLAG.normalised : 0;
  out.add(KIND.route, more | weighed, ...fields(0, 0));
  out.barrier();
  // Behind it the rows' norm and GATED_EACH; then come the experts' records.
  const records = base + (out.length + 3) * RECORD_BYTES;
  out.add(KIND.allot, more, ...fields(records, 0), ...comes);
  out.barrier();
  const { xq, xs, xf, xi, x16, xn } = at.first;
  out.add(
    KIND.norm,
    wants(...all.flatMap((m) => [m.gate, m.up])),
    ...[o.x, hidden, spec.hidden, xq, xs, xf, xi, x16, xn, at.slots],
    ...[o.norm, f32(spec.normEps), 0, 0, at.picks],
  );
  out.barrier();
  const skip = all.length * EXPERT_RECORDS * RECORD_BYTES;
  out.add(KIND.gatedEach, 0, at.list, at.listed, records, skip, ...waits);
  out.barrier();
  all.forEach((mlp, e) => addExpert(o, mlp, at.counts + e * 4));
  out.add(KIND.downEach, 0, at.list, at.listed, records, 0);
  out.barrier();
  return (to, add) => {
    out.add(KIND.combine, add ? FLAG.add : 0, ...fields(0, to));
    out.barrier();
  };
}

/** Records of an expert whose slots begin at 0; it has as many as stand at `rows`. */
function addExpert(o: ExpertOptions, mlp: MlpSpec, rows: number): void {
  const { out, spec, layer, at, product } = o, { first, second } = at;
  const { ffn } = at.extent, wide = ffn * 4;
  /** What the last record's fields are for slot 0, and values in a row of its inputs. */
  const home = (room: number, fields: readonly number[]): void =>
    out.set(HOME_WORD - 1, room, ...fields);
  const one = (
    name: string,
    forms: Forms,
    room: number,
    to: number,
    stride: number,
  ): void => {
    product(name, forms, to, stride, rows);
    // xq, xs, xf, xi, x16, out.
    home(room, [...out.last.slice(3, 9), o.within(name)]);
  };
  out.add(KIND.gated, 0);
  one(mlp.gate, first, spec.hidden, at.gate, wide);
  one(mlp.up, first, spec.hidden, at.up, wide);
  const { xq, xs, xf, xi, x16, xn } = second;
  out.add(
    KIND.gate,
    o.wants(mlp.down) | (layer.activation === "gelu" ? FLAG.gelu : 0),
    ...[at.gate, wide, mlp.ffn, xq, xs, xf, xi, x16, xn, rows],
    ...[0, 0, 0, 0, 0, at.up],
  );
  home(ffn, [at.gate, xq, xs, xf, xi, x16, xn, at.up]);
  one(mlp.down, second, ffn, at.y, spec.hidden * 4);
}

/** Records of a layer's experts, at most. */
export function expertRecords({ experts }: LayerSpec): number {
  return experts === undefined
    ? 0
    : LAYER_RECORDS + EXPERT_RECORDS * allExperts(experts).length;
}
