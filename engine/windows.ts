/**
 * The model's own attention windows, contributed like anyone's.
 *
 * @module
 */
import type { ModelSpec } from "../core/model.ts";
import type { Plugin } from "../core/plugin.ts";
import type { Retention } from "../core/slots.ts";

/** Retentions of a model's windowed layers. */
export function modelWindows(spec: ModelSpec): Plugin {
  return {
    name: "model-windows",
    setup(host) {
      const windows = new Set(spec.layers.map((l) => l.window));
      for (const window of windows) {
        if (window === undefined) continue;
        const retention: Retention = {
          id: `window/${window}`,
          visible: (q) => [{ start: Math.max(0, q - window + 1), end: q + 1 }],
        };
        host.provide("retention", retention, {
          layers: ({ layer }) => spec.layers[layer]!.window === window,
        });
      }
    },
  };
}
