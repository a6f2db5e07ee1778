/**
 * Hidden states of full blocks, from which K and V are computed again.
 *
 * ```text
 *  step that computes     rows at each boundary ─▶ gathered by sequence ─▶ block full:
 *                                                    kept under its content key
 *  step that restores     kept rows ─▶ batch ─▶ K and V of all layers, committed as usual
 * ```
 * A block of checkpoints is as long as all groups' blocks have in common, so that one
 * key says what every layer computes from. What the restorer has no more is computed
 * from tokens.
 *
 * @module
 */
import type { HiddenBatch } from "./backend.ts";
import { KeyChain } from "./content_key.ts";
import type { LedgerLine } from "./ledger.ts";
import type { CachePlan } from "./plan.ts";
import { leastMultiple } from "./prefix.ts";
import type { Sequence } from "./sequence.ts";
import type { Restorer } from "./slots.ts";
import { LostBlocks } from "./swap.ts";
import type { SeqId } from "./types.ts";

/** What computing K and V alone costs of a layer, about, until steps were timed. */
const KV_PART = 0.2;

/** Where checkpoints are known: positions [start, end). */
export interface Restorable {
  /** Infinity for none. */
  readonly start: number;
  /** One past the last; where there are none, how far that is known. */
  readonly end: number;
}

/** What is gathered of one sequence. */
class Gathering {
  /** The position that the next row is to have. */
  next = -1;
  /** Keys of its first blocks, the tokens they are of, and the digest behind them. */
  readonly keys: string[] = [];
  readonly text: number[] = [];
  readonly digest = new Uint8Array(32);
  /** [boundary][token][value] of the block `next` is in; undefined: not from its start. */
  rows: Float32Array | undefined;
}

/** The checkpoints of one cache. */
export class Checkpoints {
  /** Seconds that restoring one position takes, measured; undefined until then. */
  rowSeconds: number | undefined;
  /** Blocks restored. */
  restored = 0;
  readonly #restorer: Restorer;
  readonly #chain: KeyChain;
  /** Positions in a block. */
  readonly #tokens: number;
  /** Part of the work that restoring is, by arithmetic. */
  readonly #part: number;
  readonly #gathered = new Map<SeqId, Gathering>();
  /** Of the step that was filled last. */
  #hidden: HiddenBatch | undefined;
  #peak = 0;

  /** Those of a plan; undefined where nobody keeps any. */
  static of(plan: CachePlan): Checkpoints | undefined {
    const { restore } = plan;
    if (restore === undefined || restore.boundaries.length === 0) return;
    return new Checkpoints(plan, restore);
  }

  private constructor(plan: CachePlan, restorer: Restorer) {
    this.#restorer = restorer;
    this.#tokens = plan.groups.map((g) => g.shape.tokens).reduce(leastMultiple);
    this.#chain = new KeyChain(plan.fingerprint, -1, this.#tokens);
    const layers = plan.model.layers.length;
    const only = restorer.boundaries.length + 1;
    this.#part = (layers - only + only * KV_PART) / layers;
  }

