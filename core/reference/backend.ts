/**
 * The backend that defines the truth: plain TypeScript, one operation a file,
 * weights and K/V in single precision, sums in double. For tests and for small
 * models; nothing in it is fast.
 *
 * @module
 */
import type { Adapter } from "../adapters.ts";
import type {
  Backend,
  BackendLimits,
  BoundGroup,
  OpenBlocks,
  StepBatch,
  StepResult,
} from "../backend.ts";
import { rawFloats } from "../defaults.ts";
import type { LedgerLine } from "../ledger.ts";
import type { ModelSpec } from "../model.ts";
import type { AttendKernel, Transcoder } from "../slots.ts";
import type { BlockShape } from "../types.ts";
import { adapterValues, ReferenceAdapters } from "./adapters.ts";
import { batchLengths, checkBatch, makeBatch } from "./batch.ts";
import {
  activationLengths,
  type Activations,
  forward,
  makeActivations,
} from "./forward.ts";
import { Holdings } from "./holdings.ts";
import { HostMemory } from "./memory.ts";
import { type LayerPlace, placeLayers } from "./places.ts";
import { topK } from "./top_k.ts";
import { checkTensors, wantedTensors } from "./weights.ts";

const ALIGN = 64;

/** Bounds the caller chooses; the rest follow. */
export type ReferenceLimits = Omit<BackendLimits, "maxSpan" | "align">;

/** What the reference backend is made of. */
export interface ReferenceOptions {
  readonly spec: ModelSpec;
  /** All values of a tensor, row by row, decoded to single precision. */
  readonly read: (name: string) => Promise<Float32Array>;
  /** `bytes` is the size of the device memory: weights, activations and blocks. */
  readonly limits: ReferenceLimits;
  /** What requests may add to the model. Default: nothing. */
  readonly adapters?: readonly Adapter[] | undefined;
}

/**
 * Makes a reference backend. Room for weights and activations is taken at
 * once; values are read when the first step runs, and kept.
 *
 * Throws a TypeError where the model lacks a tensor or has it in another
 * shape, and a RangeError where `limits.bytes` is too little.
 */
export function createReference(options: ReferenceOptions): Backend {
  checkTensors(options.spec);
  return new Reference(options);
}

/**
 * Device bytes a reference backend takes beside the blocks, once it is bound to
 * `groups` groups of up to `tableStride` blocks a sequence.
 */
export function referenceBytes(
  spec: ModelSpec,
  limits: Omit<ReferenceLimits, "bytes">,
  groups: number,
  tableStride: number,
  adapters: readonly Adapter[] = [],
): number {
  const lengths = [
    ...wantedTensors(spec).map((t) => t.inputs * t.outputs),
    ...Object.values(activationLengths(spec, limits.rows)),
    limits.wanted * spec.vocab,
    limits.wanted * limits.top,
    limits.wanted * limits.top,
    ...batchLengths(limits, groups, tableStride, adapters.length),
    ...adapters.map(adapterValues),
  ];
  const spans = lengths.map((n) => Math.ceil(n * 4 / ALIGN) * ALIGN);
  // The first bytes of a heap are never handed out.
  return spans.reduce((sum, bytes) => sum + bytes, ALIGN);
}

class Reference implements Backend {
  readonly id = "reference";
  readonly rawFormat = "f32";
  readonly hidden = true;
  readonly kernels: readonly AttendKernel[] = [attendRaw];
  readonly transcoders: readonly Transcoder[] = [];
  readonly limits: BackendLimits;
  readonly memory: HostMemory;
  readonly openBlocks: OpenBlocks;

  readonly #spec: ModelSpec;
  readonly #read: ReferenceOptions["read"];
  readonly #holdings: Holdings;
  readonly #weights: ReadonlyMap<string, Float32Array>;
  readonly #adapters: ReferenceAdapters;
  readonly #adapterCount: number;
  readonly #activations: Activations;
  readonly #logits: Float32Array;
  readonly #topIds: Int32Array;
  readonly #topLogits: Float32Array;
  /** Tensors whose values are in their place. */
  readonly #loaded = new Set<string>();
  #places: readonly LayerPlace[] = [];
  #blockTokens: readonly number[] = [];
  #batch: StepBatch | undefined;
  #state: "idle" | "running" | "closed" = "idle";

