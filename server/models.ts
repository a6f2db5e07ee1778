/**
 * The models of a server: in memory, or to be loaded when somebody asks.
 *
 * ```text
 *              use()                       last use over
 *   asleep ───────────▶ loading ──▶ awake ◀────────────▶ in use
 *     ▲                    │          │ sleep(), or idle for long
 *     └────────────────────┴──────────┘
 *            it failed          weights, K and V are given back
 * ```
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import { ApiError, notFound, unavailable } from "./errors.ts";

/** A model that can be served. */
export interface ModelEntry {
  /** What clients call it. */
  readonly id: string;
  /** Loads it; called again after it slept. */
  readonly load: (signal: AbortSignal) => Promise<Engine>;
  /** Sleeps by itself after so many milliseconds without a request. Default: never. */
  readonly idleMs?: number | undefined;
  /** Whether it is loaded before anybody asks. Default false. */
  readonly eager?: boolean | undefined;
}

/** Where a model is. "closed": it was unloaded, and is not loaded by itself. */
export type ModelState = "asleep" | "loading" | "awake" | "closed";

/** What is told of a model. */
export interface ModelInfo {
  /** What clients call it. */
  readonly id: string;
  /** Where it is. */
  readonly state: ModelState;
  /** Requests that use it. */
  readonly uses: number;
  /** When it was named to the server, seconds since 1970. */
  readonly created: number;
  /** Undefined unless it is awake. */
  readonly engine: Engine | undefined;
}

/** An engine that stays while it is held. */
export interface Lease extends Disposable {
  /** The model's name. */
  readonly id: string;
  /** To be used until it is disposed of. */
  readonly engine: Engine;
}

/** All models of a server, by name. */
export class Models implements AsyncDisposable {
  readonly #held = new Map<string, Held>();
  readonly #aliases: Readonly<Record<string, string>>;

