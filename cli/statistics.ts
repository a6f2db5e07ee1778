/**
 * What an answer took, in words.
 *
 * @module
 */
import type { Engine, Usage } from "../mod.ts";

/** The ledger, as `engine.memory()` gives it. */
export type Memory = ReturnType<Engine["memory"]>;

/** Bytes of one owner, all tiers together, now and at most. */
export interface OwnerBytes {
  readonly owner: string;
  readonly bytes: number;
  readonly peak: number;
}

/** Sums the ledger by owner, the largest first. */
export function byOwner(memory: Memory): readonly OwnerBytes[] {
  const sums = new Map<string, { bytes: number; peak: number }>();
  for (const { owner, bytes, peak } of memory.lines) {
    const sum = sums.get(owner) ?? { bytes: 0, peak: 0 };
    sums.set(owner, { bytes: sum.bytes + bytes, peak: sum.peak + peak });
  }
  return [...sums].map(([owner, sum]) => ({ owner, ...sum }))
    .sort((a, b) => b.peak - a.peak || (a.owner < b.owner ? -1 : 1));
}

/** `1536` as "1.5 KiB". */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes, unit = 0;
  // 1023.95 would be shown as 1024.0.
  while (value >= 1023.95 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** `134515008` as "134.5 M". */
export function formatCount(count: number): string {
  const units: readonly [number, string][] = [[1e9, "G"], [1e6, "M"], [
    1e3,
    "K",
  ]];
  // 999,950 would be shown as 1000.0 K.
  const unit = units.find(([size]) => count >= size * 0.99995);
  return unit === undefined
    ? `${count}`
    : `${(count / unit[0]).toFixed(1)} ${unit[1]}`;
}

/**
 * One line: tokens of the prompt and of the answer, each per second, time to the
 * first token, and the most memory each owner held.
 */
export function statisticsLine(usage: Usage, memory: Memory): string {
  const { promptTokens, cachedTokens, completionTokens } = usage;
  const cached = cachedTokens > 0 ? ` (${cachedTokens} cached)` : "";
  const owners = byOwner(memory)
    .map(({ owner, peak }) => `${owner} ${formatBytes(peak)}`);
  return [
    `prompt ${tokens(promptTokens)}${cached}${rate(usage.promptPerSecond)}`,
    `first token after ${milliseconds(usage.ttftMs)}`,
    `answer ${tokens(completionTokens)}${rate(usage.tokensPerSecond)}`,
    `memory: ${owners.join(", ")}`,
  ].join(" · ");
}

function tokens(n: number): string {
  return `${n} ${n === 1 ? "token" : "tokens"}`;
}

function rate(perSecond: number): string {
  return perSecond > 0 ? `, ${perSecond.toFixed(1)}/s` : "";
}

function milliseconds(ms: number): string {
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** The whole ledger as a table, with its totals. */
export function memoryTable(memory: Memory): string {
  const rows = memory.lines.map((l) => [
    `${l.tier}/${l.owner}`,
    l.component,
    formatBytes(l.bytes),
    formatBytes(l.peak),
  ]);
  for (const [tier, { used, peak, capacity }] of Object.entries(memory.tiers)) {
    rows.push([
      tier,
      `all, of ${formatBytes(capacity)}`,
      formatBytes(used),
      formatBytes(peak),
    ]);
  }
  return table([["owner", "of", "now", "peak"], ...rows], 2);
}

/** Columns side by side; those from `right` on are set to the right. */
export function table(
  rows: readonly (readonly string[])[],
  right: number,
): string {
  const widths = rows[0]!.map((_, i) =>
    Math.max(...rows.map((row) => row[i]!.length))
  );
  return rows.map((row) =>
    row.map((cell, i) =>
      i < right ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)
    ).join("  ").trimEnd()
  ).join("\n");
}
