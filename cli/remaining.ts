/**
 * How much of long work is left, on standard error.
 *
 * @module
 */
import type { Host } from "./host.ts";

/** Between two lines where nobody watches. */
const QUIET_MS = 10_000;

/** One line that is redrawn where someone watches, now and then a line elsewhere. */
export class Remaining {
  readonly #host: Host;
  #what = "";
  #since = 0;
  #told = 0;
  #shown = false;

  constructor(host: Host) {
    this.#host = host;
    this.#told = host.now();
  }

  /** Takes how much is done of what. */
  readonly tell = (what: string, done: number, total: number): void => {
    const now = this.#host.now(), { err } = this.#host.terminal;
    if (what !== this.#what) {
      this.#what = what;
      // Of the first part only its end is known.
      this.#since = this.#told;
    }
    const left = (now - this.#since) / done * (total - done);
    const line = `${what}: ${done} of ${total}, ${time(left)} left`;
    if (err) {
      const columns = Math.max(0, this.#host.columns() - 1);
      this.#host.err(`\r${line.slice(0, columns)}\x1b[K`);
      this.#shown = true;
    } else if (done < total && now - this.#told < QUIET_MS) return;
    else this.#host.err(`${line}\n`);
    this.#told = now;
  };

  /** Takes the line away. */
  clear(): void {
    if (this.#shown) this.#host.err("\r\x1b[K");
    this.#shown = false;
  }
}

/** Milliseconds as "42 s" or "3 min". */
function time(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  return seconds < 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
}