  /**
   * Where checkpoints follow position `from` of a text without a gap, the first such
   * place before `end`; where there is none, up to where that holds.
   */
  ahead(
    s: Sequence,
    tokens: ArrayLike<number>,
    from: number,
    end: number,
  ): Restorable {
    const size = this.#tokens, blocks = Math.floor(end / size);
    this.#at(s);
    for (let b = Math.floor(from / size); b < blocks; b++) {
      if (!this.#has(s, tokens, b)) continue;
      const start = Math.max(from, b * size);
      while (b < blocks && this.#has(s, tokens, b)) b++;
      return { start, end: b * size };
    }
    return { start: Infinity, end };
  }

  /** Seconds to have positions [from, end) of a text again, by what rows took of late. */
  seconds(
    s: Sequence,
    tokens: ArrayLike<number>,
    from: number,
    end: number,
    rowSeconds: number,
  ): number {
    const size = this.#tokens;
    let restored = 0;
    for (let b = Math.floor(from / size); (b + 1) * size <= end; b++) {
      if (!this.#has(s, tokens, b)) continue;
      restored += (b + 1) * size - Math.max(from, b * size);
    }
    const each = this.rowSeconds ?? rowSeconds * this.#part;
    return restored * each + (end - from - restored) * rowSeconds;
  }

  /**
   * Gets a step's hidden states ready. Throws `LostBlocks` with every sequence that is
   * to be restored and cannot.
   */
  fill(
    seqs: readonly Sequence[],
    count: number,
    restores: boolean,
    hidden: HiddenBatch | undefined,
  ): void {
    this.#hidden = hidden;
    if (hidden === undefined) return;
    hidden.mode = restores ? "inject" : "keep";
    if (!restores) return;
    const lost = new Map<SeqId, number>();
    let row = 0;
    for (let i = 0; i < count; i++) {
      const s = seqs[i]!;
      if (!this.#inject(s, row, hidden)) lost.set(s.id, s.length);
      row += s.pending;
    }
    if (lost.size > 0) throw new LostBlocks(lost);
  }

  #inject(s: Sequence, row: number, hidden: HiddenBatch): boolean {
    const size = this.#tokens, { width } = hidden;
    const { keys, text } = this.#at(s);
    const end = s.length + s.pending;
    for (let p = s.length; p < end; p++) {
      if (text[p] !== s.tokens[p]) return false;
    }
    for (let p = s.length; p < end;) {
      const at = p % size, n = Math.min(size - at, end - p);
      // From when it was looked for: the block need not end in this step.
      const kept = this.#get(keys[Math.floor(p / size)]);
      if (kept?.length !== hidden.boundaries.length * size * width) {
        return false;
      }
      for (const [k, rows] of hidden.rows.entries()) {
        const from = (k * size + at) * width;
        rows.set(kept.subarray(from, from + n * width), row * width);
      }
      p += n;
      row += n;
    }
    return true;
  }

  /**
   * The step has run and is about to be committed: what it computed is gathered.
   * `kept`: as `KVCache.commit()` has it.
   */
  settle(
    seqs: readonly Sequence[],
    count: number,
    kept?: ArrayLike<number>,
  ): void {
    const hidden = this.#hidden;
    this.#hidden = undefined;
    let row = 0;
    for (let i = 0; hidden !== undefined && i < count; i++) {
      const s = seqs[i]!;
      const rows = Math.min(s.pending, kept?.[i] ?? s.pending);
      if (hidden.mode === "inject") this.#pass(s, s.length + rows);
      else if (!s.altered) this.#gather(s, row, rows, hidden);
      row += s.pending;
    }
    if (hidden !== undefined) hidden.mode = "none";
  }

  /** A sequence is closed. */
  forget(seq: SeqId): void {
    this.#gathered.delete(seq);
  }

  /** For the ledger. */
  lines(): LedgerLine[] {
    const { id, used } = this.#restorer;
    let gathering = 0;
    for (const g of this.#gathered.values()) {
      gathering += g.rows?.byteLength ?? 0;
    }
    const bytes = used + gathering;
    this.#peak = Math.max(this.#peak, bytes);
    const peak = this.#peak;
    return [{ tier: "host", owner: "kv", component: id, bytes, peak }];
  }

  /** Throws where the books are wrong; `seqs` are open. */
  check(seqs: ReadonlyMap<SeqId, Sequence>): void {
    const { id, used, capacity } = this.#restorer;
    if (!(used >= 0 && used <= capacity)) {
      throw new Error(
        `Cache check: restorer "${id}" holds ${used} bytes of ${capacity}`,
      );
    }
    for (const seq of this.#gathered.keys()) {
      if (seqs.has(seq)) continue;
      throw new Error(`Cache check: rows are gathered of sequence ${seq}`);
    }
  }

  #gather(s: Sequence, row: number, rows: number, hidden: HiddenBatch): void {
    const g = this.#at(s), size = this.#tokens, { width } = hidden;
    const end = s.length + rows;
    for (let p = s.length; p < end;) {
      const at = p % size, n = Math.min(size - at, end - p);
      if (at === 0) {
        g.rows ??= new Float32Array(hidden.boundaries.length * size * width);
      }
      if (g.rows !== undefined) {
        for (const [k, from] of hidden.rows.entries()) {
          const values = from.subarray(row * width, (row + n) * width);
          g.rows.set(values, (k * size + at) * width);
        }
      }
      p += n;
      row += n;
      if (p % size === 0) this.#full(s, g, p / size - 1);
    }
    g.next = end;
  }

  /** Restored rows are kept already. */
  #pass(s: Sequence, end: number): void {
    const g = this.#at(s), size = this.#tokens;
    g.rows = undefined;
    g.next = end;
    this.restored += Math.floor(end / size) - Math.floor(s.length / size);
  }

  #full(s: Sequence, g: Gathering, block: number): void {
    const { rows } = g;
    if (rows === undefined) return;
    try {
      const key = this.#key(s, s.tokens, block);
      // The buffer serves again where they are there already.
      if (this.#restorer.has(key)) return;
      g.rows = undefined;
      this.#restorer.keep(key, rows);
    } catch {
      // Not kept: a miss, later.
    }
  }

  /** What is gathered where the sequence goes on; that need not be where it was seen. */
  #at(s: Sequence): Gathering {
    const g = this.#of(s);
    if (g.next === s.length) return g;
    g.next = s.length;
    g.rows = undefined;
    if (g.keys.length > Math.floor(s.length / this.#tokens)) g.keys.length = 0;
    return g;
  }

  #of(s: Sequence): Gathering {
    let g = this.#gathered.get(s.id);
    if (g === undefined) this.#gathered.set(s.id, g = new Gathering());
    return g;
  }

  #has(s: Sequence, tokens: ArrayLike<number>, block: number): boolean {
    try {
      return this.#restorer.has(this.#key(s, tokens, block));
    } catch {
      return false;
    }
  }

  #get(key: string | undefined): Float32Array | undefined {
    try {
      return key === undefined ? undefined : this.#restorer.get(key);
    } catch {
      return undefined;
    }
  }

  /**
   * Key of a block of a text that the sequence has, or is to have; those of the blocks
   * before it were asked for before, or are of what it has.
   */
  #key(s: Sequence, tokens: ArrayLike<number>, block: number): string {
    const { keys, text, digest } = this.#of(s), size = this.#tokens;
    const end = Math.min(keys.length, block + 1) * size;
    for (let i = block * size; i < end; i++) {
      // It was to have another text when it was asked for last.
      if (text[i] !== tokens[i]) keys.length = 0;
    }
    if (keys.length === 0) this.#chain.reset(digest, s.salt);
    while (keys.length <= block) {
      const from = keys.length * size;
      for (let i = from; i < from + size; i++) text[i] = tokens[i]!;
      this.#chain.advance(digest, tokens, from);
      keys.push(this.#chain.key(digest));
    }
    return keys[block]!;
  }
}
