/**
 * Single kernels, run in this thread over a memory of their own.
 *
 * @module
 */
import type { RoundedType, WeightType } from "../../core/model.ts";
import { type KernelBuild, kernelModule } from "../binary.ts";
import { writeGrids } from "../books.ts";
import { CONSTANT_BYTES, writeConstants } from "../constants.ts";
import { KERNELS, type LaneLayout, panelBytes, panelsOf } from "../kernels.ts";
import { f32, FLAG, KIND, Records } from "../records.ts";
import type { Forms } from "../space.ts";

/** Bytes of the memory; everything is taken from it in a row and never given back. */
const BYTES = 16 << 20;

/** Kind of a product that no kernel knows. */
const NO_PRODUCT = KIND.product + 99;

/** A matrix in its lane layout. */
export interface Packed {
  readonly layout: LaneLayout;
  readonly w: number;
  readonly inputs: number;
  readonly outputs: number;
}

/** Rows of activations in the forms that products read. */
export interface Activations {
  readonly forms: Forms;
  readonly rows: number;
  readonly n: number;
}

interface Exports {
  run(
    program: number,
    mode: number,
    thread: number,
    threads: number,
    sync: number,
    scratch: number,
  ): void;
  pack(record: number, type: number): number;
  expand(record: number, type: number): number;
  round(record: number, type: number): number;
  decodeRow(record: number, row: number, to: number): void;
  probe(): number;
}

/** One build's kernels, record by record. */
export class Kernels {
  readonly #memory: WebAssembly.Memory;
  readonly #exports: Exports;
  #top = CONSTANT_BYTES;

  private constructor(memory: WebAssembly.Memory, exports: Exports) {
    this.#memory = memory;
    this.#exports = exports;
  }

  /** Makes an instance with an empty memory. */
  static async open(build: KernelBuild): Promise<Kernels> {
    const memory = new WebAssembly.Memory({
      initial: BYTES / 65536,
      maximum: 65536,
      shared: true,
    });
    writeConstants(memory);
    writeGrids(memory, Object.keys(KERNELS) as WeightType[]);
    const module = await kernelModule(build);
    const instance = new WebAssembly.Instance(module, { env: { memory } });
    return new Kernels(memory, instance.exports as unknown as Exports);
  }

  /** How this machine sums, as a worker finds it. */
  probe(): number {
    return this.#exports.probe();
  }

