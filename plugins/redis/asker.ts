/**
 * Questions to a server that may be slow, wrong or gone: each has a time by which it
 * is over, and none throws.
 *
 * @module
 */
import { Breaker } from "./breaker.ts";
import { type Link, Refused, type Send } from "./link.ts";

/** What is counted apart: a server may find and not read, or read and not write. */
export type Kind = "find" | "read" | "write";

/** Settings of an asker. */
export interface AskerOptions {
  /** Failures in a row after which a kind is not asked for a while. */
  readonly failures: number;
  /** Milliseconds of that while. */
  readonly pauseMs: number;
  /** Told why, each time that nothing is asked from then on. */
  readonly onTrouble: (why: Error) => void;
  /** Milliseconds since some moment. */
  readonly now?: () => number;
}

/** Milliseconds that a try in the background may take. */
const TRY_MS = 2_000;

/** The server answered what is no answer to the question. */
export class Nonsense extends Error {
  override readonly name = "Nonsense";

  /** `command`: the question. */
  constructor(command: string) {
    super(`the answer to ${command} is none`);
  }
}

/** A connection for each way: an answer does not wait behind bytes that are sent. */
export interface Links {
  readonly reads: Link;
  readonly writes: Link;
}

/** Asks over two links. */
export class Asker {
  readonly #links: Links;
  readonly #now: () => number;
  readonly #onTrouble: (why: Error) => void;
  readonly #breakers: Readonly<Record<Kind, Breaker>>;
  /** What is under way. */
  readonly #asked = new Set<Promise<unknown>>();
  #closed = false;

  /** Makes it; nothing is asked yet. */
  constructor(links: Links, options: AskerOptions) {
    this.#links = links;
    this.#now = options.now ?? (() => performance.now());
    this.#onTrouble = options.onTrouble;
    const breaker = () => new Breaker({ ...options, now: this.#now });
    this.#breakers = { find: breaker(), read: breaker(), write: breaker() };
  }

  /**
   * Whether a kind is asked at the moment. Where it is time to try again, that is
   * done meanwhile: nobody waits for a server that was dead a moment ago.
   */
  asks(kind: Kind): boolean {
    if (this.#closed) return false;
    const gate = this.#breakers[kind].gate();
    if (gate === "try") void this.#run(kind, TRY_MS, ping);
    return gate === "ask";
  }

  /**
   * What `question` comes to within `ms`; undefined where it does not, or is not
   * asked. What is answered later is heard by nobody.
   */
  async ask<T>(
    kind: "find" | "read",
    ms: number,
    question: (send: Send) => Promise<T>,
  ): Promise<T | undefined> {
    return this.asks(kind) ? await this.#run(kind, ms, question) : undefined;
  }

  /**
   * The same for what nobody waits for. A server without memory for more answers a
   * ping, so a write is tried with a write.
   */
  async tell<T>(
    ms: number,
    question: (send: Send) => Promise<T>,
  ): Promise<T | undefined> {
    if (this.#closed || this.#breakers.write.gate() === "no") return undefined;
    return await this.#run("write", ms, question);
  }

  /** Whether the server is there; what kept it from saying so is thrown. */
  async hello(ms: number): Promise<void> {
    try {
      await within(ms, this.#links.reads.open().then(ping));
    } catch (error) {
      for (const breaker of Object.values(this.#breakers)) breaker.trip();
      this.#links.reads.reset();
      throw error;
    }
  }

  /** Waits for what is under way, at most `ms`, and asks nothing any more. */
  async close(ms: number): Promise<void> {
    this.#closed = true;
    await within(ms, Promise.allSettled(this.#asked)).catch(() => {});
    await Promise.all([this.#links.reads.close(), this.#links.writes.close()]);
    await Promise.allSettled(this.#asked);
  }

  #run<T>(
    kind: Kind,
    ms: number,
    question: (send: Send) => Promise<T>,
  ): Promise<T | undefined> {
    const { reads, writes } = this.#links;
    const breaker = this.#breakers[kind], started = this.#now();
    const link = kind === "write" ? writes : reads;
    const asked = within(ms, link.open().then(question)).then((answer) => {
      breaker.ok();
      return answer;
    }, (error: Error) => {
      const opens = breaker.fail(started);
      // What waits in a connection that says nothing would pile up, bytes that are
      // to be written first of all.
      if (
        !(error instanceof Refused) &&
        (opens || link === writes || error instanceof Nonsense)
      ) link.reset();
      if (opens && !this.#closed) this.#onTrouble(error);
      return undefined;
    }).finally(() => this.#asked.delete(asked));
    this.#asked.add(asked);
    return asked;
  }
}

async function ping(send: Send): Promise<void> {
  const answer = await send(["PING"]);
  if (answer !== "PONG") throw new Nonsense("PING");
}

/** What a promise comes to, or an error when that takes longer than `ms`. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`no answer in ${Math.round(ms)} ms`)),
      ms,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
