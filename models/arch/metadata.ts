/**
 * Typed, checked access to a file's metadata.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import { quote, show } from "../gguf/quote.ts";
import type { ModelFile, RopeWords } from "../model_file.ts";

export { show } from "../gguf/quote.ts";

/** Reads keys `PREFIX.key`; every error names the file and the whole key. */
export class Metadata {
  readonly #file: ModelFile;
  readonly #prefix: string;

  constructor(file: ModelFile, prefix: string) {
    this.#file = file;
    this.#prefix = prefix;
  }

  /** What the file says of rotation beside its keys. */
  get rope(): RopeWords | undefined {
    return this.#file.rope;
  }

  /** The whole key. */
  key(key: string): string {
    return `${this.#prefix}.${key}`;
  }

  get(key: string): unknown {
    return this.#file.metadata[this.key(key)];
  }

  fail(problem: string): never {
    throw new ModelError(this.#file.path, problem);
  }

  /** A whole number of at least 1; `absent` where the key is not there. */
  count(key: string, absent?: number): number {
    const value = this.#present(key, absent);
    return this.#asCount(key, value);
  }

  /** One count for all layers, or an array with one for each. */
  perLayer(key: string, layers: number, absent?: readonly number[]): number[] {
    const value = this.get(key) ?? absent;
    if (!isArray(value)) {
      return new Array<number>(layers).fill(this.count(key));
    }
    if (value.length !== layers) {
      this.fail(
        `${quote(this.key(key))} has ${value.length} values, wanted one for ` +
          `each of ${layers} layers`,
      );
    }
    return Array.from(value, (v) => this.#asCount(key, v));
  }

  /** A finite number above 0; `absent` where the key is not there. */
  positive(key: string, absent?: number): number {
    const value = this.#present(key, absent);
    if (typeof value === "number" && Number.isFinite(value) && value > 0) {
      return value;
    }
    return this.fail(
      `${quote(this.key(key))} is ${show(value)}, wanted a number above 0`,
    );
  }

  /** Whether a key is there with a value other than 0, false or "". */
  isSet(key: string): boolean {
    const value = this.get(key);
    // What is no number is there, and is refused when it is read.
    return Boolean(value) || Number.isNaN(value);
  }

  #present(key: string, absent: number | undefined): unknown {
    const value = this.get(key) ?? absent;
    if (value !== undefined) return value;
    return this.fail(`the required key ${quote(this.key(key))} is missing`);
  }

  #asCount(key: string, value: unknown): number {
    if (
      typeof value === "number" && Number.isInteger(value) && value >= 1 &&
      value < 2 ** 31
    ) return value;
    return this.fail(
      `${quote(this.key(key))} is ${show(value)}, wanted a whole number ` +
        `of at least 1`,
    );
  }
}

/** Whether a metadata value is an array of numbers, whatever its number kind. */
export function isArray(
  value: unknown,
): value is ArrayLike<unknown> & Iterable<unknown> {
  return Array.isArray(value) ||
    ArrayBuffer.isView(value) && !(value instanceof DataView);
}
