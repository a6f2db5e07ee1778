/**
 * K and V in 4-bit floats: NVFP4, or MXFP4 as the Open Compute Project defines it.
 *
 * A value is one of 0, 0.5, 1, 1.5, 2, 3, 4, 6 and a sign, times the scale of 16
 * (NVFP4: 4.5 bits a value) or 32 neighbours (MXFP4: 4.25). K comes out better around
 * its middle, see `centre`.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";
import {
  mxfp4hK,
  mxfp4hV,
  mxfp4K,
  mxfp4V,
  nvfp4hK,
  nvfp4hV,
  nvfp4K,
  nvfp4V,
} from "./kv/fp4.ts";
import { type KvOptions, kvPlugin } from "./kv/plugin.ts";

/** Settings of `kvFp4()`. */
export interface KvFp4Options extends KvOptions {
  /** Which of the two. Default "nvfp4", the finer one. */
  readonly format?: "nvfp4" | "mxfp4";
  /** Rotates K and V before they are coded, so that no dimension stands out. Default on. */
  readonly rotate?: boolean;
}

/**
 * Keeps K and V in 4-bit floats.
 *
 * ```ts ignore
 * await load("smollm2", { plugins: [kvFp4({ format: "mxfp4" })] });
 * ```
 *
 * @throws {RangeError} for an unknown format, or settings that mean nothing.
 */
export function kvFp4(options: KvFp4Options = {}): Plugin {
  const { format = "nvfp4", rotate = true } = options;
  if (format === "nvfp4") {
    return rotate
      ? kvPlugin(nvfp4hK, nvfp4hV, options)
      : kvPlugin(nvfp4K, nvfp4V, options);
  }
  if (format === "mxfp4") {
    return rotate
      ? kvPlugin(mxfp4hK, mxfp4hV, options)
      : kvPlugin(mxfp4K, mxfp4V, options);
  }
  throw new RangeError(
    `Cannot keep K and V as "${format}": "nvfp4" or "mxfp4" is wanted`,
  );
}
