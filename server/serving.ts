/**
 * What all requests of a server share.
 *
 * @module
 */
import { Engine } from "../engine/engine.ts";
import { unavailable } from "./errors.ts";
import { Keys } from "./keys.ts";
import { type Log, logTo } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { Models } from "./models.ts";
import { Queue } from "./queue.ts";
import { type ServerOptions, type Settings, settingsOf } from "./settings.ts";
import { Slots } from "./slots.ts";
import { Quotas } from "./tenants.ts";
import { Turns } from "./turns.ts";

/**
 * The state of a server: `createApp()` makes one of an engine, who wants to end in
 * good order makes it first.
 */
export class Serving implements AsyncDisposable {
  /** The models, by name. */
  readonly models: Models;
  /** As they were given, defaults filled in. */
  readonly settings: Settings;
  /** API keys. */
  readonly keys: Keys;
  /** Places for requests. */
  readonly queue: Queue;
  /** What each tenant may have. */
  readonly tenants: Quotas;
  /** What each key may have. */
  readonly owners: Quotas;
  /** Sessions that clients name by number. */
  readonly slots: Slots;
  /** Counts and times. */
  readonly metrics: Metrics;
  /** Tells whoever listens what happens. */
  readonly log: Log;
  /** For work between requests that may take a while. */
  readonly turns: Turns = new Turns();
  readonly #ending = new AbortController();
  #draining = false;

  /** Throws a RangeError for settings out of bounds. */
  constructor(models: Models | Engine, options: ServerOptions = {}) {
    const settings = this.settings = settingsOf(options);
    this.models = models instanceof Engine
      ? Models.of(models, options.model)
      : models;
    this.keys = new Keys(settings.apiKeys);
    this.queue = new Queue(settings.mostRequests);
    this.tenants = new Quotas("tenant", settings.tenantQuota);
    this.owners = new Quotas("key", settings.keyQuota);
    this.slots = new Slots(settings.slots, settings.sessions);
    this.log = logTo(settings.log);
    this.metrics = new Metrics();
  }

  /** Whether new requests are refused, and those that run come to their end. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Aborted when running requests are ended too. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /** Throws an ApiError, 503, once the server is ending. */
  requireOpen(): void {
    if (!this.#draining) return;
    throw unavailable("The server is ending", "server_draining");
  }

  /**
   * Refuses new requests and waits for the others; those that are still running after
   * so many milliseconds are ended. Whether all came to their end by themselves.
   */
  async drain(mostMs = 30_000): Promise<boolean> {
    this.#draining = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), mostMs);
    });
    const idle = this.queue.idle().then(() => true);
    const whole = await Promise.race([idle, late]);
    clearTimeout(timer);
    this.#ending.abort(
      unavailable("The server has ended", "server_draining"),
    );
    await idle;
    return whole;
  }

  /** Ends all requests and gives the models back. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0);
    await this.models[Symbol.asyncDispose]();
  }
}
