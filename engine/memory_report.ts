/**
 * Who holds how many bytes, as users see it.
 *
 * @module
 */
import type { Ledger, LedgerLine, TierTotal } from "../core/ledger.ts";

/** Who holds how many bytes, by line and by tier. */
export interface MemoryReport {
  /** Bytes by tier, owner and component. */
  readonly lines: readonly LedgerLine[];
  /** Each tier as a whole. */
  readonly tiers: Readonly<Record<string, TierTotal>>;
}

/** What a ledger counts now. */
export function memoryReport(ledger: Ledger): MemoryReport {
  const lines = ledger.lines();
  const tiers = [...new Set(lines.map((l) => l.tier))];
  return {
    lines,
    tiers: Object.fromEntries(tiers.map((tier) => [tier, ledger.total(tier)])),
  };
}
