/**
 * The rows of the speed table: their names in JSON, what is run for them, and
 * what their numbers mean.
 *
 * @module
 */

/** Something that is run and timed; it may give several figures. */
export type SpeedCase =
  | "load"
  | "prefill32"
  | "prefill128"
  | "prefill512"
  | "decode"
  | "decode1000"
  | "decode4000"
  | "batch1"
  | "batch4"
  | "batch8"
  | "memory";

/** A row of the table, by its name in JSON. */
export type FigureName =
  | "load"
  | "firstToken"
  | "loadAndFirstToken"
  | "prefill32"
  | "prefill128"
  | "prefill512"
  | "decode"
  | "decode1000"
  | "decode4000"
  | "batch1"
  | "batch4"
  | "batch8"
  | "batch1Decoding"
  | "batch4Decoding"
  | "batch8Decoding"
  | "memory";

/** What a figure counts. */
export type FigureUnit = "tokens/s" | "ms" | "bytes";

/** What one row of the table is. */
export interface SpeedRow {
  /** A few words for people. */
  readonly label: string;
  readonly unit: FigureUnit;
  /** What is run for it. */
  readonly case: SpeedCase;
}

/** What a case does. All lengths in tokens. */
export type CaseWork =
  | { readonly kind: "load"; readonly prompt: number }
  | { readonly kind: "prefill"; readonly prompt: number }
  | { readonly kind: "decode"; readonly prompt: number; readonly make: number }
  | {
    readonly kind: "depth";
    readonly prompt: number;
    readonly segment: number;
    readonly segments: number;
  }
  | {
    readonly kind: "batch";
    readonly requests: number;
    readonly prompt: number;
    readonly make: number;
  }
  | { readonly kind: "memory"; readonly prompt: number; readonly make: number };

const batch = (requests: number): CaseWork => ({
  kind: "batch",
  requests,
  prompt: 8,
  make: 64,
});
const depth = (prompt: number): CaseWork => ({
  kind: "depth",
  prompt,
  segment: 64,
  segments: 3,
});

/** Every case, in the order they run: a load is at its coldest first. */
export const CASES: Readonly<Record<SpeedCase, CaseWork>> = {
  load: { kind: "load", prompt: 20 },
  prefill32: { kind: "prefill", prompt: 32 },
  prefill128: { kind: "prefill", prompt: 128 },
  prefill512: { kind: "prefill", prompt: 512 },
  decode: { kind: "decode", prompt: 4, make: 128 },
  decode1000: depth(1000),
  decode4000: depth(4000),
  batch1: batch(1),
  batch4: batch(4),
  batch8: batch(8),
  memory: { kind: "memory", prompt: 512, make: 32 },
};

const rate = (label: string, of: SpeedCase): SpeedRow => ({
  label,
  unit: "tokens/s",
  case: of,
});
const time = (label: string): SpeedRow => ({ label, unit: "ms", case: "load" });

/** Every row, in the order of the table. */
export const ROWS: Readonly<Record<FigureName, SpeedRow>> = {
  prefill32: rate("prefill, 32 tokens", "prefill32"),
  prefill128: rate("prefill, 128 tokens", "prefill128"),
  prefill512: rate("prefill, 512 tokens", "prefill512"),
  decode: rate("decode, empty context", "decode"),
  decode1000: rate("decode at 1,000 tokens", "decode1000"),
  decode4000: rate("decode at 4,000 tokens", "decode4000"),
  batch1: rate("1 request", "batch1"),
  batch4: rate("4 requests together", "batch4"),
  batch8: rate("8 requests together", "batch8"),
  batch1Decoding: rate("1 request, decoding only", "batch1"),
  batch4Decoding: rate("4 together, decoding only", "batch4"),
  batch8Decoding: rate("8 together, decoding only", "batch8"),
  load: time("load, cached model"),
  firstToken: time("first token of 20 after load"),
  loadAndFirstToken: time("load plus first token"),
  memory: { label: "peak resident memory", unit: "bytes", case: "memory" },
};

/** The names of all rows, in the order of the table. */
export const FIGURES: readonly FigureName[] = Object.keys(
  ROWS,
) as FigureName[];

/** The names of all cases, in the order they run. */
export const CASE_NAMES: readonly SpeedCase[] = Object.keys(
  CASES,
) as SpeedCase[];

/** Whether the larger of two values of this row is the better one. */
export function moreIsBetter(figure: FigureName): boolean {
  return ROWS[figure].unit === "tokens/s";
}

/**
 * Cases by name, in the order they run, each once.
 *
 * @throws {RangeError} for a name there is not.
 */
export function casesOf(names: readonly string[]): SpeedCase[] {
  for (const name of names) {
    if (!Object.hasOwn(CASES, name)) {
      throw new RangeError(
        `Cannot measure "${name}": ${CASE_NAMES.join(", ")} are possible`,
      );
    }
  }
  return CASE_NAMES.filter((name) => names.includes(name));
}

/** A value with its unit's usual precision, without the unit: MiB for bytes. */
export function formatFigure(value: number, unit: FigureUnit): string {
  const shown = unit === "bytes" ? value / 2 ** 20 : value;
  return shown >= 100 ? String(Math.round(shown)) : shown.toFixed(1);
}

/** A unit as tables write it. */
export function unitLabel(unit: FigureUnit): string {
  return unit === "bytes" ? "MiB" : unit;
}
