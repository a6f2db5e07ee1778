/**
 * How far a download or a load is, on standard error.
 *
 * @module
 */
import type { LoadProgress } from "../mod.ts";
import type { Host } from "./host.ts";
import { formatBytes } from "./statistics.ts";

/** Shorter work is not worth a line: a load in a terminal, and all elsewhere. */
const QUIET_MS = { load: 150, elsewhere: 1000 } as const;

/** Between two drawings of a bar. */
const REDRAW_MS = 80;

/** Narrowest and widest bar, characters. */
const BAR = { least: 10, most: 30 } as const;

/**
 * A bar that is redrawn in place where someone watches; elsewhere a line for
 * each quarter of what takes longer than a second.
 */
export class Progress {
  readonly #host: Host;
  #what = "";
  #since = 0;
  #drawn = -Infinity;
  #shown = false;
  #quarter = -1;

  constructor(host: Host) {
    this.#host = host;
  }

  /** Takes a report; give it to `load()` as `onProgress`. */
  readonly report = (progress: LoadProgress): void => {
    const now = this.#host.now(), { err } = this.#host.terminal;
    const what = `${progress.stage} ${progress.what}`;
    if (what !== this.#what) {
      this.end();
      this.#what = what;
      this.#since = now;
      this.#quarter = -1;
    }
    const quiet = err
      ? progress.stage === "load" ? QUIET_MS.load : 0
      : QUIET_MS.elsewhere;
    if (now - this.#since < quiet) return;
    if (err) this.#draw(progress, now);
    else this.#tell(progress);
  };

  /** Takes the bar away. */
  end(): void {
    if (this.#shown) this.#host.err("\r\x1b[K");
    this.#shown = false;
    this.#drawn = -Infinity;
  }

  #draw(progress: LoadProgress, now: number): void {
    if (now - this.#drawn < REDRAW_MS && !isDone(progress)) return;
    this.#drawn = now;
    this.#shown = true;
    const line = barLine(progress, this.#host.columns() - 1);
    this.#host.err(`\r${line}\x1b[K`);
  }

  #tell(progress: LoadProgress): void {
    const { total, done } = progress;
    const quarter = total === undefined || total === 0
      ? 0
      : Math.floor(4 * done / total);
    if (quarter === this.#quarter) return;
    this.#quarter = quarter;
    this.#host.err(`${progress.what}: ${amount(progress)}\n`);
  }
}

/** `name [####------] 40 % of 10.0 MiB`, `columns` characters at most. */
export function barLine(progress: LoadProgress, columns: number): string {
  const { what, done, total } = progress;
  const text = amount(progress);
  const room = columns - what.length - text.length - 4;
  if (total === undefined || total === 0 || room < BAR.least) {
    return `${what}  ${text}`.slice(0, columns);
  }
  const width = Math.min(BAR.most, room);
  const full = Math.min(width, Math.floor(width * done / total));
  const bar = "#".repeat(full) + "-".repeat(width - full);
  return `${what} [${bar}] ${text}`;
}

function amount({ done, total }: LoadProgress): string {
  if (total === undefined) return formatBytes(done);
  const percent = total === 0 ? 100 : Math.floor(100 * done / total);
  return `${percent} % of ${formatBytes(total)}`;
}

function isDone({ done, total }: LoadProgress): boolean {
  return total !== undefined && done >= total;
}
