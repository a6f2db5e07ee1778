/**
 * Errors users meet. A message names the thing, the wanted and the actual
 * value, and what to do; no full stop, strings in quotes.
 *
 * @module
 */

/** A model file that is broken, hostile, or of a kind this project cannot run. */
export class ModelError extends Error {
  /** "ModelError". */
  override readonly name = "ModelError";
  /** The file or folder, as the user gave it. */
  readonly file: string;
  /** What is wrong with it, without the file's name. */
  readonly problem: string;

  /** `problem` says what is wrong, wanted and actual. */
  constructor(file: string, problem: string, options?: ErrorOptions) {
    super(`Cannot use model "${file}": ${problem}`, options);
    this.file = file;
    this.problem = problem;
  }
}
