/**
 * Why answers cannot be held to a format.
 *
 * @module
 */

/** A format that cannot be kept to; `path` says which part of its schema. */
export class FormatError extends Error {
  /** Its name. */
  override readonly name = "FormatError";
  /** The part of the schema, as a JSON pointer with "#" in front. */
  readonly path: string;

  /** `why`: what is wrong there, and what to do. */
  constructor(path: string, why: string) {
    super(`Cannot keep to the format at "${path}": ${why}`);
    this.path = path;
  }
}
