/**
 * Fetches the models the tests run on, where they are missing. It never fails:
 * the tests that need a model which is not there are ignored and say so.
 *
 * @module
 */

// deno-lint-ignore-file no-console
import { catalog } from "../models/catalog.ts";
import { pull, type PullProgress } from "../models/pull.ts";

const MIB = 1 << 20;

/** One line per stage and quarter: this runs where nobody watches a bar. */
function teller(): (progress: PullProgress) => void {
  let last = "";
  return ({ stage, file, received, total }) => {
    const quarter = total === undefined
      ? 0
      : Math.floor(4 * received / total) * 25;
    const line = `${file}: ${stage} ${quarter} %`;
    if (line === last) return;
    last = line;
    console.log(`${line}${total ? ` of ${Math.round(total / MIB)} MiB` : ""}`);
  };
}

for (const name of catalog.keys()) {
  try {
    console.log(`${name}: ${await pull(name, { onProgress: teller() })}`);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    console.warn(
      `${name}: not there, the tests that need it will be ignored: ${why}`,
    );
  }
}
