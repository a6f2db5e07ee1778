/**
 * What the commands know of the world around them, so that a test can be it.
 *
 * @module
 */

/** Standard streams, Ctrl-C and the clock. */
export interface Host {
  /**
   * Writes to standard output before it returns.
   *
   * @throws {Deno.errors.BrokenPipe} where nobody reads any more.
   */
  out(text: string): void;
  /** Writes to standard error; what nobody reads is lost. */
  err(text: string): void;
  /** Which streams are terminals. */
  readonly terminal: {
    readonly in: boolean;
    readonly out: boolean;
    readonly err: boolean;
  };
  /** Width of the terminal, characters. */
  columns(): number;
  /** Lines of standard input without their ends. Asked for once. */
  lines(): AsyncIterator<string>;
  /**
   * Takes Ctrl-C over until it is disposed of; the handler set last is the one
   * that is called.
   */
  onInterrupt(handler: () => void): Disposable;
  /** Ends the program at once. */
  exit(status: number): void;
  /** Milliseconds since some moment. */
  now(): number;
  /** Bytes of memory that are free; undefined where nobody may ask. */
  freeMemory(): number | undefined;
}

/** Thrown for a command line that cannot be understood; exit status 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
