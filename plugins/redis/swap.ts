/**
 * Blocks of this process alone, by number, in a server: those of requests that gave
 * way, and of contexts that do not fit on the device. A process that is killed leaves
 * nothing for ever: they expire.
 *
 * @module
 */
import type { BlockId } from "../../core/types.ts";
import { type Asker, Nonsense } from "./asker.ts";
import { Refused, type Send } from "./link.ts";
import { swapPrefix } from "./names.ts";
import { framePages, pageNames, Part } from "./pages.ts";
import type { Limits, Outbox } from "./store.ts";

/** A block that was put so long ago is computed again. */
const SECONDS = 3600;
/** Names in one command. */
const BATCH = 1000;

/** What was put. */
interface Put {
  readonly name: string;
  /** Bytes of it. */
  readonly bytes: number;
}

/** What a `Tier` does by block number. */
export class RedisSwap {
  readonly #asker: Asker;
  readonly #outbox: Outbox;
  readonly #limits: Limits;
  readonly #prefix: string;
  readonly #puts = new Map<BlockId, Put>();
  #count = 0;

  /** Over what asks, and what bounds all writes. */
  constructor(asker: Asker, outbox: Outbox, prefix: string, limits: Limits) {
    this.#asker = asker;
    this.#outbox = outbox;
    this.#limits = limits;
    this.#prefix = swapPrefix(prefix);
  }

  /** Resolves when it is there, or forgotten; never rejects. */
  async put(block: BlockId, bytes: Uint8Array): Promise<void> {
    this.drop(block);
    // No name is used twice: what arrives late on a connection that was given up
    // must not be taken for what was put later.
    const put = { name: this.#prefix + ++this.#count, bytes: bytes.length };
    this.#puts.set(block, put);
    const kept = await this.#outbox.with(
      bytes.length,
      () =>
        this.#asker.tell(
          this.#limits.writeMs,
          (send) => sendPages(send, put, bytes),
        ),
    );
    if (kept === undefined && this.#puts.get(block) === put) {
      this.#puts.delete(block);
    }
  }

  /** Fills `out`, or it is lost. */
  async get(block: BlockId, out: Uint8Array): Promise<"ok" | "lost"> {
    const put = this.#puts.get(block);
    if (put?.bytes !== out.length) return "lost";
    return await this.slice(block, 0, out);
  }

  /**
   * Fills `out` with a part from `at` on, or it is lost. What is asked in one go
   * shares a round trip.
   */
  async slice(
    block: BlockId,
    at: number,
    out: Uint8Array,
  ): Promise<"ok" | "lost"> {
    const put = this.#puts.get(block);
    if (put === undefined) return "lost";
    const part = new Part(put.name, put.bytes, at, out.length);
    if (!part.possible) return "lost";
    const { waitMs, writeMs } = this.#limits;
    const values = await this.#asker.ask(
      "read",
      waitMs + writeMs,
      (send) => getValues(send, part.names),
    );
    return values !== undefined && part.fill(values, out) ? "ok" : "lost";
  }

  /** Forgets a block; nothing happens when it has none. */
  drop(block: BlockId): void {
    const put = this.#puts.get(block);
    if (put === undefined) return;
    this.#puts.delete(block);
    this.#unlink(pageNames(put.name, put.bytes));
  }

  /** Removes all that is there; has to come before the asker is closed. */
  clear(): void {
    const names = [...this.#puts.values()]
      .flatMap(({ name, bytes }) => pageNames(name, bytes));
    this.#puts.clear();
    this.#unlink(names);
  }

  #unlink(names: readonly string[]): void {
    for (let at = 0; at < names.length; at += BATCH) {
      void this.#asker.tell(
        this.#limits.writeMs,
        (send) => send(["UNLINK", ...names.slice(at, at + BATCH)]),
      );
    }
  }
}

/** Writes all pages in one go; where the server refuses one, it keeps none. */
async function sendPages(
  send: Send,
  { name, bytes }: Put,
  block: Uint8Array,
): Promise<true> {
  const sent = framePages(name, block).map(([page, value]) =>
    send(["SET", page, value, "EX", String(SECONDS)])
  );
  try {
    const answers = await Promise.all(sent);
    if (answers.some((answer) => answer !== "OK")) throw new Nonsense("SET");
  } catch (error) {
    // The others would take what memory there is until they expire.
    if (error instanceof Refused) {
      send(["UNLINK", ...pageNames(name, bytes)]).catch(() => {});
    }
    throw error;
  }
  return true;
}

/** Values of names, in one command; undefined where there is none. */
async function getValues(
  send: Send,
  names: readonly string[],
): Promise<(Uint8Array | undefined)[]> {
  if (names.length === 0) return [];
  const values = await send(["MGET", ...names]);
  if (
    !Array.isArray(values) || values.length !== names.length ||
    !values.every((v) => v === null || v instanceof Uint8Array)
  ) throw new Nonsense("MGET");
  return values.map((v) => v ?? undefined);
}
