/**
 * How many experts are there at once, where they come one by one.
 *
 * Rows take few of many experts, and not all alike: what is not needed need not be read.
 * What else a layer has is read by every row, so it stays. A slot holds one expert of
 * any layer. A step of many rows may need all experts of a layer at once, so there are
 * at least as many slots.
 *
 * @module
 */
import type {
  ExpertSizes,
  StepBytes,
  WeightPlan,
  WeightSizes,
  WeightSource,
} from "../../core/weight_plan.ts";

/** Steps are made larger while that costs no more than this share of the slots. */
const SLOTS_FOR_ROWS = 0.05;

/** What was asked for. */
export interface WantedExperts {
  readonly from: WeightSource;
  /** Slots; undefined: as many as fit. */
  readonly experts: number | undefined;
}

/**
 * The plan; undefined where all experts stay. Throws a RangeError with the numbers where
 * nothing fits.
 */
export function placeExperts(
  wanted: WantedExperts,
  sizes: WeightSizes,
): WeightPlan | undefined {
  const experts = sizes.experts!, { from } = wanted;
  checkWanted(wanted, experts);
  const { budget, contextKv, leastKv, steps } = sizes;
  const first = steps[0]!;
  const room = (step: StepBytes, kv: number): number =>
    budget - staying(sizes) - step.bytes - kv;
  if (wanted.experts === undefined && experts.bytes <= room(first, contextKv)) {
    return undefined;
  }
  if (wanted.experts === experts.items) return undefined;
  const count = (step: StepBytes, kv: number): number => {
    const left = room(step, kv) - experts.streaming[from];
    const slots = Math.floor(left / experts.slotBytes);
    const most = wanted.experts ?? experts.items - 1;
    return slots < (wanted.experts ?? experts.most) ? 0 : Math.min(slots, most);
  };
  let kv = contextKv, slots = count(first, kv);
  // No room for a whole context: K and V get what is left beside a layer's experts.
  const tight = slots === 0;
  if (tight) {
    kv = leastKv;
    slots = Math.min(count(first, kv), wanted.experts ?? experts.most);
  }
  if (slots === 0) throw tooLittle(wanted, sizes, first);
  const least = Math.max(experts.most, slots * (1 - SLOTS_FOR_ROWS));
  const step = tight
    ? first
    : steps.slice(1).findLast((s) => count(s, kv) >= least) ?? first;
  slots = tight ? slots : count(step, kv);
  return {
    from,
    ...{ streamed: [], depth: 0, slotBytes: 0, rows: step.rows },
    experts: { slots, slotBytes: experts.slotBytes },
    notes: notesOf(wanted, sizes, slots, step, tight),
  };
}

/** What is there in any case. */
function staying({ fixed, layers, experts }: WeightSizes): number {
  return layers.reduce((sum, b) => sum + b, fixed) - experts!.bytes;
}

function checkWanted(
  { experts: slots }: WantedExperts,
  { items, most }: ExpertSizes,
): void {
  if (slots === undefined || (slots >= most && slots <= items)) return;
  throw new RangeError(
    `Cannot keep "experts" ${slots}: a step may need ${most} of a layer at once, and there are ${items}; a number between is wanted`,
  );
}

function tooLittle(
  { from, experts }: WantedExperts,
  sizes: WeightSizes,
  { bytes }: StepBytes,
): RangeError {
  const { budget, leastKv } = sizes;
  const { most, slotBytes, streaming } = sizes.experts!;
  const stays = staying(sizes), slots = experts ?? most;
  const taken = stays + bytes + leastKv + streaming[from];
  return new RangeError(
    `Cannot bring experts one by one in a "budget" of ${budget} bytes: ${taken} are taken ` +
      `(${stays} of weights that always stay, ${bytes} of working memory, ` +
      `${
        streaming[from]
      } to bring experts with, ${leastKv} of K and V), which leaves ` +
      `${Math.max(0, budget - taken)}; ${slots} slots of ${slotBytes}, ` +
      (experts === undefined
        ? "as many as a step may need of a layer's experts, "
        : "") +
      `take ${slots * slotBytes}: raise it, or lower "chunk"` +
      (experts !== undefined && experts > most ? ' or "experts"' : ""),
  );
}

function notesOf(
  { from, experts: asked }: WantedExperts,
  sizes: WeightSizes,
  slots: number,
  { rows, bytes: workspace }: StepBytes,
  tight: boolean,
): string[] {
  const { budget, contextKv } = sizes;
  const { items, most, slotBytes, streaming } = sizes.experts!;
  return [
    `of ${budget} bytes, ${staying(sizes) + slots * slotBytes} are weights, ` +
    `${workspace} working memory, ${streaming[from]} to bring experts with` +
    (tight
      ? `; K and V get the rest: one whole context's ${contextKv} are not left`
      : `; ${contextKv} are kept for K and V, one whole context's`),
    `${slots} of ${items} experts are there at once, ${
      asked === undefined ? "as many as fit" : "as asked for"
    }: those used last stay, others are read when a row takes them; a step may need ${most} of a layer`,
    `steps of up to ${rows} rows`,
  ];
}
