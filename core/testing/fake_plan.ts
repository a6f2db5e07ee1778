/**
 * Small models and plugins for tests.
 *
 * @module
 */
import { type CompiledPlan, compilePlan } from "../plan.ts";
import type { Plugin } from "../plugin.ts";
import type { PrefixIndex, Retention } from "../slots.ts";
import type { BlockId, LayerShape, ModelShape } from "../types.ts";
import { FakeBackend, type FakeOptions } from "./fake_backend.ts";

/** A model of `layers` equal layers. */
export function fakeModel(layers: number): ModelShape {
  return {
    id: "fake",
    layers: Array.from(
      { length: layers },
      (_, layer) => ({ layer, qHeads: 1, kvHeads: 1, headDim: 1 }),
    ),
  };
}

/** A query sees itself and the `window - 1` before it, and the first `sinks`. */
export function windowRetention(
  window: number,
  sinks = 0,
  reach: number | undefined = undefined,
): Retention {
  return {
    id: `window/${window}/${sinks}`,
    ...(reach === undefined ? {} : { reach }),
    visible: (q) => [
      { start: 0, end: Math.min(sinks, Math.max(0, q + 1 - window)) },
      { start: Math.max(0, q + 1 - window), end: q + 1 },
    ],
  };
}

/** A plugin with one layout. */
export function layoutPlugin(
  blockTokens: number,
  layers?: (l: LayerShape) => boolean,
): Plugin {
  return {
    name: `layout-${blockTokens}`,
    setup: (host) =>
      host.provide(
        "layout",
        { id: `blocks/${blockTokens}`, blockTokens },
        layers ? { layers } : {},
      ),
  };
}

/** A plugin with one window. */
export function windowPlugin(
  window: number,
  sinks?: number,
  layers?: (l: LayerShape) => boolean,
  reach?: number,
): Plugin {
  return {
    name: `window-${window}-${sinks ?? 0}`,
    setup: (host) =>
      host.provide(
        "retention",
        windowRetention(window, sinks, reach),
        layers ? { layers } : {},
      ),
  };
}

/** A plugin with an index over a Map. */
export function indexPlugin(): Plugin {
  return {
    name: "index",
    setup: (host) => host.provide("index", mapIndex()),
  };
}

/** An index over a Map. */
export function mapIndex(): PrefixIndex {
  const map = new Map<string, BlockId>();
  return {
    get: (key) => map.get(key),
    set: (key, block) => void map.set(key, block),
    delete: (key) => void map.delete(key),
  };
}

/** A plan over a fake backend that is ready to run it. */
export async function fakePlan(
  plugins: readonly Plugin[],
  options: FakeOptions & {
    readonly layers?: number;
    readonly tableStride?: number;
  } = {},
): Promise<CompiledPlan & { readonly backend: FakeBackend }> {
  const backend = new FakeBackend(options);
  const model = fakeModel(options.layers ?? 2);
  const compiled = await compilePlan({ model, backend, plugins });
  const { groups, restore } = compiled.plan;
  const stride = options.tableStride ?? 256;
  backend.bind(groups, stride, false, restore?.boundaries);
  return { ...compiled, backend };
}
