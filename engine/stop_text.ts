/**
 * Watching a stream of text for texts that end it.
 *
 * @module
 */

/**
 * Holds back what may be the beginning of a stop text, and cuts the stream where
 * one is complete.
 */
export class StopText {
  readonly #stops: readonly string[];
  #held = "";
  /** A stop text was seen; nothing comes out any more. */
  stopped = false;

  /** Throws a TypeError on an empty stop text. */
  constructor(stops: readonly string[]) {
    for (const stop of stops) {
      if (typeof stop !== "string" || stop === "") {
        throw new TypeError(
          `Cannot stop at ${
            JSON.stringify(stop)
          }: a stop text has one character or more`,
        );
      }
    }
    this.#stops = stops;
  }

  /** Takes text and returns what is certainly before any stop text. */
  push(text: string): string {
    if (this.stopped) return "";
    if (this.#stops.length === 0) return text;
    const all = this.#held + text;
    // The one that is complete first, so that it matters not how the text comes.
    let cut = -1, first = Infinity;
    for (const stop of this.#stops) {
      const at = all.indexOf(stop), end = at + stop.length;
      if (at < 0 || end > first || (end === first && at > cut)) continue;
      cut = at;
      first = end;
    }
    if (cut >= 0) {
      this.stopped = true;
      this.#held = "";
      return all.slice(0, cut);
    }
    const keep = this.#beginning(all);
    this.#held = all.slice(all.length - keep);
    return all.slice(0, all.length - keep);
  }

  /** The stream has ended by itself: what was held back. */
  end(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }

  /** Length of the longest end of `text` that begins a stop text. */
  #beginning(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      const most = Math.min(stop.length - 1, text.length);
      for (let n = most; n > longest; n--) {
        if (text.endsWith(stop.slice(0, n))) {
          longest = n;
          break;
        }
      }
    }
    return longest;
  }
}
