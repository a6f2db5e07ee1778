/**
 * What adapters add to a product, row by row.
 *
 * @module
 */
import type { Adapter, AdapterMatrix, AdapterModule } from "../adapters.ts";
import type { StepBatch } from "../backend.ts";
import { toFloats } from "../values.ts";
import type { Holdings } from "./holdings.ts";
import { matmul } from "./matmul.ts";

/** A module with its values. */
interface Loaded extends Omit<AdapterModule, "a" | "b"> {
  /** Place of its adapter among all. */
  readonly adapter: number;
  readonly a: Float32Array;
  readonly b: Float32Array;
}

/** Values that one adapter's modules have. */
export function adapterValues(adapter: Adapter): number {
  let values = 0;
  for (const { a, b } of adapter.modules.values()) {
    values += a.rows * a.columns + b.rows * b.columns;
  }
  return values;
}

/** The adapters of a reference backend: room at once, values when they are read. */
export class ReferenceAdapters {
  readonly #adapters: readonly Adapter[];
  /** One run of values an adapter. */
  readonly #room: readonly Float32Array[];
  readonly #byTensor = new Map<string, Loaded[]>();
  #read = false;

  constructor(adapters: readonly Adapter[], holdings: Holdings) {
    this.#adapters = adapters;
    this.#room = adapters.map((a) =>
      holdings.floats("weights", `adapter "${a.name}"`, adapterValues(a))
    );
  }

  /** Reads all values, the first time it is called. */
  async load(): Promise<void> {
    if (this.#read) return;
    for (const [adapter, { modules }] of this.#adapters.entries()) {
      let at = 0;
      const read = async (matrix: AdapterMatrix): Promise<Float32Array> => {
        const { rows, columns } = matrix, end = at + rows * columns;
        const place = this.#room[adapter]!.subarray(at, at = end);
        toFloats(matrix.type, await matrix.read(), place);
        return place;
      };
      for (const module of modules.values()) {
        const { tensor } = module;
        const a = await read(module.a), b = await read(module.b);
        const list = this.#byTensor.get(tensor) ?? [];
        list.push({ ...module, adapter, a, b });
        this.#byTensor.set(tensor, list);
      }
    }
    this.#read = true;
  }

  /**
   * out += Σ scale · factor · B(A x) of the adapters that each row's sequence uses, in
   * their order. `rows`: of the batch, one for each row of `x`.
   */
  add(
    tensor: string,
    batch: StepBatch,
    rows: ArrayLike<number>,
    x: Float32Array,
    inputs: number,
    out: Float32Array,
  ): void {
    const { adapters, seqs } = batch;
    if (!adapters?.active) return;
    for (
      const { adapter, rank, factor, a, b } of this.#byTensor.get(tensor) ?? []
    ) {
      const outputs = b.length / rank;
      const low = new Float32Array(rank), high = new Float32Array(outputs);
      for (let i = 0; i < rows.length; i++) {
        const seq = seqs[rows[i]!]!;
        const scale = adapters.scales[seq * adapters.count + adapter]!;
        if (scale === 0) continue;
        matmul(x.subarray(i * inputs, (i + 1) * inputs), a, inputs, low);
        for (let k = 0; k < rank; k++) low[k]! *= factor * scale;
        matmul(low, b, rank, high);
        for (let o = 0; o < outputs; o++) out[i * outputs + o]! += high[o]!;
      }
    }
  }
}
