/**
 * Sliding windows and attention sinks.
 *
 * A query sees itself, the `window - 1` positions before it, and the first
 * `sinks` of the sequence. Blocks that no later query sees are given back, so a
 * sequence takes window + one block (and the rows of a step), however long it
 * becomes.
 *
 * ```text
 *  position   0 1 2 3 | 4 5 … released …  | q-window+1 … q |
 *             └ sinks                       └ window
 * ```
 *
 * Sinks: Xiao et al., "Efficient Streaming Language Models with Attention
 * Sinks", ICLR 2024. There sinks stand right before the window; here they keep
 * their true distance up to `reach`, and no query is ever further away than the
 * model was trained for.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";
import type { Retention } from "../core/slots.ts";
import type { LayerShape } from "../core/types.ts";

/** Settings of `slidingWindow()`. */
export interface SlidingWindowOptions {
  /** Positions a query sees, itself included: 1 or more. */
  readonly window: number;
  /** First positions that every query sees besides, up to `window` of them. Default 0. */
  readonly sinks?: number;
  /** The layers it holds for. Default: all. A layer's own window stays in force. */
  readonly layers?: (layer: LayerShape) => boolean;
  /**
   * Queries further than this from the start see the sinks as from there.
   * Default: the positions the model was trained for.
   */
  readonly reach?: number;
}

/**
 * Limits what queries see, and so what has to be kept.
 *
 * ```ts ignore
 * await load("smollm2", {
 *   context: 100_000,
 *   plugins: [pagedAttention(), slidingWindow({ window: 1020, sinks: 4 })],
 * });
 * ```
 *
 * @throws {RangeError} for a window below 1, or more sinks than the window has positions.
 */
export function slidingWindow(options: SlidingWindowOptions): Plugin {
  const { window, sinks = 0, layers, reach } = options;
  checkWindow(window, sinks, reach);
  return {
    name: `sliding-window-${window}${sinks > 0 ? `-${sinks}` : ""}`,
    setup: (host) =>
      host.provide(
        "retention",
        windowRetention(window, sinks, reach ?? host.model.context),
        layers === undefined ? {} : { layers },
      ),
  };
}

/** The rule of a window with sinks. */
export function windowRetention(
  window: number,
  sinks: number = 0,
  reach: number | undefined = undefined,
): Retention {
  return {
    id: sinks > 0 ? `window/${window}/${sinks}` : `window/${window}`,
    ...(sinks > 0 && reach !== undefined ? { reach } : {}),
    visible: (q) => {
      const start = Math.max(0, q + 1 - window);
      const recent = { start, end: q + 1 };
      return sinks > 0 && start > 0
        ? [{ start: 0, end: Math.min(sinks, start) }, recent]
        : [recent];
    },
  };
}

function checkWindow(
  window: number,
  sinks: number,
  reach: number | undefined,
): void {
  const refuse = (what: string, wanted: string): never => {
    throw new RangeError(
      `Cannot make a sliding window with ${what}: ${wanted}`,
    );
  };
  if (!Number.isInteger(window) || window < 1) {
    refuse(
      `"window" ${window}`,
      "a whole number of positions above 0 is wanted",
    );
  }
  if (!Number.isInteger(sinks) || sinks < 0 || sinks > window) {
    refuse(
      `"sinks" ${sinks}`,
      `a whole number from 0 to ${window}, no more than the window, is wanted`,
    );
  }
  if (reach !== undefined && !(Number.isInteger(reach) && reach > window)) {
    refuse(
      `"reach" ${reach}`,
      `a whole number of positions above the window of ${window} is wanted`,
    );
  }
}
