/**
 * The adapters of an engine, and which of them a request computes with.
 *
 * @module
 */
import { type Adapter, type AdapterSet, adapterSet } from "../core/adapters.ts";

/** An adapter, and how much of it. */
export interface AdapterUse {
  /** As `load()` was told. */
  readonly name: string;
  /** What it adds is multiplied by this; below 0 takes away. Default 1. */
  readonly scale?: number | undefined;
}

/** Which adapters a request computes with; at most one of the two is given. */
export interface AdapterOptions {
  /** One of the adapters that `load()` was given. */
  readonly adapter?: string | undefined;
  /**
   * Several at once, or some with a scale; an empty list is none. Default: those that
   * `load()` was told to use, or none.
   */
  readonly adapters?: readonly (string | AdapterUse)[] | undefined;
}

/** What an adapter is, for whoever asks. */
export interface AdapterInfo {
  /** As requests call it. */
  readonly name: string;
  /** Fingerprint of its content. */
  readonly id: string;
  /** Matrices of the model that it adds to. */
  readonly matrices: number;
  /** Largest rank of these. */
  readonly rank: number;
}

/** As a conversation and a session remember it. */
export interface AdapterMark {
  /** As it was called. */
  readonly name: string;
  /** Fingerprint of its content. */
  readonly id: string;
  /** What it added was multiplied by this. */
  readonly scale: number;
}

/** Those that are loaded. */
export class Adapters {
  readonly #loaded: readonly Adapter[];
  readonly #default: readonly AdapterMark[];

  /**
   * `use`: what requests compute with that name none. Throws as `marks()` does.
   */
  constructor(
    loaded: readonly Adapter[] = [],
    use: AdapterOptions["adapters"] = [],
  ) {
    this.#loaded = loaded;
    this.#default = [];
    this.#default = this.marks({ adapters: use });
  }

  /** What is loaded, by name. */
  get list(): readonly AdapterInfo[] {
    return this.#loaded.map(({ name, id, modules }) => ({
      name,
      id,
      matrices: modules.size,
      rank: Math.max(...Array.from(modules.values(), (m) => m.rank)),
    })).sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /**
   * What a request asks for.
   *
   * @throws {RangeError} for a name that is not loaded, or a scale that is no number.
   * @throws {TypeError} for an adapter named twice, or both options at once.
   */
  marks({ adapter, adapters }: AdapterOptions): readonly AdapterMark[] {
    if (adapter !== undefined && adapters !== undefined) {
      throw new TypeError(
        'Cannot compute with "adapter" and "adapters": leave one of them out',
      );
    }
    const wanted = adapter === undefined ? adapters : [adapter];
    if (wanted === undefined) return this.#default;
    const out: AdapterMark[] = [];
    for (const use of wanted) {
      const { name, scale = 1 } = typeof use === "string" ? { name: use } : use;
      const id = this.#loaded.find((a) => a.name === name)?.id;
      if (id === undefined) {
        const names = this.list.map((a) => `"${a.name}"`).join(", ");
        throw new RangeError(
          `Cannot compute with adapter "${name}": ${
            names === "" ? "none is loaded" : `loaded are ${names}`
          }; give it to load() as one of its "adapters"`,
        );
      }
      if (!Number.isFinite(Math.fround(scale))) {
        throw new RangeError(
          `Cannot compute with adapter "${name}" at scale ${scale}: a finite number is wanted`,
        );
      }
      if (out.some((m) => m.name === name)) {
        throw new TypeError(
          `Cannot compute with adapter "${name}" twice: name it once, with the sum of the scales`,
        );
      }
      out.push({ name, id, scale });
    }
    return out;
  }

  /** The same for the scheduler; undefined for none. Throws as `marks()` does. */
  set(options: AdapterOptions): AdapterSet | undefined {
    const scales = new Float32Array(this.#loaded.length);
    for (const { name, scale } of this.marks(options)) {
      scales[this.#loaded.findIndex((a) => a.name === name)] = scale;
    }
    return adapterSet(this.#loaded, scales);
  }

  /**
   * What a session was made with, as it is called here: adapters are told by their
   * content. Undefined where one of them is not loaded.
   */
  here(marks: readonly AdapterMark[]): readonly AdapterMark[] | undefined {
    const out: AdapterMark[] = [];
    for (const { id, scale } of marks) {
      const free = this.#loaded.find((a) =>
        a.id === id && !out.some((m) => m.name === a.name)
      );
      if (free === undefined) return undefined;
      out.push({ name: free.name, id, scale });
    }
    return out;
  }
}

/** Marks in words, for messages. */
export function adapterWords(marks: readonly AdapterMark[]): string {
  if (marks.length === 0) return "none";
  return marks.map(({ name, scale }) => `${name} × ${scale}`).join(", ");
}
