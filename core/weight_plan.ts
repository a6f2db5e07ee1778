/**
 * Which layers' weights stay on the device, and how the others come to it.
 *
 * ```text
 *  rank 0   | fixed | resident layers | slot 0 | slot 1 | … | slot depth-1 | K, V, …
 *                                        ▲        ▲
 *                                        └────────┴── streamed layers, in turn
 *  below    | streamed layers: packed in host memory, or rows of the file on disk |
 * ```
 * Arithmetic on bytes only: what it says holds for any backend that streams.
 *
 * @module
 */
/** Where streamed layers come from. */
export type WeightSource = "host" | "disk";

/** Bytes a step may take, for steps of up to `rows` rows. */
export interface StepBytes {
  /** Most rows in a step. */
  readonly rows: number;
  /** Bytes of activations, tables and all else that is neither weights nor K/V. */
  readonly bytes: number;
}

/** Experts, which may come one by one instead of with their layers. */
export interface ExpertSizes {
  /** All there are, and the most that one layer has. */
  readonly items: number;
  /** See `items`. */
  readonly most: number;
  /** What they take together, as part of `WeightSizes.layers`. */
  readonly bytes: number;
  /** The largest. */
  readonly slotBytes: number;
  /** Working memory that bringing them takes besides the slots, by where from. */
  readonly streaming: Readonly<Record<WeightSource, number>>;
}

/** What a placement is worked out from, bytes on the device. */
export interface WeightSizes {
  /** All there is on the device. */
  readonly budget: number;
  /** The matrices of each layer. */
  readonly layers: readonly number[];
  /** Weights that always stay: embedding, output, norms. */
  readonly fixed: number;
  /** Of these, what is read after the last layer, while no layer computes. */
  readonly output: number;
  /** Working memory by the size of steps, ascending. The first is taken where nothing is said. */
  readonly steps: readonly StepBytes[];
  /** Working memory that streaming takes besides the slots, by where from. */
  readonly streaming: Readonly<Record<WeightSource, number>>;
  /** Absent where the model has none. */
  readonly experts?: ExpertSizes;
  /** K and V without which nothing runs. */
  readonly leastKv: number;
  /** K and V of one sequence as long as the context. */
  readonly contextKv: number;
}

/** What was decided. */
export interface WeightPlan {
  /** Where streamed layers come from. */
  readonly from: WeightSource;
  /** Layers that are streamed, ascending. None: all stay. */
  readonly streamed: readonly number[];
  /** Slots they are streamed through, 1 to `streamed.length`; 0 for none. */
  readonly depth: number;
  /** Bytes of a slot: the largest streamed layer's. */
  readonly slotBytes: number;
  /**
   * Experts come when a step needs them, through so many slots of so many bytes; what
   * else layers have stays. Slots: from what a layer may need to one less than all.
   */
  readonly experts?: { readonly slots: number; readonly slotBytes: number };
  /** Most rows of a step, one of `WeightSizes.steps`. */
  readonly rows: number;
  /** Why it is so, sentences for `explain()`. */
  readonly notes: readonly string[];
}

/** Decides where weights are. Rule: one. Without any, all stay on the device. */
export interface WeightPlacement {
  /** Names the placement in plans and errors. */
  readonly id: string;
  /**
   * Places the layers. The same sizes give the same plan.
   *
   * @throws {RangeError} where there is no room, with the numbers.
   */
  place(sizes: WeightSizes): WeightPlan;
}
