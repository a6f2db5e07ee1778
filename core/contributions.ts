/**
 * Runs the plugins' setup and keeps what they provide.
 *
 * @module
 */
import type { Backend } from "./backend.ts";
import { guard } from "./guard.ts";
import type { Conflict, Plugin, Scope } from "./plugin.ts";
import { type SlotName, slotRule, type Slots } from "./slots.ts";
import type { MaybePromise, ModelShape } from "./types.ts";

/** One value for one slot. */
export interface Contribution<S extends SlotName = SlotName> {
  readonly plugin: string;
  readonly slot: S;
  readonly value: Slots[S];
  /** By index of the layer: whether it applies there. */
  readonly layers: readonly boolean[];
  readonly tier: string | undefined;
}

/** Everything plugins said, and what went wrong while they said it. */
export class Contributions {
  readonly conflicts: Conflict[] = [];
  /** What the first plugin that failed threw. */
  cause: unknown = undefined;
  readonly #all: Contribution[] = [];
  readonly #closers: { plugin: string; fn: () => MaybePromise<void> }[] = [];
  readonly #replaces = new Map<string, readonly string[]>();
  readonly #abort = new AbortController();

  /** Sets the plugins up by name, so that the order of the list means nothing. */
  async gather(
    plugins: readonly Plugin[],
    model: ModelShape,
    backend: Pick<Backend, "id" | "limits">,
  ): Promise<void> {
    const sorted = [...plugins].sort((a, b) => a.name < b.name ? -1 : 1);
    const names = new Set(sorted.map((p) => p.name));
    let before: string | undefined;
    for (const p of sorted) {
      if (p.name === before) {
        this.#conflict("twice", p, `plugin "${p.name}" is registered twice`);
        continue;
      }
      before = p.name;
      for (const wanted of p.requires ?? []) {
        if (names.has(wanted)) continue;
        this.#conflict(
          "missing",
          p,
          `plugin "${p.name}" requires "${wanted}", which is not registered: add it`,
        );
      }
      this.#replaces.set(p.name, p.replaces ?? []);
      await this.#setup(p, model, backend);
    }
  }

  /** What was provided for a slot, by the plugins' names. */
  of<S extends SlotName>(slot: S): readonly Contribution<S>[] {
    return this.#all.filter((c) => c.slot === slot) as Contribution<S>[];
  }

  /** The only contribution for a place, after replacements; a conflict for more. */
  one<S extends SlotName>(
    slot: S,
    place: string,
    applies: (c: Contribution<S>) => boolean,
  ): Contribution<S> | undefined {
    const all = this.of(slot).filter(applies);
    const claims = new Set(all.map((c) => c.plugin));
    const replaced = new Set(
      [...claims].flatMap((name) => this.#replaces.get(name) ?? []),
    );
    const left = all.filter((c) => !replaced.has(c.plugin));
    if (left.length !== 1 && all.length > 0) {
      const names = [...claims];
      const list = names.map((n) => `"${n}"`).join(" and ");
      const message =
        `slot "${slot}" takes one contribution${place}: claimed by ${list}` +
        (names.length === 1
          ? `, ${all.length} times`
          : `; remove one, or let one say that it replaces the other`);
      // Layers repeat what was said of the first of them.
      if (!this.conflicts.some((c) => c.slot === slot && same(c, names))) {
        this.conflicts.push({
          code: "exclusive",
          slot,
          plugins: names,
          message,
        });
      }
    }
    return left[0] ?? all[0];
  }

  /** A conflict, once: layers repeat what was said of others. */
  report(conflict: Conflict): void {
    if (this.conflicts.some((c) => c.message === conflict.message)) return;
    this.conflicts.push(conflict);
  }

  /** Runs what plugins left for the end, last first; throws what failed. */
  async close(): Promise<void> {
    this.#abort.abort();
    const errors: Error[] = [];
    for (let c = this.#closers.pop(); c; c = this.#closers.pop()) {
      try {
        await c.fn();
      } catch (cause) {
        errors.push(
          new Error(`Cannot close plugin "${c.plugin}": ${text(cause)}`, {
            cause,
          }),
        );
      }
    }
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) {
      throw new AggregateError(errors, errors.map((e) => e.message).join("; "));
    }
  }

  async #setup(
    p: Plugin,
    model: ModelShape,
    backend: Pick<Backend, "id" | "limits">,
  ): Promise<void> {
    let open = true;
    let slot: SlotName | undefined; // being provided now
    try {
      await p.setup({
        model,
        backend,
        signal: this.#abort.signal,
        provide: (name, value, scope = {}) => {
          slot = name;
          if (!open) {
            throw new TypeError(
              `Cannot provide for slot "${name}" of plugin "${p.name}": its setup is over`,
            );
          }
          this.#all.push(contribution(p.name, name, value, scope, model));
          slot = undefined;
        },
        onClose: (fn) => void this.#closers.push({ plugin: p.name, fn }),
      });
    } catch (cause) {
      this.cause ??= cause;
      const where = slot === undefined ? "setup" : `slot "${slot}"`;
      this.conflicts.push({
        code: "setup",
        ...(slot === undefined ? {} : { slot }),
        plugins: [p.name],
        message: `plugin "${p.name}" failed in ${where}: ${text(cause)}`,
      });
    }
    open = false;
  }

  #conflict(code: Conflict["code"], p: Plugin, message: string): void {
    this.conflicts.push({ code, plugins: [p.name], message });
  }
}

function contribution<S extends SlotName>(
  plugin: string,
  slot: S,
  value: Slots[S],
  scope: Scope,
  model: ModelShape,
): Contribution<S> {
  if (slotRule(slot) === undefined) {
    throw new TypeError(
      `there is no slot "${slot}"; call defineSlot() for a new one`,
    );
  }
  if (value === null || typeof value !== "object") {
    throw new TypeError(`an object is wanted, got ${value}`);
  }
  return {
    plugin,
    slot,
    value: guard(value, plugin, slot),
    layers: model.layers.map((l) => scope.layers?.(l) ?? true),
    tier: scope.tier,
  };
}

function same(c: Conflict, names: readonly string[]): boolean {
  return c.plugins.length === names.length &&
    c.plugins.every((n, i) => n === names[i]);
}

function text(e: unknown): string {
  return e instanceof Error ? e.message : String(e);
}
