/**
 * Blocks in a server, found by what they hold and by all who know the server.
 *
 * @module
 */
import type { ContentStore, Sought } from "../../core/slots.ts";
import { type Asker, Nonsense } from "./asker.ts";
import { frame, unframe } from "./frame.ts";
import { Refused, type Send } from "./link.ts";
import { contentPrefix } from "./names.ts";

/** How long answers may take, and how much may be under way. */
export interface Limits {
  /** Milliseconds that a look-up or read may take in any case. */
  readonly waitMs: number;
  /** Milliseconds more for each 1,024 tokens that it would save. */
  readonly waitMsPerKiToken: number;
  /** Milliseconds that a write may take; nobody waits for it. */
  readonly writeMs: number;
  /** Most bytes of writes under way. What is more is forgotten. */
  readonly pendingBytes: number;
}

/** Settings of a store. */
export interface StoreOptions {
  readonly prefix: string;
  /** Seconds after its last use at which a block is gone; undefined: never. */
  readonly ttlSeconds: number | undefined;
  readonly limits: Limits;
}

/** Bytes under way to the server, of all that write. */
export class Outbox {
  readonly #most: number;
  #bytes = 0;

  /** At most so many. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Does `write` where there is room for `bytes`; else nothing, and undefined. */
  async with<T>(
    bytes: number,
    write: () => Promise<T>,
  ): Promise<T | undefined> {
    if (this.#bytes + bytes > this.#most) return undefined;
    this.#bytes += bytes;
    try {
      return await write();
    } finally {
      this.#bytes -= bytes;
    }
  }
}

/** The value of a name: undefined for none, "broken" for what cannot be one. */
async function getValue(
  send: Send,
  name: string,
  ttlSeconds?: number,
): Promise<Uint8Array | "broken" | undefined> {
  let value: unknown;
  try {
    value = await send(
      ttlSeconds === undefined
        ? ["GET", name]
        : ["GETEX", name, "EX", String(ttlSeconds)],
    );
  } catch (error) {
    // Somebody's list or set has the name.
    if (error instanceof Refused && /^WRONGTYPE/.test(error.message)) {
      return "broken";
    }
    throw error;
  }
  if (value === null) return undefined;
  if (value instanceof Uint8Array) return value;
  throw new Nonsense("GET");
}

/** A `ContentStore` whose blocks are values of a server. */
export class RedisStore implements ContentStore {
  /** See `ContentStore`: others want it, whatever becomes of this engine. */
  readonly when = "full";
  readonly #asker: Asker;
  readonly #outbox: Outbox;
  readonly #options: StoreOptions;

  /** Over what asks, and what bounds all writes. */
  constructor(asker: Asker, outbox: Outbox, options: StoreOptions) {
    this.#asker = asker;
    this.#outbox = outbox;
    this.#options = options;
  }

  /** See `ContentStore`. Resolves when it is there or given up; never rejects. */
  async keep(key: string, bytes: Uint8Array, about: Sought): Promise<void> {
    const { ttlSeconds, prefix, limits } = this.#options;
    const name = contentPrefix(prefix, about) + key;
    await this.#outbox.with(
      bytes.length,
      () =>
        this.#asker.tell(limits.writeMs, async (send) => {
          // Asked first: another machine may have sent the same bytes already.
          if (await send(["EXISTS", name]) === 1) return;
          const expiry = ttlSeconds === undefined
            ? []
            : ["EX", String(ttlSeconds)];
          await send(["SET", name, frame(name, bytes), "NX", ...expiry]);
        }),
    );
  }

  /** See `ContentStore`. One round trip; nothing is there where it takes too long. */
  async find(keys: readonly string[], about: Sought): Promise<Uint8Array> {
    const there = new Uint8Array(keys.length);
    // What could not be read is not worth looking for.
    if (keys.length === 0 || !this.#asker.asks("read")) return there;
    const prefix = contentPrefix(this.#options.prefix, about);
    const answers = await this.#asker.ask(
      "find",
      this.#waitMs(about),
      async (send) => {
        const all = await Promise.all(
          keys.map((key) => send(["EXISTS", prefix + key])),
        );
        if (all.every((n) => n === 0 || n === 1)) return all;
        throw new Nonsense("EXISTS");
      },
    );
    answers?.forEach((n, i) => there[i] = n);
    return there;
  }

  /** See `ContentStore`. Reads made in one go share a round trip. */
  async read(
    key: string,
    out: Uint8Array,
    about: Sought,
  ): Promise<"ok" | "lost"> {
    const { prefix, ttlSeconds } = this.#options;
    const name = contentPrefix(prefix, about) + key;
    const value = await this.#asker.ask(
      "read",
      this.#waitMs(about),
      (send) => getValue(send, name, ttlSeconds),
    );
    if (value === undefined) return "lost";
    const found = value === "broken" ? value : unframe(name, value, out);
    if (found === "broken") {
      const { writeMs } = this.#options.limits;
      void this.#asker.tell(writeMs, (send) => send(["UNLINK", name]));
    }
    return found === "ok" ? "ok" : "lost";
  }

  #waitMs({ tokens }: Sought): number {
    const { waitMs, waitMsPerKiToken } = this.#options.limits;
    return waitMs + waitMsPerKiToken * tokens / 1024;
  }
}
