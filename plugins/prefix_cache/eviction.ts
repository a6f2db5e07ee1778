/**
 * Which idle block goes first: the lowest priority, then the one used least
 * recently, but never a block while another one needs it.
 *
 * ```text
 *  chain   a ─ b ─ c ─ d        released d, c, b, a: so d is the oldest
 *               └─ e            e newer than all of them: after d, c it goes
 *                               before b, which it needs
 * ```
 *
 * @module
 */
import type { Eviction } from "../../core/slots.ts";
import type { BlockId } from "../../core/types.ts";
import type { Entry } from "./entry.ts";
import type { ChainIndex } from "./index.ts";

/** Least recently used first, tails before heads. */
export class ChainEviction implements Eviction {
  readonly mostBytes: number;
  readonly #index: ChainIndex;
  /** Idle blocks by priority; a Set iterates in the order of insertion. */
  readonly #idle = new Map<number, Set<Entry>>();
  /** Priorities in use, ascending. */
  readonly #levels: number[] = [];

  constructor(index: ChainIndex, mostBytes: number) {
    this.#index = index;
    this.mostBytes = mostBytes;
    index.moved = (entry, from) => {
      this.#idle.get(from)!.delete(entry);
      this.#level(entry.priority).add(entry);
    };
  }

  touch(block: BlockId): void {
    const entry = this.#index.entry(block);
    if (entry === undefined) return;
    const level = this.#level(entry.priority);
    level.delete(entry);
    level.add(entry);
    entry.idle = true;
  }

  forget(block: BlockId): void {
    const entry = this.#index.entry(block);
    if (entry === undefined) return;
    this.#idle.get(entry.priority)?.delete(entry);
    entry.idle = false;
  }

  *victims(): Iterable<BlockId> {
    const needed = new Set<Entry>();
    for (const level of this.#levels) {
      for (const entry of this.#idle.get(level)!) {
        const last = tail(entry, needed);
        if (last === undefined) continue;
        this.#index.victim = last.block;
        yield last.block;
      }
    }
    // What is left is needed by blocks in use: only future prompts miss it.
    for (const level of this.#levels) {
      for (const { block } of this.#idle.get(level)!) {
        this.#index.victim = block;
        yield block;
      }
    }
  }

  #level(priority: number): Set<Entry> {
    let level = this.#idle.get(priority);
    if (level === undefined) {
      this.#idle.set(priority, level = new Set());
      this.#levels.push(priority);
      this.#levels.sort((a, b) => a - b);
    }
    return level;
  }
}

/**
 * An idle block at the end of the chain, or undefined where blocks in use follow;
 * those they need are added to `needed`, so that no chain is walked twice.
 */
function tail(entry: Entry, needed: Set<Entry>): Entry | undefined {
  let at = entry;
  for (;;) {
    if (needed.has(at)) return undefined;
    if (!at.chained || at.children.size === 0) return at;
    let next: Entry | undefined;
    for (const child of at.children) {
      if (!child.idle || needed.has(child)) continue;
      next = child;
      break;
    }
    if (next === undefined) {
      needed.add(at);
      if (at === entry) return undefined;
      at = at.parent!; // the way down came through it
    } else at = next;
  }
}