  constructor({ spec, read, limits, adapters = [] }: ReferenceOptions) {
    this.memory = new HostMemory(limits.bytes, ALIGN);
    this.openBlocks = openFloats(this.memory.buffer);
    this.limits = { ...limits, maxSpan: this.memory.maxSpan, align: ALIGN };
    this.#spec = spec;
    this.#read = read;
    const holdings = new Holdings(this.memory);
    this.#holdings = holdings;
    this.#weights = new Map(
      wantedTensors(spec).map((t) => [
        t.name,
        holdings.floats("weights", t.component, t.inputs * t.outputs),
      ]),
    );
    this.#adapters = new ReferenceAdapters(adapters, holdings);
    this.#adapterCount = adapters.length;
    this.#activations = makeActivations(holdings, spec, limits.rows);
    const { wanted, top } = limits;
    const own = "activations";
    this.#logits = holdings.floats(own, "logits", wanted * spec.vocab);
    this.#topIds = holdings.ints(own, "logits", wanted * top);
    this.#topLogits = holdings.floats(own, "logits", wanted * top);
  }

  blockBytes(shape: BlockShape): number {
    return rawFloats(shape) * Float32Array.BYTES_PER_ELEMENT;
  }

  bind(
    groups: readonly BoundGroup[],
    tableStride: number,
    _streams?: boolean,
    boundaries?: readonly number[],
  ): void {
    if (this.#batch !== undefined) {
      throw new TypeError("Cannot bind groups: this backend has some already");
    }
    this.#places = placeLayers(this.#spec, groups);
    this.#blockTokens = groups.map((g) => g.shape.tokens);
    this.#batch = makeBatch(
      this.#holdings,
      this.limits,
      groups.length,
      tableStride,
      boundaries,
      this.#spec.hidden,
      this.#adapterCount,
    );
  }

  get batch(): StepBatch {
    if (this.#batch === undefined) {
      throw new TypeError("Cannot use the batch: call bind() first");
    }
    return this.#batch;
  }

  async run(): Promise<StepResult> {
    if (this.#state !== "idle") {
      throw new TypeError(`Cannot run a step: the backend is ${this.#state}`);
    }
    const { batch } = this;
    checkBatch(batch, this.limits, this.#blockTokens);
    this.#state = "running";
    try {
      await this.#load();
      forward({
        spec: this.#spec,
        weight: (name) => this.#weights.get(name)!,
        memory: new Float32Array(this.memory.buffer),
        places: this.#places,
        batch,
        activations: this.#activations,
        adapters: this.#adapters,
      }, this.#logits);
      return this.#result(batch.wanted, Math.min(batch.top, this.#spec.vocab));
    } finally {
      if (this.#state === "running") this.#state = "idle";
    }
  }

  lines(): readonly LedgerLine[] {
    return this.#holdings.lines();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#state = "closed";
    return Promise.resolve();
  }

  /** Reads what is not there yet. What was read before a failure stays. */
  async #load(): Promise<void> {
    for (const [name, place] of this.#weights) {
      if (this.#loaded.has(name)) continue;
      const values = await this.#read(name);
      if (this.#state === "closed") {
        throw new TypeError("Cannot finish the step: the backend was closed");
      }
      if (values.length !== place.length) {
        throw new RangeError(
          `Cannot load tensor "${name}": its reader gave ${values.length} values, wanted ${place.length}`,
        );
      }
      place.set(values);
      this.#loaded.add(name);
    }
    await this.#adapters.load();
  }

  #result(wanted: number, top: number): StepResult {
    const { vocab } = this.#spec;
    const row = <T extends Float32Array | Int32Array>(
      values: T,
      width: number,
      i: number,
    ) => {
      if (!(i >= 0 && i < wanted)) {
        throw new RangeError(
          `Cannot give wanted row ${i}: the step had ${wanted}`,
        );
      }
      return values.subarray(i * width, (i + 1) * width) as T;
    };
    const logits = (i: number) => row(this.#logits, vocab, i);
    const topIds = (i: number) => row(this.#topIds, top, i);
    const topLogits = (i: number) => row(this.#topLogits, top, i);
    for (let i = 0; i < wanted; i++) topK(logits(i), topIds(i), topLogits(i));
    return { logits, topIds, topLogits };
  }
}

/** Blocks lie in the order of `rawFloats()` already; see block_layout.ts. */
function openFloats(memory: ArrayBuffer): OpenBlocks {
  return {
    read: (offset, shape, out) =>
      out.set(new Float32Array(memory, offset, rawFloats(shape))),
    write: (offset, shape, values) =>
      new Float32Array(memory, offset, rawFloats(shape)).set(values),
  };
}

/** `run()` reads open blocks itself; this is how a plan knows. */
const attendRaw: AttendKernel = {
  id: "reference-f32",
  backend: "reference",
  supports: (format) =>
    format === "f32"
      ? { ok: true, cost: 1 }
      : { ok: false, why: `the reference backend reads f32, not "${format}"` },
};
