/**
 * Finds the tensors a model needs and holds their shapes against the metadata.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import type { TensorInfo } from "../../core/model.ts";
import { quote } from "../gguf/walk.ts";
import type { ModelFile } from "../model_file.ts";
import { matrixOf, rowsOf } from "./views.ts";

/** Tensors present in some files that carry nothing a run needs. */
const IGNORED =
  /^(rope_freqs\.weight|blk\.\d+\.(attn_rot_embd|rope_freqs)\b.*)$/;

/** Looks tensors up, checks them, and remembers which were asked for. */
export class TensorChecker {
  readonly #file: ModelFile;
  readonly #used = new Set<string>();
  readonly #views = new Map<string, TensorInfo>();

  constructor(file: ModelFile) {
    this.#file = file;
  }

  /**
   * The name of a tensor of `outputs` rows of `inputs` values.
   *
   * @param why How the wanted shape follows from the metadata, for the message.
   * @throws {ModelError} if it is missing or shaped otherwise.
   */
  matrix(name: string, inputs: number, outputs: number, why: string): string {
    return this.#find(name, inputs, outputs, 1, why).name;
  }

  /**
   * Names of the `count` matrices stacked in a tensor, each a view of it.
   *
   * @throws {ModelError} as `matrix()` does.
   */
  stack(
    name: string,
    inputs: number,
    outputs: number,
    count: number,
    why: string,
  ): string[] {
    const info = this.#find(name, inputs, outputs, count, why);
    return Array.from({ length: count }, (_, i) => {
      const view = matrixOf(info, i);
      this.#views.set(view.name, view);
      return view.name;
    });
  }

  /** The file's tensors, and the views of them that were asked for. */
  all(): ReadonlyMap<string, TensorInfo> {
    const { tensors } = this.#file;
    return this.#views.size === 0
      ? tensors
      : new Map([...tensors, ...this.#views]);
  }

  #find(
    name: string,
    inputs: number,
    outputs: number,
    stack: number,
    why: string,
  ): TensorInfo {
    const info = this.#file.tensors.get(name);
    const shape = (...dims: [number, number, number]) =>
      dims.slice(0, dims[2] === 1 ? 2 : 3).join(" × ");
    const wanted = `wanted ${shape(inputs, outputs, stack)} (${why})`;
    if (info === undefined) {
      throw new ModelError(
        this.#file.path,
        `tensor ${quote(name)} is missing, ${wanted}`,
      );
    }
    if (
      info.inputs !== inputs || info.outputs !== outputs || info.stack !== stack
    ) {
      throw new ModelError(
        this.#file.path,
        `tensor ${quote(name)} is ${
          shape(info.inputs, info.outputs, info.stack)
        }, ${wanted}`,
      );
    }
    this.#used.add(name);
    return info;
  }

  vector(name: string, length: number, why: string): string {
    return this.matrix(name, length, 1, why);
  }

  /**
   * Names of the parts of a matrix that stacks several: `rows` of each, in order.
   *
   * @throws {ModelError} as `matrix()` does, of the whole.
   */
  parts(
    name: string,
    inputs: number,
    rows: readonly number[],
    why: string,
  ): string[] {
    this.matrix(name, inputs, rows.reduce((a, b) => a + b, 0), why);
    const whole = this.#file.tensors.get(name)!;
    let from = 0;
    return rows.map((count) => {
      const view = rowsOf(whole, from, count);
      from += count;
      this.#views.set(view.name, view);
      return view.name;
    });
  }

  has(name: string): boolean {
    return this.#file.tensors.has(name);
  }

  /** Refuses a file with tensors nobody asked for: its arithmetic is another. */
  checkAllUsed(architecture: string): void {
    for (const name of this.#file.tensors.keys()) {
      if (this.#used.has(name) || IGNORED.test(name)) continue;
      throw new ModelError(
        this.#file.path,
        `tensor ${quote(name)} is not part of the architecture ` +
          `"${architecture}" as it is supported: its biases, fused or extra ` +
          `matrices cannot be run`,
      );
    }
  }
}
