/**
 * Names of values in the server.
 *
 * ```text
 *  <prefix>:<fingerprint>:<hash of the salt>:<content key>   blocks that all share
 *  <prefix>:swap:<random>:<number>:<page>                    blocks of one process
 * ```
 * All blocks of a model, or of a tenant, have a pattern in common, by which they
 * can be removed.
 *
 * @module
 */
import { sha256Text } from "../../core/sha256.ts";
import type { Sought } from "../../core/slots.ts";

/**
 * What stands for a salt: half of its SHA-256, in hexadecimal digits. Whoever sees
 * names does not see salts, but can try guesses.
 */
export function saltName(salt: string): string {
  return sha256Text(salt).slice(0, 32);
}

/** What the names of a tenant's blocks of a model begin with. */
export function contentPrefix(
  prefix: string,
  { fingerprint, salt }: Pick<Sought, "fingerprint" | "salt">,
): string {
  const model = /^[\w.-]+$/.test(fingerprint)
    ? fingerprint
    : sha256Text(fingerprint);
  return `${prefix}:${model}:${saltName(salt)}:`;
}

/** What the names of this process's own blocks begin with; other each time. */
export function swapPrefix(prefix: string): string {
  return `${prefix}:swap:${crypto.randomUUID()}:`;
}