  /** The first is the default. Throws a RangeError for two of one name, or none. */
  constructor(
    entries: readonly ModelEntry[],
    aliases: Readonly<Record<string, string>> = {},
  ) {
    for (const entry of entries) {
      if (this.#held.has(entry.id)) {
        throw new RangeError(`Cannot serve two models named "${entry.id}"`);
      }
      this.#held.set(entry.id, new Held(entry));
    }
    if (entries.length === 0) {
      throw new RangeError("Cannot serve no models: one is the least");
    }
    for (const [alias, id] of Object.entries(aliases)) {
      if (this.#held.has(id)) continue;
      throw new RangeError(
        `Cannot serve "${alias}" by model "${id}": there is ${this.#names()}`,
      );
    }
    this.#aliases = aliases;
  }

  /** One model that is loaded already; it is not given up but with the others. */
  static of(engine: Engine, id = "default"): Models {
    const models = new Models([{ id, load: () => Promise.resolve(engine) }]);
    models.#held.get(id)!.keep(engine);
    return models;
  }

  /** Name of the model of requests that name none. */
  get first(): string {
    return this.#held.keys().next().value!;
  }

  /** What there is to tell of each. */
  list(): readonly ModelInfo[] {
    return [...this.#held.values()].map((held) => held.info());
  }

  /** Other names, and the models they stand for. */
  get aliases(): Readonly<Record<string, string>> {
    return this.#aliases;
  }

  /** A model by its name or an alias. Throws an ApiError, 404, for others. */
  find(name: string | undefined): ModelInfo {
    return this.#of(name).info();
  }

  /**
   * An engine, loaded if it sleeps. Throws an ApiError: 404 for a name that there is
   * not, 503 for a model that was unloaded or cannot be loaded.
   */
  async use(name: string | undefined): Promise<Lease> {
    return await this.#of(name).use();
  }

  /** Loads a model, one that was unloaded too. */
  async load(name: string): Promise<void> {
    const held = this.#of(name);
    held.open();
    using _ = await held.use();
  }

  /**
   * Gives a model's memory back; the next request loads it again. Throws an ApiError,
   * 409, while it is in use.
   */
  async sleep(name: string): Promise<void> {
    await this.#of(name).sleep();
  }

  /** As `sleep()`, and requests are refused until it is loaded again. */
  async unload(name: string): Promise<void> {
    await this.#of(name).sleep("closed");
  }

  /** Loads those that are eager. */
  async start(): Promise<void> {
    for (const held of this.#held.values()) {
      if (!held.entry.eager) continue;
      using _ = await held.use();
    }
  }

  /** Gives everything back, whoever uses it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#held.values()].map((held) => held.end()));
  }

  #of(name: string | undefined): Held {
    const asked = name ?? this.first;
    const id = Object.hasOwn(this.#aliases, asked)
      ? this.#aliases[asked]!
      : asked;
    const held = this.#held.get(id);
    if (held !== undefined) return held;
    throw notFound(
      `The model "${
        asked.slice(0, 200)
      }" does not exist: there is ${this.#names()}`,
      "model",
      "model_not_found",
    );
  }

  #names(): string {
    return [...this.#held.keys()].map((id) => `"${id}"`).join(", ");
  }
}

/** One model, and who uses it. */
class Held {
  readonly entry: ModelEntry;
  readonly #created = Math.floor(Date.now() / 1000);
  readonly #ending = new AbortController();
  #engine: Engine | undefined;
  #loading: Promise<Engine> | undefined;
  #closing: Promise<void> | undefined;
  #closed = false;
  #uses = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(entry: ModelEntry) {
    this.entry = entry;
  }

  keep(engine: Engine): void {
    this.#engine = engine;
  }

  info(): ModelInfo {
    const state = this.#engine !== undefined
      ? "awake"
      : this.#loading !== undefined
      ? "loading"
      : this.#closed
      ? "closed"
      : "asleep";
    const { id } = this.entry;
    const uses = this.#uses, created = this.#created, engine = this.#engine;
    return { id, state, uses, created, engine };
  }

  open(): void {
    this.#closed = false;
  }

  async use(): Promise<Lease> {
    const { id } = this.entry;
    clearTimeout(this.#timer);
    this.#uses++;
    try {
      await this.#closing;
      if (this.#closed || this.#ending.signal.aborted) {
        throw unavailable(
          `The model "${id}" was unloaded`,
          "model_unloaded",
          30,
        );
      }
      const engine = this.#engine ?? await this.#load();
      let over = false;
      const release = (): void => {
        if (!over) this.#release();
        over = true;
      };
      return { id, engine, [Symbol.dispose]: release };
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  #release(): void {
    this.#uses--;
    const { idleMs } = this.entry;
    if (this.#uses > 0 || idleMs === undefined) return;
    if (this.#engine === undefined || this.#ending.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.sleep().catch(() => {
        // Somebody uses it, and will let go of it again.
      });
    }, idleMs);
  }

  async #load(): Promise<Engine> {
    const { id } = this.entry;
    this.#loading ??= this.entry.load(this.#ending.signal);
    try {
      return this.#engine = await this.#loading;
    } catch (cause) {
      throw new ApiError(503, `The model "${id}" cannot be loaded`, {
        code: "model_load_failed",
        cause,
      });
    } finally {
      this.#loading = undefined;
    }
  }

  async sleep(then: "asleep" | "closed" = "asleep"): Promise<void> {
    if (this.#uses > 0) {
      throw new ApiError(
        409,
        `Cannot give up model "${this.entry.id}": ${this.#uses} requests use it`,
        { code: "model_in_use" },
      );
    }
    this.#closed ||= then === "closed";
    await this.#close();
  }

  async #close(): Promise<void> {
    clearTimeout(this.#timer);
    const engine = this.#engine;
    this.#engine = undefined;
    if (engine !== undefined) {
      this.#closing = engine[Symbol.asyncDispose]();
    }
    try {
      await this.#closing;
    } finally {
      this.#closing = undefined;
    }
  }

  async end(): Promise<void> {
    this.#ending.abort(new Error("Cannot load: the server is ending"));
    await this.#loading?.catch(() => {});
    await this.#close();
  }
}
