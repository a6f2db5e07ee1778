/**
 * What a plugin is, and what it is given at setup.
 *
 * @module
 */
import type { Backend } from "./backend.ts";
import type { SlotName, Slots } from "./slots.ts";
import type { LayerShape, MaybePromise, ModelShape } from "./types.ts";

/** Where a contribution applies. */
export interface Scope {
  /** Default: every layer. Only slots that are resolved per layer look at it. */
  readonly layers?: (layer: LayerShape) => boolean;
  /** Codec only: encode differently from this tier on. */
  readonly tier?: string;
}

/** What setup may use. */
export interface PluginHost {
  /** The model being loaded. */
  readonly model: ModelShape;
  /** Where it will run. */
  readonly backend: Pick<Backend, "id" | "limits">;
  /** Aborted when the engine closes. */
  readonly signal: AbortSignal;
  /** Contributes a value to a slot. Throws after setup has returned. */
  provide<S extends SlotName>(slot: S, value: Slots[S], scope?: Scope): void;
  /** Runs when the engine closes, last registered first. */
  onClose(fn: () => MaybePromise<void>): void;
}

/** A strategy: data and closures from a factory. */
export interface Plugin {
  /** Unique; appears in every error and plan line. */
  readonly name: string;
  /** Plugins this one cannot work without, by name. */
  readonly requires?: readonly string[];
  /** Takes over another plugin's exclusive slots on purpose, by name. */
  readonly replaces?: readonly string[];
  /** Called once, before the plan is made; what it throws becomes a Conflict. */
  setup(host: PluginHost): MaybePromise<void>;
}

/** Something that keeps plugins from forming a plan. */
export interface Conflict {
  /** What kind of conflict. */
  readonly code:
    | "twice"
    | "exclusive"
    | "missing"
    | "rank"
    | "input"
    | "budget"
    | "value"
    | "kernel"
    | "setup";
  /** The slot, where there is one. */
  readonly slot?: SlotName;
  /** Names of those who conflict. */
  readonly plugins: readonly string[];
  /** What, who, and how to resolve it. */
  readonly message: string;
}

/** Plugins that do not fit together. Carries every conflict found, not the first. */
export class PlanError extends TypeError {
  /** Tells it from other errors. */
  override readonly name = "PlanError";
  /** All of them. */
  readonly conflicts: readonly Conflict[];

  /** Joins the messages of the conflicts. */
  constructor(conflicts: readonly Conflict[], options?: ErrorOptions) {
    super(
      `Cannot build the cache plan: ${
        conflicts.map((c) => c.message).join("; ")
      }`,
      options,
    );
    this.conflicts = conflicts;
  }
}

/** Something a plugin threw while it was used. */
export class PluginError extends Error {
  /** Tells it from other errors. */
  override readonly name = "PluginError";
  /** Whose it is. */
  readonly plugin: string;
  /** What it was used for. */
  readonly slot: string;

  /** `method`: of the slot's value; `cause`: what was thrown. */
  constructor(plugin: string, slot: string, method: string, cause: unknown) {
    super(
      `Plugin "${plugin}" failed in slot "${slot}", "${method}": ${
        cause instanceof Error ? cause.message : cause
      }`,
      { cause },
    );
    this.plugin = plugin;
    this.slot = slot;
  }
}
