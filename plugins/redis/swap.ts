/**
 * Blocks of this process alone, by number, in a server: those of requests that gave
 * way. A process that is killed leaves nothing for ever: they expire.
 *
 * @module
 */
import type { BlockId } from "../../core/types.ts";
import type { Asker } from "./asker.ts";
import { frame, unframe } from "./frame.ts";
import { swapPrefix } from "./names.ts";
import { getValue, type Limits, type Outbox } from "./store.ts";

/** A block that nobody asked for so long is computed again. */
const SECONDS = 3600;
/** Names in one command. */
const BATCH = 1000;

/** What a `Tier` does by block number. */
export class RedisSwap {
  readonly #asker: Asker;
  readonly #outbox: Outbox;
  readonly #limits: Limits;
  readonly #prefix: string;
  readonly #names = new Map<BlockId, string>();
  #puts = 0;

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
    const name = this.#prefix + ++this.#puts;
    this.#names.set(block, name);
    const kept = await this.#outbox.with(
      bytes.length,
      () =>
        this.#asker.tell(
          this.#limits.writeMs,
          (send) =>
            send(["SET", name, frame(name, bytes), "EX", String(SECONDS)]),
        ),
    );
    if (kept === undefined && this.#names.get(block) === name) {
      this.#names.delete(block);
    }
  }

  /** Fills `out`, or it is lost. */
  async get(block: BlockId, out: Uint8Array): Promise<"ok" | "lost"> {
    const name = this.#names.get(block);
    if (name === undefined) return "lost";
    const { waitMs, writeMs } = this.#limits;
    const value = await this.#asker.ask(
      "read",
      waitMs + writeMs,
      (send) => getValue(send, name),
    );
    if (value === undefined || value === "broken") return "lost";
    return unframe(name, value, out) === "ok" ? "ok" : "lost";
  }

  /** Forgets a block; nothing happens when it has none. */
  drop(block: BlockId): void {
    const name = this.#names.get(block);
    if (name === undefined) return;
    this.#names.delete(block);
    this.#unlink([name]);
  }

  /** Removes all that is there; has to come before the asker is closed. */
  clear(): void {
    const names = [...this.#names.values()];
    this.#names.clear();
    for (let at = 0; at < names.length; at += BATCH) {
      this.#unlink(names.slice(at, at + BATCH));
    }
  }

  #unlink(names: readonly string[]): void {
    void this.#asker.tell(
      this.#limits.writeMs,
      (send) => send(["UNLINK", ...names]),
    );
  }
}
