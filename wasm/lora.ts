/**
 * Adapters in the shared memory: their matrices in panels, and the tables by which the
 * step program finds them. `assembly/lora.ts` draws the layouts.
 *
 * @module
 */
import type {
  Adapter,
  AdapterBatch,
  AdapterMatrix,
  AdapterModule,
} from "../core/adapters.ts";
import type { BackendLimits } from "../core/backend.ts";
import type { ModelSpec } from "../core/model.ts";
import { PANEL } from "./kernels.ts";
import type { WasmMemory } from "./memory.ts";
import type { Extent, Space } from "./space.ts";

/** Numbers of `assembly/kinds.ts`, and bytes of a value. */
const TYPES = {
  F32: { kind: 0, size: 4 },
  F16: { kind: 1, size: 2 },
  BF16: { kind: 2, size: 2 },
} as const;

/** Words of a Down, of an Up, and of what stands before Ups. */
const ENTRY = 8;
/** Words of an Adapted. */
const ADAPTED = 6;

interface PlacedMatrix {
  readonly matrix: AdapterMatrix;
  readonly w: number;
}

interface PlacedModule {
  /** Place of its adapter among all. */
  readonly adapter: number;
  readonly module: AdapterModule;
  readonly a: PlacedMatrix;
  readonly b: PlacedMatrix;
}

/** All adapters of a backend. */
export interface PlacedAdapters {
  readonly count: number;
  readonly byTensor: ReadonlyMap<string, readonly PlacedModule[]>;
}

function panelsOf(rows: number): number {
  return Math.ceil(rows / PANEL);
}

function matrixBytes({ type, rows, columns }: AdapterMatrix): number {
  const bytes = panelsOf(rows) * PANEL * columns * TYPES[type].size;
  return Math.ceil(bytes / 64) * 64;
}

/** Takes room for all matrices, under `adapter "NAME"`. Throws a `NoRoom`. */
export function placeAdapters(
  adapters: readonly Adapter[],
  space: Space,
): PlacedAdapters {
  const byTensor = new Map<string, PlacedModule[]>();
  for (const [adapter, { name, modules }] of adapters.entries()) {
    const place = (matrix: AdapterMatrix): PlacedMatrix => ({
      matrix,
      w: space.take("weights", `adapter "${name}"`, matrixBytes(matrix)),
    });
    for (const module of modules.values()) {
      const list = byTensor.get(module.tensor) ?? [];
      const a = place(module.a), b = place(module.b);
      list.push({ adapter, module, a, b });
      byTensor.set(module.tensor, list);
    }
  }
  return { count: adapters.length, byTensor };
}

/** Reads all matrices to their places. */
export async function readAdapters(
  { byTensor }: PlacedAdapters,
  memory: WasmMemory,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const list of byTensor.values()) {
    for (const { a, b } of list) {
      for (const { matrix, w } of [a, b]) {
        signal?.throwIfAborted();
        pack(matrix, await matrix.read(), memory, w);
      }
    }
  }
}

/** Rows as panels of eight; those that are missing in the last one are zeros. */
function pack(
  { type, rows, columns }: AdapterMatrix,
  bytes: Uint8Array,
  memory: WasmMemory,
  w: number,
): void {
  const { size } = TYPES[type], length = rows * columns;
  if (bytes.length !== length * size) {
    throw new RangeError(
      `Cannot pack ${rows} × ${columns} ${type} values: ${bytes.length} bytes came`,
    );
  }
  const all = panelsOf(rows) * PANEL * columns;
  const to = wordsOf(size, memory.memory.buffer, w, all);
  const copy = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const from = wordsOf(size, copy.buffer, copy.byteOffset, length);
  to.fill(0);
  for (let row = 0; row < rows; row++) {
    let at = (row - row % PANEL) * columns + row % PANEL;
    for (let i = row * columns, end = i + columns; i < end; i++, at += PANEL) {
      to[at] = from[i]!;
    }
  }
}

function wordsOf(
  size: number,
  buffer: ArrayBufferLike,
  at: number,
  length: number,
): Uint32Array | Uint16Array {
  return size === 4
    ? new Uint32Array(buffer, at, length)
    : new Uint16Array(buffer, at, length);
}

/**
 * Products that read one input, by the names of their matrices; the output last.
 * Experts take no adapters.
 */
function sitesOf(spec: ModelSpec): readonly (readonly string[])[] {
  return [
    ...spec.layers.flatMap((layer) => {
      const { q, k, v, attnOut } = layer.tensors;
      return [
        [q, k, v],
        [attnOut],
        ...layer.mlp === undefined
          ? []
          : [[layer.mlp.gate, layer.mlp.up], [layer.mlp.down]],
      ];
    }),
    [spec.output],
  ];
}

