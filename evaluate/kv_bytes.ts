/**
 * What the K and V of a sequence take, by the ledger.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";

/** Bytes of one sequence's K and V. */
export interface KvBytes {
  /** Tokens of the sequence: full blocks and one or a few more. */
  readonly tokens: number;
  /** What is held then: the open block, and slots of slabs without a block, included. */
  readonly bytes: number;
  /**
   * What a token of a full block takes: how the bytes of full blocks grow over the
   * second half of the sequence. Undefined where the context has no room for a block.
   * Layers whose window is full by then do not grow.
   */
  readonly perToken: number | undefined;
}

/** The part of an engine whose books are read. */
export type Measured = Pick<
  Engine,
  "cache" | "context" | "generate" | "memory" | "plan"
>;

/**
 * Reads the ledger at the end of two sequences, which begin as `ids` do. Both end in
 * the first tokens of a block, so that as many blocks are full as can be, and no block
 * comes while the next tokens are computed. The engine must have nothing else to do.
 *
 * @throws {RangeError} for fewer than two ids.
 */
export async function kvBytes(
  engine: Measured,
  ids: readonly number[],
  signal?: AbortSignal,
): Promise<KvBytes> {
  if (ids.length < 2) {
    throw new RangeError(
      `Cannot measure K and V of ${ids.length} tokens: 2 are wanted, and more than a block is better`,
    );
  }
  const block = engine.plan.groups
    .map((g) => g.shape.tokens)
    .reduce((a, b) => a / divisor(a, b) * b);
  const blocks = Math.floor((Math.min(ids.length, engine.context) - 1) / block);
  const end = blocks * block, from = Math.floor(blocks / 2) * block;
  const before = await held(engine, ids.slice(0, from + 1), signal);
  const after = await held(engine, ids.slice(0, end + 1), signal);
  return {
    tokens: after.tokens,
    bytes: after.bytes,
    perToken: blocks > 0
      ? (after.full - before.full) / (end - from)
      : undefined,
  };
}

/** K and V of a sequence, all tiers together. Bytes. */
interface Held {
  readonly tokens: number;
  readonly bytes: number;
  /** Of those, in full blocks. */
  readonly full: number;
}

/** What is held when `ids` are computed, and perhaps a few tokens more. */
async function held(
  engine: Measured,
  ids: readonly number[],
  signal: AbortSignal | undefined,
): Promise<Held> {
  const { cache, plan } = engine;
  const options = { tokens: ids, ignoreEos: true, signal };
  for await (const _ of engine.generate(options)) {
    const { tokens, unused } = cache.stat();
    const bytes = engine.memory().lines
      .filter((line) => line.owner === "kv")
      .reduce((sum, line) => sum + line.bytes, 0);
    const open = plan.groups.reduce(
      (sum, { blockBytes, shape }) =>
        sum + tokens % shape.tokens * blockBytes / shape.tokens,
      0,
    );
    return { tokens, bytes, full: bytes - unused - open };
  }
  throw new Error("Cannot measure K and V: the sequence ended at once");
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}
