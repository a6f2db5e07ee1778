/**
 * Memory that leaves as much for K and V as a test wants.
 *
 * @module
 */
import type { Engine } from "../engine.ts";

/** Bytes by which it may be off. */
const NEAR = 512;

/**
 * The `budget` with which an engine has about `bytes` for K and V. What else it takes
 * depends on how much is left, so it is found by trying; `open` loads one.
 */
export async function kvBudget(
  bytes: number,
  open: (budget: number) => Promise<Engine>,
): Promise<number> {
  let budget = 1 << 24;
  for (let i = 0; i < 12; i++) {
    await using engine = await open(budget);
    const more = engine.cache.budgetBytes - bytes;
    if (Math.abs(more) < NEAR) break;
    budget -= more;
  }
  return budget;
}
