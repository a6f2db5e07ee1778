/**
 * The plugins an engine is made of: the model's own and the user's.
 *
 * @module
 */
import type { ModelSpec } from "../core/model.ts";
import type { Plugin } from "../core/plugin.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { prefixCache } from "../plugins/prefix_cache.ts";
import { slidingWindow } from "../plugins/sliding_window.ts";

/** The user's plugins, or what holds without any, and the model's windows. */
export function pluginsFor(
  spec: ModelSpec,
  given: readonly Plugin[] = [pagedAttention(), prefixCache()],
): readonly Plugin[] {
  return [...modelWindows(spec), ...given];
}

/** A plugin for each window size among the layers, contributed like anyone's. */
function modelWindows(spec: ModelSpec): readonly Plugin[] {
  const windows = new Set(spec.layers.map((l) => l.window));
  return [...windows].filter((w) => w !== undefined).map((window) => ({
    ...slidingWindow({
      window,
      layers: ({ layer }) => spec.layers[layer]!.window === window,
    }),
    name: `model-window-${window}`,
  }));
}
