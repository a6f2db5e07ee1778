/**
 * What a server tells of its requests: one flat record each, never the texts of
 * users.
 *
 * @module
 */

/** One line of a log. */
export interface LogLine {
  /** When, in ISO 8601. */
  readonly time: string;
  /** What: "http" for a response that begins, "answer" for one that ended, … */
  readonly event: string;
  /** The request's id, which the client has too. */
  readonly id?: string;
  /** What else belongs to it. */
  readonly [field: string]: string | number | boolean | undefined;
}

/** Hears of what happens. */
export type Log = (
  event: string,
  fields?: Omit<LogLine, "time" | "event">,
) => void;

/** A log that puts the time in front. What `write` throws is no request's trouble. */
export function logTo(write: ((line: LogLine) => void) | undefined): Log {
  return (event, fields = {}) => {
    try {
      write?.({ time: new Date().toISOString(), event, ...fields });
    } catch {
      // Nobody is there to hear of it.
    }
  };
}
