/**
 * What a run came to, in words.
 *
 * @module
 */
import type { Defect, Tally } from "./trial.ts";

/** Reasons and defects that are shown. */
const SHOWN = 40;

/** The first of every kind: those that differ in numbers and names are one. */
function distinct(defects: readonly Defect[]): readonly Defect[] {
  const seen = new Map<string, Defect>();
  for (const d of defects) {
    const kind = d.what.replace(/"(?:[^"\\]|\\.)*"|\d+/g, "N").slice(0, 300);
    if (!seen.has(kind)) seen.set(kind, d);
  }
  return [...seen.values()];
}

/** The whole of it; the seed makes every input again. */
export function summary(
  seed: number,
  tried: number,
  seconds: number,
  tally: Tally,
): string {
  const {
    targets,
    reasons,
    run,
    loaded,
    bytes,
    slowest,
    largest,
    heap,
    defects,
  } = tally;
  const sorted = Object.entries(reasons).sort((a, b) => b[1] - a[1]);
  const rest = sorted.slice(SHOWN).reduce((sum, [, n]) => sum + n, 0);
  const mean = Math.round(bytes / Math.max(1, tried));
  return [
    `${tried} inputs of seed ${seed} in ${seconds.toFixed(0)} s, ` +
    `${Math.round(tried / seconds)}/s, ${mean} bytes each`,
    ...Object.entries(targets).map(([name, { accepted, refused }]) =>
      `  ${name}: ${accepted} accepted, ${refused} refused`
    ),
    `${run} of those accepted computed a token, ${loaded} were loaded from files as well`,
    `slowest ${slowest.ms.toFixed(0)} ms (input ${slowest.index}), ` +
    `largest array ${largest} bytes, ` +
    `most heap and buffers of a worker ${Math.round(heap / 2 ** 20)} MiB`,
    `${sorted.length} reasons to refuse:`,
    ...sorted.slice(0, SHOWN).map(([why, n]) =>
      `${String(n).padStart(8)}  ${why}`
    ),
    ...rest > 0 ? [`${String(rest).padStart(8)}  others`] : [],
    `${defects.length} defects`,
    ...distinct(defects).slice(0, SHOWN).map(({ index, target, what }) =>
      `input ${index}, "${target}": ${what}\n  again: deno task fuzz --seed ${seed} --at ${index}`
    ),
  ].join("\n");
}
