/**
 * Catches allocations that a file asks for: arrays far larger than the file.
 *
 * @module
 */
import { Finding } from "./target.ts";

/** Bytes that may be allocated at once for every byte of a file, and on top of that. */
const TIMES = 16, MORE = 4 << 20;

const KINDS = [
  ...["Uint8Array", "Int8Array", "Uint16Array", "Int16Array", "Uint32Array"],
  ...["Int32Array", "Float32Array", "Float64Array", "BigUint64Array"],
  ...["BigInt64Array", "Uint8ClampedArray", "ArrayBuffer", "SharedArrayBuffer"],
  "Array",
] as const;

type Constructor = new (...args: never[]) => object;

/**
 * While one is in use, `new` of arrays and buffers throws a Finding for more bytes
 * than `limit`. What the runtime itself allocates is not seen; heaps are watched for it.
 */
export class AllocationGuard implements Disposable {
  /** Largest allocation that was made, bytes. */
  largest = 0;
  #limit = Infinity;
  readonly #own = new Map<string, unknown>();
  readonly #repeat = String.prototype.repeat;

  constructor() {
    const all = globalThis as unknown as Record<string, Constructor>;
    for (const kind of KINDS) {
      const own = all[kind]!;
      this.#own.set(kind, own);
      const width = (own as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ??
        (kind === "Array" ? 8 : 1);
      all[kind] = new Proxy(own, {
        construct: (target, args, self) => {
          const [length] = args as unknown[];
          if (typeof length === "number") this.#see(length * width, kind);
          return Reflect.construct(target, args, self);
        },
      });
    }
    const { repeat } = String.prototype, see = this.#see.bind(this);
    String.prototype.repeat = function (this: string, count: number): string {
      see(this.length * count, "string");
      return repeat.call(this, count);
    };
  }

  /** What follows reads a file of so many bytes. */
  expect(bytes: number): void {
    this.#limit = bytes * TIMES + MORE;
  }

  #see(bytes: number, kind: string): void {
    if (bytes > this.#limit) {
      throw new Finding(
        `${kind} of ${bytes} bytes, at most ${this.#limit} are expected`,
      );
    }
    if (bytes > this.largest) this.largest = bytes;
  }

  /** Puts everything back. */
  [Symbol.dispose](): void {
    for (const [kind, own] of this.#own) {
      (globalThis as unknown as Record<string, unknown>)[kind] = own;
    }
    String.prototype.repeat = this.#repeat;
  }
}
