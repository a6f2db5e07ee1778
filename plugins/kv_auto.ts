/**
 * K and V of each layer in 4 or 8 bits or as they are: the fewest bytes that keep to
 * a stated divergence, by what a calibration measured of this model.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";
import { type Calibration, checkCalibration } from "./kv/calibration.ts";
import { chooseFormats } from "./kv/choose.ts";
import { kvCodec } from "./kv/codec.ts";
import { int4cK } from "./kv/int4_channel.ts";
import { int4hV } from "./kv/int4_token.ts";
import { int8hK, int8V } from "./kv/int8.ts";

/** Settings of `kvAuto()`. */
export interface KvAutoOptions {
  /** Of this model, with losses: `calibrate()`, or `readCalibration()`. */
  readonly calibration: Calibration;
  /** Most mean KL divergence from the same run without codes, nats. Default 0.002. */
  readonly divergence?: number;
}

/** INT8 alone costs about a tenth of it on the models of the catalogue. */
const DIVERGENCE = 0.002;

/**
 * Chooses formats by layer. `engine.plan.explain()` shows what each got, and by the
 * plugin's name what it is expected to cost: "kv-auto 0.002, predicted 0.00187".
 *
 * ```ts ignore
 * const calibration = await readCalibration("smollm2");
 * await load("smollm2", { plugins: [kvAuto({ calibration, divergence: 0.005 })] });
 * ```
 *
 * @throws {RangeError} for a divergence that is no number from 0 on.
 * @throws {TypeError} for a calibration without losses.
 */
export function kvAuto(options: KvAutoOptions): Plugin {
  const { calibration, divergence = DIVERGENCE } = options;
  if (!(divergence >= 0 && divergence < Infinity)) {
    throw new RangeError(
      `Cannot keep K and V to a "divergence" of ${divergence}: a number from 0 on is wanted`,
    );
  }
  const { losses } = calibration;
  if (losses === undefined) {
    throw new TypeError(
      `Cannot choose formats by the calibration of model "${calibration.model}": it has no losses, calibrate again`,
    );
  }
  const { layers, predicted } = chooseFormats(losses, divergence);
  const note = layers.every(({ k }) => k === "raw")
    ? "nothing coded keeps to it"
    : `predicted ${Number(predicted.toPrecision(3))}`;
  return {
    name: `kv-auto ${divergence}, ${note}`,
    setup(host) {
      const { layers: shapes } = host.model;
      checkCalibration(calibration, host.model);
      for (const k of ["int8", "int4"] as const) {
        for (const v of ["int8", "int4"] as const) {
          const chosen = layers.flatMap((c, i) =>
            c.k === k && c.v === v ? [shapes[i]!.layer] : []
          );
          if (chosen.length === 0) continue;
          const codec = kvCodec(
            k === "int8" ? int8hK : int4cK,
            v === "int8" ? int8V : int4hV,
          );
          host.provide("codec", codec, {
            layers: (l) => chosen.includes(l.layer),
          });
        }
      }
    },
  };
}
