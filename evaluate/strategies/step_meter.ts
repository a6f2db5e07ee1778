/**
 * Looks at the cache once in every step, while the step's blocks are taken.
 *
 * @module
 */
import type { Plugin } from "../../core/plugin.ts";
import { byPriority } from "../../core/defaults.ts";
import type { Engine } from "../../engine/engine.ts";

/** What a look sees. */
export interface Sharing {
  /** Blocks there would be without sharing, and blocks there are. */
  readonly alone: number;
  readonly shared: number;
}

/** The part of an engine that is looked at. */
type Watched = {
  readonly cache: Pick<Engine["cache"], "stat">;
  readonly scheduler: Pick<Engine["scheduler"], "stat">;
};

/** A plugin that counts uses and blocks, step by step. */
export class StepMeter {
  /** The default admission, which hears of every step. */
  readonly plugin: Plugin;
  readonly #looks: Sharing[] = [];
  #engine: Watched | undefined;
  #steps = -1;

  constructor() {
    const look = (): void => this.#look();
    this.plugin = {
      name: "step-meter",
      setup: (host) =>
        host.provide("admission", { ...byPriority(), served: look }),
    };
  }

  /** Looks at this engine from now on. */
  watch(engine: Watched): void {
    this.#engine = engine;
  }

  /** What was seen since the last call. */
  take(): Sharing[] {
    return this.#looks.splice(0);
  }

  /** `served()` is called for each request of a step; one look is enough. */
  #look(): void {
    const engine = this.#engine;
    if (engine === undefined) return;
    const { steps } = engine.scheduler.stat();
    if (steps === this.#steps) return;
    this.#steps = steps;
    const { blocks, references } = engine.cache.stat();
    // Idle blocks are a cache, used by nobody.
    const shared = blocks.open + blocks.sealed - blocks.idle;
    this.#looks.push({ alone: references, shared });
  }
}

/**
 * The share of memory that sharing saves, 0 to 1: blocks saved over blocks there
 * would be, both on average over the looks.
 */
export function saved(looks: readonly Sharing[]): number {
  let alone = 0, shared = 0;
  for (const look of looks) {
    alone += look.alone;
    shared += look.shared;
  }
  return alone > 0 ? (alone - shared) / alone : 0;
}
