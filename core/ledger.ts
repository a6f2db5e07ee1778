/**
 * Who holds which bytes.
 *
 * @module
 */

/** What bytes are for. */
export type Owner = "weights" | "activations" | "kv" | "workspace";

/** One line of the books. */
export interface LedgerLine {
  /** Where the bytes are; "device" is the backend's own memory. */
  readonly tier: string;
  /** What the bytes are for. */
  readonly owner: Owner;
  /** Who asked: a layer, a plugin, a group. */
  readonly component: string;
  /** Bytes now. */
  readonly bytes: number;
  /** Most bytes there ever were. */
  readonly peak: number;
}

/** A tier as a whole, bytes. */
export interface TierTotal {
  /** Bytes taken now. */
  readonly used: number;
  /** Most bytes seen taken at a reading. */
  readonly peak: number;
  /** Bytes there can be. */
  readonly capacity: number;
}

/** What a tier really holds, from whoever manages its space. Bytes. */
export type TierMeter = () => {
  readonly used: number;
  readonly capacity: number;
};

/**
 * Sums what its sources say. Sources are asked, never told: a line cannot be
 * forgotten by whoever frees the bytes. Peaks are the larger of what a source
 * reports and what was seen at a reading.
 */
export class Ledger {
  #sources: (() => readonly LedgerLine[])[] = [];
  #meters = new Map<string, TierMeter>();
  #peaks = new Map<string, number>();
  #tierPeaks = new Map<string, number>();

  /** Adds a source of lines; the result takes it out again. */
  register(source: () => readonly LedgerLine[]): () => void {
    this.#sources.push(source);
    return () => {
      this.#sources = this.#sources.filter((s) => s !== source);
    };
  }

  /** Says how to measure a tier; `check()` compares with it. */
  meter(tier: string, read: TierMeter): void {
    this.#meters.set(tier, read);
  }

  /** Every line: those with the same tier, owner and component are one. */
  lines(): readonly LedgerLine[] {
    const merged = new Map<string, LedgerLine>();
    const totals = new Map<string, number>();
    for (const source of this.#sources) {
      for (const line of source()) {
        const key = `${line.tier}\n${line.owner}\n${line.component}`;
        const old = merged.get(key);
        merged.set(key, {
          ...line,
          bytes: (old?.bytes ?? 0) + line.bytes,
          peak: (old?.peak ?? 0) + line.peak,
        });
        totals.set(line.tier, (totals.get(line.tier) ?? 0) + line.bytes);
      }
    }
    for (const [tier, bytes] of totals) {
      this.#tierPeaks.set(
        tier,
        Math.max(this.#tierPeaks.get(tier) ?? 0, bytes),
      );
    }
    const out: LedgerLine[] = [];
    for (const [key, line] of merged) {
      const seen = Math.max(this.#peaks.get(key) ?? 0, line.bytes);
      this.#peaks.set(key, seen);
      out.push({ ...line, peak: Math.max(seen, line.peak) });
    }
    return out.sort((a, b) =>
      compare(a.tier, b.tier) || compare(a.owner, b.owner) ||
      compare(a.component, b.component)
    );
  }

  /** Bytes in one tier. Without a meter its capacity is what is used. */
  total(tier: string): TierTotal {
    let used = 0;
    for (const line of this.lines()) if (line.tier === tier) used += line.bytes;
    return {
      used,
      peak: this.#tierPeaks.get(tier) ?? 0,
      capacity: this.#meters.get(tier)?.().capacity ?? used,
    };
  }

  /** Throws where the lines of a measured tier do not add up to what it holds. */
  check(): void {
    const totals = new Map<string, number>();
    for (const line of this.lines()) {
      if (!(line.bytes >= 0) || line.peak < line.bytes) {
        throw new Error(
          `Cannot balance the ledger: "${line.component}" has ${line.bytes} bytes and a peak of ${line.peak}`,
        );
      }
      totals.set(line.tier, (totals.get(line.tier) ?? 0) + line.bytes);
    }
    for (const [tier, read] of this.#meters) {
      const { used, capacity } = read();
      const sum = totals.get(tier) ?? 0;
      if (sum !== used || used > capacity) {
        throw new Error(
          `Cannot balance the ledger: the lines of tier "${tier}" add up to ${sum} bytes, it holds ${used} of ${capacity}`,
        );
      }
    }
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