  /** Address of `bytes` new bytes, all `fill`. */
  take(bytes: number, fill = 0): number {
    const at = this.#top;
    this.#top = Math.ceil((at + bytes) / 64) * 64;
    if (this.#top > BYTES) throw new RangeError("Cannot take more memory");
    new Uint8Array(this.#memory.buffer, at, bytes).fill(fill);
    return at;
  }

  /** Address of a copy. */
  put(values: Uint8Array | Int32Array | Float32Array): number {
    const at = this.take(values.byteLength);
    const { buffer, byteOffset, byteLength } = values;
    new Uint8Array(this.#memory.buffer, at, byteLength)
      .set(new Uint8Array(buffer, byteOffset, byteLength));
    return at;
  }

  /** Copies of what stands at an address. */
  floats(at: number, length: number): Float32Array {
    return new Float32Array(this.#memory.buffer, at, length).slice();
  }
  /** See `floats()`. */
  words(at: number, length: number): Int32Array {
    return new Int32Array(this.#memory.buffer, at, length).slice();
  }
  /** See `floats()`. */
  bytes(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, at, length).slice();
  }

  /** Repacks whole rows of a file, rounded where no layout has room for them. */
  pack(
    type: WeightType,
    rows: Uint8Array,
    outputs: number,
    inputs: number,
  ): Packed {
    const { id, layout, via } = KERNELS[type];
    if (via !== undefined) {
      const values = this.expand(type, rows, outputs, inputs)!;
      return this.pack(via, this.round(via, values, outputs)!, outputs, inputs);
    }
    const w = this.take(panelBytes(layout, inputs) * panelsOf(outputs));
    const src = this.put(rows), rowBytes = rows.length / outputs;
    const record = this.put(Int32Array.of(src, rowBytes, outputs, w, inputs));
    if (this.#exports.pack(record, id) !== 1) {
      throw new TypeError(`Cannot repack ${type}`);
    }
    return { layout, w, inputs, outputs };
  }

  /** Whole rows of a file as f32; undefined where only their lanes can be read. */
  expand(
    type: WeightType,
    rows: Uint8Array,
    outputs: number,
    inputs: number,
  ): Float32Array | undefined {
    const to = this.take(outputs * inputs * 4, 0x7f), src = this.put(rows);
    const record = this.put(
      Int32Array.of(src, rows.length / outputs, outputs, to, inputs),
    );
    return this.#exports.expand(record, KERNELS[type].id) === 1
      ? this.floats(to, outputs * inputs)
      : undefined;
  }

  /** Rows rounded to a format of files; undefined where they cannot be. */
  round(
    type: RoundedType,
    rows: Float32Array,
    outputs: number,
  ): Uint8Array | undefined {
    const inputs = rows.length / outputs, { id, values, bytes } = KERNELS[type];
    const size = rows.length / values * bytes, to = this.take(size, 0x7f);
    const record = this.put(
      Int32Array.of(this.put(rows), inputs * 4, outputs, to, inputs),
    );
    return this.#exports.round(record, id) === 1
      ? this.bytes(to, size)
      : undefined;
  }

  /** All rows read back as an embedding is, times `factor`. */
  embed({ w, layout, inputs, outputs }: Packed, factor = 1): Float32Array {
    const ids = Int32Array.from({ length: outputs }, (_, i) => outputs - 1 - i);
    const out = this.take(outputs * inputs * 4, 0xff);
    const records = new Records();
    records.add(
      KIND.embed,
      0,
      ...[w, layout.kind, inputs, this.put(ids), out, inputs * 4],
      ...[f32(factor), this.#count(outputs)],
    );
    this.run(records);
    const rows: number[] = [];
    for (let row = outputs - 1; row >= 0; row--) {
      rows.push(...this.floats(out + row * inputs * 4, inputs));
    }
    return Float32Array.from(rows);
  }

  /** Activations of `rows` rows of `n` values, as a gate leaves them. */
  activations(x: Float32Array, rows: number): Activations {
    // act(128) is 128 exactly, so that the product with x / 128 is x.
    const gate = new Float32Array(x.length).fill(128);
    return this.gate(gate, x.map((v) => v / 128), rows).activations;
  }

  /** act(x) · up, and the same in all forms. */
  gate(
    x: Float32Array,
    up: Float32Array,
    rows: number,
    gelu = false,
  ): { values: Float32Array; activations: Activations } {
    const n = x.length / rows, tiles = Math.ceil(rows / 4);
    const blocks = Math.ceil(n / 32);
    // Lanes of rows that are not there hold what would show.
    const form = (bytes: number): number => this.take(bytes, 0x7f);
    const forms: Forms = {
      xq: form(tiles * blocks * 128),
      xs: form(tiles * blocks * 32),
      xf: form(tiles * blocks * 32),
      xi: form(tiles * blocks * 16),
      x16: form(tiles * blocks * 32),
      xn: form(tiles * 16 * n),
    };
    const at = this.put(x), records = new Records();
    // A gate stands behind two products; here they are of a kind that does nothing.
    records.add(KIND.gated, 0);
    for (let i = 0; i < 2; i++) {
      const nothing = [0, 0, 0, 0, 0, 0, 0, 0, 0, Math.ceil(n / 8)];
      records.add(NO_PRODUCT, 0, ...nothing, this.#count(rows));
    }
    records.add(
      KIND.gate,
      (n % 32 === 0 ? FLAG.quant : 0) | FLAG.float | (gelu ? FLAG.gelu : 0),
      ...[at, n * 4, n, forms.xq, forms.xs, forms.xf, forms.xi, forms.x16],
      ...[forms.xn, this.#count(rows), 0, 0, 0, 0, 0, this.put(up), 0],
    );
    this.run(records);
    return {
      values: this.floats(at, x.length),
      activations: { forms, rows, n },
    };
  }

  /** Rows × outputs; `onto` is what is there before. */
  product(
    matrix: Packed,
    { forms, rows, n }: Activations,
    mode: number,
    onto?: number,
  ): Float32Array {
    const { layout, outputs } = matrix;
    const panels = panelsOf(outputs), stride = panels * 32;
    const out = this.take(Math.ceil(rows / 4) * 4 * stride);
    if (onto !== undefined) {
      new Float32Array(this.#memory.buffer, out, rows * panels * 8).fill(onto);
    }
    const { xq, xs, xi, x16 } = forms, xf = layout.float ? forms.xn : forms.xf;
    const records = new Records();
    records.add(
      KIND.product + layout.kind,
      onto === undefined ? 0 : FLAG.add,
      ...[matrix.w, xq, xs, xf, xi, x16, out, stride],
      ...[layout.float ? n : n / 32, panels, this.#count(rows)],
    );
    this.run(records, mode);
    const result = new Float32Array(rows * outputs);
    for (let r = 0; r < rows; r++) {
      result.set(this.floats(out + r * stride, outputs), r * outputs);
    }
    return result;
  }

  /** What a cache of f16 holds after `values` (a multiple of 8) were appended. */
  halves(values: Float32Array): Uint16Array {
    // One V head in a block of eight tokens, no query and nothing that turns.
    const dim = values.length, block = this.take(8 * dim * 4);
    const row = new Float32Array(2 * dim);
    row.set(values, dim);
    const x = this.put(row), zero = this.take(64);
    const records = new Records();
    records.add(
      KIND.turn,
      0,
      ...[x, row.length * 4, 0, 1, dim, 0, zero, 0, 0, 0, f32(1)],
      ...[this.put(Int32Array.of(block)), 4, zero, zero, 8, 0],
      ...[8 * dim * 2, 2, this.#count(1), x, x + dim * 4],
    );
    this.run(records);
    return new Uint16Array(this.bytes(block + 8 * dim * 2, dim * 2).buffer);
  }

  /** Writes bytes to an address. */
  write(at: number, bytes: Uint8Array): void {
    new Uint8Array(this.#memory.buffer, at, bytes.length).set(bytes);
  }

  /** Folds an attention's parts, whose record has these fields, to its output. */
  merge(attend: readonly number[], rows: number, out: number, n: number): void {
    const words = new Int32Array(32);
    words.set([KIND.attend, 0, ...attend]);
    const records = new Records();
    const form = this.take(Math.ceil(rows / 4) * 4 * n * 8);
    records.add(
      KIND.merge,
      FLAG.float,
      ...[out, n * 4, n, form, form, form, form, form, form, this.#count(rows)],
      ...[0, 0, 0, 0, 0, 0, this.put(words)],
    );
    this.run(records);
  }

  /** Runs a program as the only worker. */
  run(records: Records, mode = 0): void {
    const words = new Int32Array(records.bytes / 4);
    records.write(words);
    const scratch = this.take(32768);
    this.#exports.run(this.put(words), mode, 0, 1, this.take(64), scratch);
  }

  #count(n: number): number {
    return this.put(Int32Array.of(n));
  }
}
