/**
 * `id_slot` of a request.
 *
 * @module
 */
import { badRequest } from "./errors.ts";
import type { Serving } from "./serving.ts";

/** Throws an ApiError for a slot that there is not, or several answers for one. */
export function checkSlot(
  slot: number | null | undefined,
  n: number | null | undefined,
  most: number,
): void {
  if (slot === null || slot === undefined) return;
  if (slot >= most) {
    throw badRequest(
      `There is no slot ${slot}: they go from 0 to ${most - 1}`,
      "id_slot",
    );
  }
  if ((n ?? 1) > 1) {
    throw badRequest('"id_slot" goes with one answer only', "id_slot");
  }
}

/** What remembers the tokens of an answer; undefined where no slot is named. */
export function rememberSlot(
  serving: Serving,
  tenant: string,
  slot: number | null | undefined,
  model: string,
  prompt: () => readonly number[],
): ((made: readonly number[]) => void) | undefined {
  if (slot === null || slot === undefined) return undefined;
  return (made) =>
    serving.slots.set(tenant, slot, { model, tokens: [...prompt(), ...made] });
}
