/**
 * What can be fuzzed: one record for each kind of file.
 *
 * @module
 */
import type { Random } from "./random.ts";

/** Files of one input by name; the first is the one that is opened. */
export type Sample = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

/** What is done with what was accepted: nothing, one token, or that and a whole load. */
export type Use = "read" | "run" | "load";

/** A kind of file, how good ones are bent and what has to hold then. */
export interface Target {
  readonly name: string;
  /** How many inputs of all are of this kind, in parts. */
  readonly weight: number;
  /** Whether what is accepted can compute a token. */
  readonly runs?: boolean;
  /** Good files, every one accepted. */
  seeds(): Promise<readonly Sample[]>;
  /** One of them bent. */
  mutate(seeds: readonly Sample[], random: Random): Sample;
  /**
   * Reads the files as the program does. Returns why they were refused, with
   * the error that the reader documents; undefined where they were accepted, and
   * what was read was held against the bytes. Anything thrown is a defect.
   */
  read(sample: Sample, use: Use): Promise<string | undefined>;
}

/** Accepted, but not what the file says; or refused in a bad way. */
export class Finding extends Error {
  override readonly name = "Finding";
}

/** Throws a {@linkcode Finding} unless `holds`. */
export function claim(
  holds: boolean,
  says: string | (() => string),
): asserts holds {
  if (!holds) throw new Finding(typeof says === "string" ? says : says());
}

/** Longest message that is still one to read. */
const LONGEST = 800;

/** Throws a {@linkcode Finding} for a message that nobody can read, or not safely. */
export function checkMessage(message: string): string {
  claim(message.length <= LONGEST, `a message of ${message.length} characters`);
  // deno-lint-ignore no-control-regex
  const control = /[\0-\x1f\x7f-\x9f\u2028\u2029]/.exec(message);
  claim(control === null, `control characters in ${JSON.stringify(message)}`);
  return message;
}

/** A message without what differs from file to file. */
export function reasonOf(message: string): string {
  return message
    .replace(/^Cannot (\w+) (\w+) "(?:[^"\\]|\\.)*": /, "")
    .replace(/"(?:[^"\\]|\\.)*"/g, '"…"')
    .replace(/-?\d[\d.]*(e[+-]?\d+)?/g, "N")
    .replace(/(N( × )?)+/g, "N")
    .replace(/; wanted one of .*|wanted one of .*|supported are .*/, "")
    .slice(0, 90);
}
