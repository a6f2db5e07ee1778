/**
 * What goes wrong with sessions.
 *
 * @module
 */

/** What a session was made with, each with a fingerprint of its own. */
export type SessionMark =
  | "weights"
  | "tokenizer"
  | "rope"
  | "plan"
  | "adapters";

/** A session that cannot be written, or not be used here. */
export class SessionError extends Error {
  /** "SessionError". */
  override readonly name = "SessionError";
  /** The file, as the user gave it. */
  readonly file: string;
  /** What is wrong, without the file's name. */
  readonly problem: string;
  /**
   * What differs from when it was saved; empty where the file itself is at fault.
   * Such a session can be restored with `replay`.
   */
  readonly differs: readonly SessionMark[];

  /** `problem` says what is wrong, wanted and actual. */
  constructor(
    action: "save" | "restore",
    file: string,
    problem: string,
    { differs = [], ...options }: ErrorOptions & {
      readonly differs?: readonly SessionMark[];
    } = {},
  ) {
    super(`Cannot ${action} session "${file}": ${problem}`, options);
    this.file = file;
    this.problem = problem;
    this.differs = differs;
  }
}

/** A file that cannot be used at all. */
export function unreadable(path: string, why: string): SessionError {
  return new SessionError("restore", path, why);
}

/** A file that is not as it was written. */
export function damaged(path: string, what: string): SessionError {
  return unreadable(
    path,
    `${what} is damaged: nothing of it was used; remove the file, or put a copy in its place`,
  );
}
