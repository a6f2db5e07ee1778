/**
 * What the CPU backend's limits are before it is there.
 *
 * @module
 */
import type { BackendLimits } from "../core/backend.ts";
import { capacityOf, MAX_BYTES } from "./memory.ts";
import { TOP } from "./places.ts";

/** What limits follow from; see `WasmOptions` for defaults. */
export interface LimitOptions {
  readonly bytes?: number | undefined;
  readonly rows?: number | undefined;
  readonly seqs?: number | undefined;
  readonly wanted?: number | undefined;
}

/** The limits of a backend with these options. */
export function wasmLimits(
  { bytes = MAX_BYTES, rows = 256, seqs = 64, wanted = 64 }: LimitOptions,
): BackendLimits {
  const { capacity, maxSpan, align } = capacityOf(bytes);
  return { bytes: capacity, maxSpan, align, rows, seqs, wanted, top: TOP };
}
