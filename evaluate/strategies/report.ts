/**
 * What a benchmark found: tables for people, figures for programs.
 *
 * @module
 */

/** A table; every row has as many cells as the head. */
export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** What one benchmark found. */
export interface Report {
  readonly tables: readonly Table[];
  /** Sentences to stand below the tables. */
  readonly notes: readonly string[];
  /** The same as data, in the units their names say. */
  readonly figures: Readonly<Record<string, unknown>>;
}

/** A report as Markdown. */
export function markdown({ tables, notes }: Report): string {
  const parts = tables.map((table) =>
    [`**${table.title}**`, "", ...lines(table)].join("\n")
  );
  return [...parts, ...notes.map((note) => `- ${note}`)].join("\n\n");
}

function lines({ head, rows }: Table): string[] {
  const widths = head.map((_, i) =>
    Math.max(3, ...[head, ...rows].map((row) => row[i]!.length))
  );
  // Names to the left, numbers to the right.
  const line = (cells: readonly string[]): string => {
    const padded = cells.map((c, i) =>
      i === 0 ? c.padEnd(widths[i]!) : c.padStart(widths[i]!)
    );
    return `| ${padded.join(" | ")} |`;
  };
  const rule = widths.map((w, i) =>
    i === 0 ? "-".repeat(w) : `${"-".repeat(w - 1)}:`
  );
  return [line(head), line(rule), ...rows.map(line)];
}

/** A share as per cent with `digits` decimals. */
export function percent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`;
}

/** A number as tables show it: three digits or more. */
export function number(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

/** Bytes as MiB. */
export function mebibytes(bytes: number): string {
  return number(bytes / 2 ** 20);
}
