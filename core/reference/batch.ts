/**
 * The step's arrays, and what must hold of them before a step runs.
 *
 * @module
 */
import type { BackendLimits, StepBatch } from "../backend.ts";
import type { Holdings } from "./holdings.ts";

/**
 * Lays a batch for `groups` tables of `tableStride` blocks a sequence, and for rows of
 * `width` values before some layers.
 */
export function makeBatch(
  holdings: Holdings,
  limits: BackendLimits,
  groups: number,
  tableStride: number,
  boundaries: readonly number[] = [],
  width = 0,
  adapters = 0,
): StepBatch {
  const ints = (length: number) => holdings.ints("workspace", "batch", length);
  const perGroup = Array.from({ length: groups });
  return {
    rows: 0,
    tokens: ints(limits.rows),
    positions: ints(limits.rows),
    seqs: ints(limits.rows),
    tableStride,
    tables: perGroup.map(() =>
      holdings.offsets("workspace", "batch", limits.seqs * tableStride)
    ),
    sealed: perGroup.map(() => new Uint32Array(0)),
    seals: 0,
    starts: perGroup.map(() => ints(limits.rows)),
    sinks: perGroup.map(() => ints(limits.rows)),
    firsts: perGroup.map(() => ints(limits.rows)),
    backs: perGroup.map(() => ints(limits.rows)),
    wanted: 0,
    wantedRows: ints(limits.wanted),
    top: 0,
    adapters: adapters === 0 ? undefined : {
      count: adapters,
      scales: holdings.floats("workspace", "batch", limits.seqs * adapters),
      active: false,
    },
    hidden: boundaries.length === 0 ? undefined : {
      boundaries,
      width,
      mode: "none",
      rows: boundaries.map(() =>
        holdings.floats(
          "activations",
          "rows at boundaries",
          limits.rows * width,
        )
      ),
    },
  };
}

/** Lengths of the arrays `makeBatch` lays, in values. */
export function batchLengths(
  limits: Pick<BackendLimits, "rows" | "seqs" | "wanted">,
  groups: number,
  tableStride: number,
  adapters = 0,
): number[] {
  const { rows, seqs, wanted } = limits;
  const perGroup = [seqs * tableStride, rows, rows, rows, rows];
  const lengths = [rows, rows, rows, wanted, seqs * adapters];
  for (let g = 0; g < groups; g++) lengths.push(...perGroup);
  return lengths;
}

/** Throws a RangeError that names the first value of `batch` out of its range. */
export function checkBatch(
  batch: StepBatch,
  limits: BackendLimits,
  blockTokens: readonly number[],
): void {
  within("rows", batch.rows, 1, limits.rows);
  within("wanted", batch.wanted, 0, limits.wanted);
  within("top", batch.top, 0, limits.top);
  if (batch.hidden?.mode === "inject") within("wanted", batch.wanted, 0, 0);
  const last = batch.tableStride * Math.min(...blockTokens) - 1;
  for (let row = 0; row < batch.rows; row++) {
    const position = batch.positions[row]!;
    const seq = batch.seqs[row]!;
    within(`seqs[${row}]`, seq, 0, limits.seqs - 1);
    within(`positions[${row}]`, position, 0, last);
    batch.starts.forEach((starts, g) =>
      within(`starts[${g}][${row}]`, starts[row]!, 0, position)
    );
    batch.sinks.forEach((sinks, g) =>
      within(`sinks[${g}][${row}]`, sinks[row]!, 0, Infinity)
    );
    batch.firsts.forEach((firsts, g) =>
      within(`firsts[${g}][${row}]`, firsts[row]!, 0, batch.sinks[g]![row]!)
    );
    batch.backs.forEach((backs, g) =>
      within(`backs[${g}][${row}]`, backs[row]!, 0, position)
    );
    // A row reads what earlier rows of its sequence write in the same step.
    if (row > 0 && seq === batch.seqs[row - 1]) {
      const next = batch.positions[row - 1]! + 1;
      within(`positions[${row}]`, position, next, next);
    } else if (batch.seqs.subarray(0, row).includes(seq)) {
      throw new RangeError(
        `Cannot run the batch: rows of sequence ${seq} stand apart at row ${row}; put them together`,
      );
    }
  }
  let before = -1;
  for (let i = 0; i < batch.wanted; i++) {
    const row = batch.wantedRows[i]!;
    within(`wantedRows[${i}]`, row, before + 1, batch.rows - 1);
    before = row;
  }
}

function within(name: string, actual: number, from: number, to: number): void {
  if (actual >= from && actual <= to) return;
  throw new RangeError(
    `Cannot run the batch: "${name}" is ${actual}, wanted ${from} to ${to}`,
  );
}
