/**
 * What a command is.
 *
 * @module
 */
import { type Host, UsageError } from "./host.ts";
import type { CliOptions, Option } from "./options.ts";

/** One word after `quire`. */
export interface Command {
  readonly name: string;
  /** Its operands, for the help. */
  readonly operands: string;
  /** One line. */
  readonly summary: string;
  /** More for its own help, where one line is not enough. */
  readonly details?: string;
  readonly options: readonly Option[];
  /**
   * Does it and returns the exit status.
   *
   * @param signal Aborted by Ctrl-C.
   */
  run(options: CliOptions, host: Host, signal: AbortSignal): Promise<number>;
}

/**
 * The model of a command that takes nothing else, as an operand or by `--model`.
 *
 * @throws {UsageError} unless there is exactly one.
 */
export function onlyModel(name: string, options: CliOptions): string {
  const given = [
    ...options.model === undefined ? [] : [options.model],
    ...options.operands,
  ];
  if (given.length === 1 && given[0] !== "") return given[0]!;
  throw new UsageError(
    `Cannot run "${name}" on ${given.length} models: one is wanted, "quire ${name} smollm2"`,
  );
}
