/**
 * Who holds how many bytes, as users see it.
 *
 * @module
 */
import type { WeightStat } from "../core/backend.ts";
import type { Ledger, LedgerLine, TierTotal } from "../core/ledger.ts";

/** Who holds how many bytes, by line and by tier. */
export interface MemoryReport {
  /** Bytes by tier, owner and component. */
  readonly lines: readonly LedgerLine[];
  /** Each tier as a whole. */
  readonly tiers: Readonly<Record<string, TierTotal>>;
  /** Experts that come one by one: how often they were there. Absent where none do. */
  readonly experts?: WeightStat;
}

/** What a ledger counts now. */
export function memoryReport(
  ledger: Ledger,
  experts?: WeightStat,
): MemoryReport {
  const lines = ledger.lines();
  const tiers = [...new Set(lines.map((l) => l.tier))];
  return {
    ...experts && { experts },
    lines,
    tiers: Object.fromEntries(tiers.map((tier) => [tier, ledger.total(tier)])),
  };
}
