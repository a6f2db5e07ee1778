/**
 * Blocks by content, as a forest of chains.
 *
 * @module
 */
import { tenantOf } from "../../core/adapters.ts";
import type { BlockContent, Miss, PrefixIndex } from "../../core/slots.ts";
import type { BlockId } from "../../core/types.ts";
import {
  blockTokens,
  commonTokens,
  contentHash,
  type Entry,
  rootOf,
} from "./entry.ts";

/** An index that knows which block continues which, and what it has lost. */
export class ChainIndex implements PrefixIndex {
  readonly #byKey = new Map<string, Entry>();
  readonly #byBlock = new Map<BlockId, Entry>();
  /** First blocks, by group and salt. */
  readonly #roots = new Map<string, Set<Entry>>();
  /** Blocks whose predecessor is gone, by its key: it may come back. */
  readonly #orphans = new Map<string, Set<Entry>>();
  /** The newest block of a content, whatever its salt. */
  readonly #byContent = new Map<number, Entry>();
  /** Keys that were evicted, oldest first. */
  readonly #lost = new Set<string>();
  readonly #remembered: number;
  /** Told when the priority of an idle block changes. */
  moved: ((entry: Entry, from: number) => void) | undefined;
  /** The block that eviction named last: what is deleted next made room. */
  victim: BlockId | undefined;

  constructor(remembered: number) {
    this.#remembered = remembered;
  }

  /** What is known of a block; undefined for one without a key. */
  entry(block: BlockId): Entry | undefined {
    return this.#byBlock.get(block);
  }

  get(key: string): BlockId | undefined {
    return this.#byKey.get(key)?.block;
  }

  set(key: string, block: BlockId, content: BlockContent): void {
    this.delete(key);
    const parent = this.#byKey.get(content.parent);
    const children = this.#orphans.get(key) ?? new Set();
    this.#orphans.delete(key);
    const entry: Entry = {
      key,
      block,
      tokens: blockTokens(content),
      salt: content.salt,
      hash: contentHash(content, parent),
      before: content.parent,
      root: rootOf(content),
      parent,
      children,
      chained: content.chained,
      priority: content.priority,
      idle: false,
    };
    this.#byKey.set(key, entry);
    this.#byBlock.set(block, entry);
    this.#byContent.set(entry.hash, entry);
    this.#lost.delete(key);
    for (const child of children) {
      child.parent = entry;
      entry.priority = Math.max(entry.priority, child.priority);
    }
    if (parent !== undefined) {
      parent.children.add(entry);
      this.#raise(parent, entry.priority);
    } else if (entry.root !== undefined) add(this.#roots, entry.root, entry);
    else add(this.#orphans, entry.before, entry);
  }

  delete(key: string): void {
    const entry = this.#byKey.get(key);
    if (entry === undefined) return;
    this.#byKey.delete(key);
    this.#byBlock.delete(entry.block);
    if (this.#byContent.get(entry.hash) === entry) {
      this.#byContent.delete(entry.hash);
    }
    for (const child of entry.children) child.parent = undefined;
    if (entry.children.size > 0) this.#orphans.set(key, entry.children);
    if (entry.parent !== undefined) entry.parent.children.delete(entry);
    else if (entry.root !== undefined) remove(this.#roots, entry.root, entry);
    else remove(this.#orphans, entry.before, entry);
    if (this.victim === entry.block) this.#remember(key);
    this.victim = undefined;
  }

  use(block: BlockId, priority: number): void {
    const entry = this.#byBlock.get(block);
    if (entry !== undefined) this.#raise(entry, priority);
  }

  why(key: string, content: BlockContent): Omit<Miss, "group" | "block"> {
    const { from } = content;
    if (this.#lost.has(key)) return { reason: "evicted", position: from };
    const parent = this.#byKey.get(content.parent);
    const twin = this.#byContent.get(contentHash(content, parent));
    if (
      twin !== undefined && twin.salt !== content.salt &&
      commonTokens(twin, content) === twin.tokens.length
    ) {
      const whose = tenantOf(twin.salt) === tenantOf(content.salt)
        ? "adapters"
        : "salted";
      return { reason: whose, position: from };
    }
    const siblings = parent?.children ??
      this.#roots.get(rootOf(content) ?? "");
    if (siblings === undefined || siblings.size === 0) {
      return { reason: "unseen", position: from };
    }
    let common = 0;
    for (const s of siblings) {
      common = Math.max(common, commonTokens(s, content));
    }
    return { reason: "differs", position: from + common };
  }

  /** A block is worth at least what those behind it are worth. */
  #raise(entry: Entry, priority: number): void {
    for (
      let e: Entry | undefined = entry;
      e !== undefined && e.priority < priority;
      e = e.parent
    ) {
      const from = e.priority;
      e.priority = priority;
      if (e.idle) this.moved?.(e, from);
    }
  }

  #remember(key: string): void {
    if (this.#remembered === 0) return;
    if (this.#lost.size >= this.#remembered) {
      this.#lost.delete(this.#lost.values().next().value!);
    }
    this.#lost.add(key);
  }
}

function add(to: Map<string, Set<Entry>>, name: string, entry: Entry): void {
  const set = to.get(name);
  if (set === undefined) to.set(name, new Set([entry]));
  else set.add(entry);
}

function remove(
  from: Map<string, Set<Entry>>,
  name: string,
  entry: Entry,
): void {
  const set = from.get(name);
  set?.delete(entry);
  if (set?.size === 0) from.delete(name);
}