/** Where a step finds its adapters. */
export interface LoraPlaces {
  readonly adapted: number;
  readonly scales: number;
  /** What A's give: [row][stride bytes]. */
  readonly low: number;
  readonly stride: number;
  readonly tables: number;
  readonly tableWords: number;
}

/** Takes these places; undefined where there are no adapters. */
export function takeLora(
  placed: PlacedAdapters,
  spec: ModelSpec,
  space: Space,
  limits: BackendLimits,
  extent: Extent,
): LoraPlaces | undefined {
  if (placed.count === 0) return undefined;
  let most = 0, modules = 0, products = 0;
  for (const names of sitesOf(spec)) {
    const all = names.flatMap((name) => placed.byTensor.get(name) ?? []);
    const panels = all.map(({ module }) => panelsOf(module.rank));
    most = Math.max(most, panels.reduce((sum, n) => sum + n, 0));
    modules += all.length;
    products += names.length;
  }
  const stride = most * PANEL * 4,
    tableWords = ENTRY * (2 * modules + products);
  const rows = Math.max(extent.rows, extent.wanted);
  return {
    adapted: space.take("workspace", "batch", ADAPTED * 4),
    scales: space.take("workspace", "batch", limits.seqs * placed.count * 4),
    low: space.take("activations", "adapters' ranks", rows * stride),
    stride,
    tables: space.take("workspace", "step program", tableWords * 4),
    tableWords,
  };
}

/** The A's that one Low record goes through. */
export interface LoraSite {
  readonly downs: number;
  readonly count: number;
  readonly panels: number;
}

/** The tables of a step program, written as it is compiled. */
export class LoraTables {
  readonly places: LoraPlaces;
  readonly #placed: PlacedAdapters;
  readonly #words: Int32Array;
  readonly #floats: Float32Array;
  readonly #deltas = new Map<string, number>();
  #used = 0;

  /** `seqs`: address of each row's sequence. */
  constructor(
    placed: PlacedAdapters,
    places: LoraPlaces,
    memory: WasmMemory,
    seqs: number,
  ) {
    const { adapted, scales, low, stride, tables, tableWords } = places;
    this.places = places;
    this.#placed = placed;
    this.#words = memory.i32(tables, tableWords);
    this.#floats = memory.f32(tables, tableWords);
    memory.i32(adapted, ADAPTED)
      .set([0, placed.count, scales, seqs, low, stride]);
  }

  /**
   * Writes the tables of products that read one input; undefined where no adapter adds
   * to any of them. `pick`: see Low.
   */
  site(names: readonly string[], pick = 0): LoraSite | undefined {
    const downs = this.#address, ups: (readonly [string, number[]])[] = [];
    let panels = 0, count = 0;
    for (const name of names) {
      for (const { adapter, module, a, b } of this.#of(name)) {
        const { rank, factor } = module, t = panels * PANEL * 4;
        const own = panelsOf(rank);
        const type = TYPES[a.matrix.type].kind;
        const at = this.#add(adapter, type, a.w, own, panels, t);
        this.#floats[at + 6] = factor;
        const up = [adapter, TYPES[b.matrix.type].kind, b.w, rank, t];
        ups.push([name, up]);
        panels += own;
        count++;
      }
    }
    if (count === 0) return undefined;
    for (const name of names) {
      const own = ups.filter(([of]) => of === name);
      if (own.length === 0) continue;
      this.#deltas.set(name, this.#address);
      this.#add(this.places.adapted, pick, own.length);
      for (const [, up] of own) this.#add(...up);
    }
    return { downs, count, panels };
  }

  /** Whether any adapter adds to the product with a matrix. */
  adds(name: string): boolean {
    return this.#placed.byTensor.has(name);
  }

  /** Address of a product's Delta; 0: nothing is added to it. */
  delta(name: string): number {
    return this.#deltas.get(name) ?? 0;
  }

  /** What a step writes for its sequences; `flush()` sends the rest. */
  batch(memory: WasmMemory, seqs: number): AdapterBatch & { flush(): void } {
    const { adapted, scales } = this.places, { count } = this.#placed;
    const word = memory.i32(adapted, 1);
    return {
      count,
      scales: memory.f32(scales, seqs * count).fill(0),
      active: false,
      flush() {
        word[0] = this.active ? 1 : 0;
      },
    };
  }

  get #address(): number {
    return this.places.tables + this.#used * 4;
  }

  #of(name: string): readonly PlacedModule[] {
    return this.#placed.byTensor.get(name) ?? [];
  }

  #add(...words: number[]): number {
    const at = this.#used;
    this.#words.set(words, at);
    this.#used += ENTRY;
    return at;
  }
}
