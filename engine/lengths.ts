/**
 * How long a request may be.
 *
 * @module
 */
import type { KVCache } from "../core/cache.ts";

/** What bounds a sequence. */
export interface Bounds {
  /** Longest sequence, tokens. */
  readonly context: number;
  /** Longest that the model was trained for. */
  readonly trained: number;
  /** Its K/V have to fit here. */
  readonly cache: Pick<KVCache, "missingBytes">;
}

/** Throws a RangeError where `length` tokens are more than the context holds. */
export function checkLength(length: number, bounds: Bounds): void {
  if (length > bounds.context) throw tooLong(length, bounds);
}

/**
 * Most tokens to make after a prompt: what is wanted, or else what the context
 * and the K/V memory allow a request alone; 1 at least, which may not fit.
 * Throws a RangeError for a number out of bounds and a prompt that leaves no room.
 */
export function mostTokens(
  prompt: number,
  wanted: number | undefined,
  bounds: Bounds,
): number {
  const { context, cache } = bounds, left = context - prompt;
  if (wanted !== undefined && (!Number.isInteger(wanted) || wanted < 1)) {
    throw new RangeError(
      `Cannot generate with "maxTokens" ${wanted}: a whole number above 0 is wanted`,
    );
  }
  if (left < 1) throw tooLong(prompt, bounds);
  if (wanted !== undefined) return Math.min(wanted, left);
  // The last token made is never computed.
  const fits = (made: number): boolean =>
    cache.missingBytes(prompt + made - 1) === 0;
  if (fits(left)) return left;
  let low = 1, high = left;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** Throws a RangeError for what a scheduler or an index could not go by. */
export function checkRequest(
  priority: number,
  cachePriority: number,
  deadlineMs: number | undefined,
): void {
  const within = (name: string, value: number, low: number, high: number) => {
    if (value >= low && value <= high) return;
    throw new RangeError(
      `Cannot generate with "${name}" ${value}: a number from ${low} to ${high} is wanted`,
    );
  };
  within("priority", priority, -1e9, 1e9);
  within("cachePriority", cachePriority, 0, 100);
  if (!Number.isInteger(cachePriority)) {
    throw new RangeError(
      `Cannot generate with "cachePriority" ${cachePriority}: a whole number is wanted`,
    );
  }
  within("deadlineMs", deadlineMs ?? 0, 0, Infinity);
}

function tooLong(length: number, { context, trained }: Bounds): RangeError {
  return new RangeError(
    `Cannot take ${length} tokens: the context holds ${context}, the answer included; ` +
      (context < trained
        ? `load with a "context" of up to ${trained}`
        : "shorten the prompt"),
  );
}
