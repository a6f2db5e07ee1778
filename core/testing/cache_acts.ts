/**
 * Random operations on a cache, each checked against what must be there.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { SeqId } from "../types.ts";
import type { CacheDriver } from "./cache_driver.ts";
import { FAKE_VOCAB } from "./fake_backend.ts";

/** A number from 0 to n, exclusive. */
export type Roll = (n: number) => number;

/** How often each operation was done. */
export type ActCounts = Record<
  | "open"
  | "append"
  | "short"
  | "keep"
  | "cancel"
  | "fork"
  | "forkAt"
  | "trim"
  | "close"
  | "evict",
  number
>;

/** Most sequences open at once. */
const MOST = 8;

/** Salts that prompts come with; two of them meet often. */
const SALTS = ["", "a", "b"];

/**
 * Does one random operation after another. Prompts have few different starts, so
 * prefixes meet; a hit has to be of content that was computed with the same salt.
 */
export class CacheActs {
  readonly counts: ActCounts = {
    open: 0,
    append: 0,
    short: 0,
    keep: 0,
    cancel: 0,
    fork: 0,
    forkAt: 0,
    trim: 0,
    close: 0,
    evict: 0,
  };
  readonly #d: CacheDriver;
  readonly #salts = new Map<SeqId, string>();
  /** Hashes of salt and tokens of everything that was ever computed. */
  readonly #computed = new Set<number>();

  constructor(driver: CacheDriver) {
    this.#d = driver;
  }

  /** One operation; `roll` chooses. */
  act(roll: Roll): void {
    const seqs = [...this.#d.truth.keys()];
    const kind = seqs.length === 0 ? 0 : roll(100);
    if (kind < 12) this.#open(seqs, roll);
    else if (kind < 58) this.#append(seqs, roll);
    else if (kind < 66) this.#keep(seqs, roll);
    else if (kind < 71) this.#cancel(seqs, roll);
    else if (kind < 76) this.#fork(seqs, roll);
    else if (kind < 81) this.#forkAt(seqs, roll);
    else if (kind < 89) this.#trim(seqs, roll);
    else if (kind < 98) this.#close(seqs, roll);
    else {
      this.counts.evict++;
      this.#d.cache.evictIdle();
    }
  }

  #open(seqs: readonly SeqId[], roll: Roll): void {
    if (seqs.length >= MOST) return;
    const start = Array.from({ length: roll(24) }, (_, i) => i % 3);
    const prompt = [...start, ...tokens(roll(3), roll)];
    const salt = SALTS[roll(SALTS.length)]!;
    const seq = this.#d.open(prompt, {
      salt,
      priority: roll(3),
      reuse: roll(10) > 0,
    });
    this.#salts.set(seq, salt);
    this.counts.open++;
    const found = this.#d.truth.get(seq)!;
    if (found.length > 0) {
      const hash = hashes(salt, found).at(-1)!;
      assert.ok(this.#computed.has(hash), "a hit that nobody computed");
    }
    if (found.length < prompt.length) {
      const done = this.#d.append([{
        seq,
        tokens: prompt,
        from: found.length,
      }]);
      if (done) this.#note(seq);
    }
  }

  #append(seqs: readonly SeqId[], roll: Roll): void {
    const work = seqs.filter(() => roll(2) === 0).slice(0, 6)
      .map((seq) => ({ seq, tokens: tokens(1 + roll(4), roll) }));
    if (work.length === 0) return;
    const done = this.#d.append(work);
    this.counts[done ? "append" : "short"]++;
    if (done) work.forEach(({ seq }) => this.#note(seq));
  }

  /** A step with guesses of which some are wrong. */
  #keep(seqs: readonly SeqId[], roll: Roll): void {
    const work = seqs.filter(() => roll(2) === 0).slice(0, 4)
      .map((seq) => ({ seq, tokens: tokens(1 + roll(9), roll) }));
    if (work.length === 0) return;
    const kept = work.map((w) => 1 + roll(w.tokens.length));
    if (!this.#d.append(work, kept)) return;
    this.counts.keep++;
    work.forEach(({ seq }) => this.#note(seq));
  }

  #cancel(seqs: readonly SeqId[], roll: Roll): void {
    const work = seqs.filter(() => roll(3) === 0)
      .map((seq) => ({ seq, tokens: tokens(1 + roll(6), roll) }));
    if (work.length === 0) return;
    const r = this.#d.cache.reserve(work);
    this.#d.check();
    if (!r.ok) return;
    this.#d.cache.cancel(r);
    this.counts.cancel++;
  }

  #fork(seqs: readonly SeqId[], roll: Roll): void {
    if (seqs.length >= MOST) return;
    const seq = seqs[roll(seqs.length)]!;
    this.#salts.set(this.#d.fork(seq), this.#salts.get(seq)!);
    this.counts.fork++;
  }

  #forkAt(seqs: readonly SeqId[], roll: Roll): void {
    if (seqs.length >= MOST) return;
    const seq = seqs[roll(seqs.length)]!;
    const length = roll(this.#d.truth.get(seq)!.length + 1);
    if (!this.#d.cache.canFork(seq, length)) {
      assert.throws(() => this.#d.cache.fork(seq, length), RangeError);
      return;
    }
    this.#salts.set(this.#d.fork(seq, length), this.#salts.get(seq)!);
    this.counts.forkAt++;
  }

  #trim(seqs: readonly SeqId[], roll: Roll): void {
    const seq = seqs[roll(seqs.length)]!;
    if (this.#d.trim(seq, roll(this.#d.truth.get(seq)!.length + 1))) {
      this.counts.trim++;
    }
  }

  #close(seqs: readonly SeqId[], roll: Roll): void {
    this.#d.close(seqs[roll(seqs.length)]!);
    this.counts.close++;
  }

  /** Everything a sequence holds was computed. */
  #note(seq: SeqId): void {
    const salt = this.#salts.get(seq)!;
    for (const h of hashes(salt, this.#d.truth.get(seq)!)) {
      this.#computed.add(h);
    }
  }
}

function tokens(n: number, roll: Roll): number[] {
  return Array.from({ length: n }, () => roll(FAKE_VOCAB));
}

/** Of a salt and the first 1, 2, … tokens. */
function hashes(salt: string, list: readonly number[]): number[] {
  let h = salt === "" ? 17 : salt.charCodeAt(0);
  return list.map((token) => {
    h = Math.imul(h ^ token, 0x9E3779B1);
    h ^= h >>> 15;
    return h = Math.imul(h, 0x85EBCA6B) >>> 0;
  });
}
