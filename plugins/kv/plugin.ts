/**
 * What all plugins that code K and V have in common.
 *
 * @module
 */
import { spans } from "../../core/explain.ts";
import type { Plugin, Scope } from "../../core/plugin.ts";
import type { LayerShape, ModelShape } from "../../core/types.ts";
import { type Calibration, checkCalibration } from "./calibration.ts";
import { codecId, kvCodec } from "./codec.ts";
import type { KvPart } from "./part.ts";

/** Settings that all formats have. */
export interface KvOptions {
  /**
   * The layers it holds for: their numbers, or a choice. Default: all. Several such
   * plugins may share a model, one for each layer.
   */
  readonly layers?: readonly number[] | ((layer: LayerShape) => boolean);
  /** First blocks of every sequence that stay as they were computed. Default 0. */
  readonly keepFirst?: number;
  /** Codes K around the middle that this calibration of the model found. */
  readonly centre?: Calibration;
}

/**
 * Codes K as `k` and V as `v`. Its name has all that can tell it from another of its
 * kind: "kv-cache int8h/int4 layers 0-3 keep 1 centred".
 *
 * @throws {RangeError} for settings that mean nothing.
 */
export function kvPlugin(k: KvPart, v: KvPart, options: KvOptions): Plugin {
  const { layers, keepFirst = 0, centre } = options;
  if (!Number.isSafeInteger(keepFirst) || keepFirst < 0) {
    throw new RangeError(
      `Cannot code K and V with "keepFirst" ${keepFirst}: a whole number of blocks from 0 on is wanted`,
    );
  }
  const list = typeof layers === "object" ? layerList(layers) : undefined;
  const chosen = list ? spans(list) : layers === undefined ? "" : "by choice";
  return {
    name: `kv-cache ${codecId(k, v)}` +
      (chosen === "" ? "" : ` layers ${chosen}`) +
      (keepFirst === 0 ? "" : ` keep ${keepFirst}`) +
      (centre === undefined ? "" : " centred"),
    setup(host) {
      if (centre !== undefined) checkCalibration(centre, host.model);
      if (list !== undefined) checkLayers(list, host.model);
      const scope: Scope = list !== undefined
        ? { layers: (l) => list.includes(l.layer) }
        : typeof layers === "function"
        ? { layers }
        : {};
      host.provide(
        "codec",
        kvCodec(k, v, { keepFirst, centre: centre && middles(centre) }),
        scope,
      );
    },
  };
}

/** Vectors by layer; none for layers that are left alone. */
function middles(
  { centre }: Calibration,
): (layer: number) => Float32Array | undefined {
  return (layer) => centre[layer]?.length ? centre[layer] : undefined;
}

function layerList(layers: readonly number[]): readonly number[] {
  const list = [...new Set(layers)].sort((a, b) => a - b);
  const bad = list.find((l) => !Number.isSafeInteger(l) || l < 0);
  if (list.length === 0 || bad !== undefined) {
    throw new RangeError(
      `Cannot code K and V of "layers" [${
        layers.join(", ")
      }]: at least one whole number from 0 on is wanted, leave it out for all`,
    );
  }
  return list;
}

function checkLayers(list: readonly number[], model: ModelShape): void {
  const last = list.at(-1)!;
  if (last < model.layers.length) return;
  throw new RangeError(
    `Cannot code K and V of layer ${last}: the model has layers 0 to ${
      model.layers.length - 1
    }`,
  );
}
