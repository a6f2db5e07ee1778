/**
 * Calls that models write as JSON: `{"name": …, "arguments": {…}}`, one or several,
 * behind a text that opens them.
 *
 * ```text
 *            opener               "{"                 its "}"
 *   text ──────────────▶ between ─────▶ in a call ─────────────▶ between
 *    ▲                      │ closer, or anything that is no call
 *    └──────────────────────┘
 * ```
 *
 * @module
 */
import type { Reader, Said } from "./reader.ts";

/** How a model marks calls. */
export interface CallMarks {
  /** What comes before calls; without one, an answer may begin with a call itself. */
  readonly open?: string;
  /** What comes after; without one, calls go on to the end. */
  readonly close?: string;
}

/** A call's beginning, up to where its arguments are. */
const HEAD =
  /^\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)/;

/** What stands before, between and after calls. */
const SEPARATORS = /^[\s,;[\]]+/;

/** Reads calls of `names`; what looks like a call of another function is text. */
export class CallReader implements Reader {
  readonly #marks: CallMarks;
  readonly #names: ReadonlySet<string>;
  #state: "text" | "between" | "call";
  /** Calls have just ended: space after them is no text. */
  #closed = false;
  /** What was not told yet. */
  #held = "";
  #calls = 0;
  /** Of the call that is being read: where in it reading stands. */
  #scan = new JsonScan();
  /** Where its arguments go on; undefined while its name is not known. */
  #told: number | undefined;

  constructor(marks: CallMarks, names: ReadonlySet<string>) {
    this.#marks = marks;
    this.#names = names;
    this.#state = marks.open === undefined ? "between" : "text";
  }

  push(text: string): Said[] {
    this.#held += text;
    const out: Said[] = [];
    while (this.#step(out));
    return out;
  }

  end(): Said[] {
    const between = this.#state === "between" && this.#calls > 0;
    const text = this.#told !== undefined
      ? ""
      : between
      ? this.#held.replace(SEPARATORS, "")
      : this.#held;
    this.#held = "";
    return text.trim() === "" ? [] : [{ text }];
  }

  /** Whether there may be more to read. */
  #step(out: Said[]): boolean {
    if (this.#state === "text") return this.#text(out);
    return this.#state === "between" ? this.#between() : this.#call(out);
  }

  #text(out: Said[]): boolean {
    const { open } = this.#marks;
    if (this.#closed) this.#held = this.#held.trimStart();
    const at = open === undefined ? -1 : this.#held.indexOf(open);
    if (at >= 0) {
      this.#tell(out, at);
      this.#held = this.#held.slice(open!.length);
      this.#state = "between";
      return true;
    }
    this.#tell(out, this.#held.length - beginning(this.#held, open));
    return false;
  }

  #tell(out: Said[], length: number): void {
    const text = this.#held.slice(0, length);
    this.#held = this.#held.slice(length);
    if (text === "") return;
    out.push({ text });
    this.#closed = false;
  }

  #between(): boolean {
    const { close } = this.#marks;
    const rest = this.#held.replace(SEPARATORS, "");
    if (close !== undefined && rest.startsWith(close)) {
      this.#held = rest.slice(close.length);
      this.#state = "text";
      this.#closed = true;
      return true;
    }
    if (rest.startsWith("{")) {
      this.#held = rest;
      this.#scan = new JsonScan();
      this.#told = undefined;
      this.#state = "call";
      return true;
    }
    if (rest === "" || close?.startsWith(rest)) return false;
    this.#state = "text";
    return this.#marks.open !== undefined || this.#held !== "";
  }

  #call(out: Said[]): boolean {
    const scan = this.#scan, from = this.#told;
    if (from === undefined) {
      const head = HEAD.exec(this.#held);
      const name = head === null ? undefined : nameOf(head[1]!);
      if (name !== undefined && this.#names.has(name)) {
        out.push({ call: this.#calls, name });
        this.#told = head![0].length;
      }
    }
    scan.read(this.#held);
    if (this.#told !== undefined) {
      const to = scan.inner ?? scan.at;
      if (to > this.#told) {
        const text = this.#held.slice(this.#told, to);
        out.push({ call: this.#calls, arguments: text });
        this.#told = to;
      }
    }
    if (!scan.over) return false;
    if (this.#told === undefined) {
      this.#whole(out, this.#held.slice(0, scan.at));
    } else this.#calls++;
    this.#held = this.#held.slice(scan.at);
    this.#told = undefined;
    this.#state = "between";
    return true;
  }

  /** A call whose fields come in another order, or none. */
  #whole(out: Said[], text: string): void {
    const { name, arguments: given } = callOf(text);
    if (name === undefined || !this.#names.has(name)) {
      out.push({ text });
      return;
    }
    const call = this.#calls++;
    const json = typeof given === "string"
      ? given
      : JSON.stringify(given ?? {});
    out.push({ call, name }, { call, arguments: json });
  }
}

function nameOf(json: string): string | undefined {
  try {
    return JSON.parse(json) as string;
  } catch {
    return undefined;
  }
}

function callOf(text: string): { name?: string; arguments?: unknown } {
  try {
    const { name, arguments: a, parameters } = JSON.parse(text);
    return typeof name === "string" ? { name, arguments: a ?? parameters } : {};
  } catch {
    return {};
  }
}

/** Length of the longest end of `text` that begins `mark`. */
function beginning(text: string, mark = ""): number {
  for (let n = Math.min(mark.length - 1, text.length); n > 0; n--) {
    if (text.endsWith(mark.slice(0, n))) return n;
  }
  return 0;
}

/** Finds where a JSON object ends, however it comes. */
class JsonScan {
  /** How far it was read. */
  at = 0;
  /** It is whole, and ends at `at`. */
  over = false;
  /** Where the last object inside of it ended. */
  inner: number | undefined;
  #depth = 0;
  #quoted = false;
  #escaped = false;

  read(text: string): void {
    while (!this.over && this.at < text.length) {
      const c = text[this.at++]!;
      if (this.#escaped) this.#escaped = false;
      else if (this.#quoted) {
        if (c === "\\") this.#escaped = true;
        else if (c === '"') this.#quoted = false;
      } else if (c === '"') this.#quoted = true;
      else if (c === "{" || c === "[") this.#depth++;
      else if (c === "}" || c === "]") {
        this.#depth--;
        if (this.#depth === 1) this.inner = this.at;
        this.over = this.#depth === 0;
      }
    }
  }
}
