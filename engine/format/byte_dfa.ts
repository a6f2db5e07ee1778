/**
 * Finite automata over bytes.
 *
 * @module
 */

/** Most states of one automaton; what needs more is refused. */
export const MOST_STATES = 20_000;

/** An automaton became too large. */
export class TooLarge extends Error {
  /** Its name. */
  override readonly name = "TooLarge";
}

/**
 * A deterministic automaton, every state of which leads to an end.
 *
 * ```text
 *  next[state * width + classes[byte]]    the state behind a byte, -1 for none
 *  tags[state]                            what was read if it ends here, -1: it does not
 * ```
 * State 0 is the start. There is none at all where nothing can be read.
 */
export interface ByteDfa {
  /** How many states. */
  readonly size: number;
  /** Bytes that no state tells apart have one class. */
  readonly classes: Uint8Array;
  /** How many classes. */
  readonly width: number;
  /** See the drawing. */
  readonly next: Int32Array;
  /** See the drawing. */
  readonly tags: Int32Array;
}

/** What finds the states of an automaton. `S` is told apart by `key`. */
export interface Exploration<S> {
  /** The first state, if there is one. */
  readonly start: S | undefined;
  /** Tells states apart. */
  key(state: S): string | number;
  /** The state behind a byte, undefined for none. */
  step(state: S, byte: number): S | undefined;
  /** What was read if it ends here, -1 where it does not. */
  tag(state: S): number;
}

/** All states that can be reached. Throws {@linkcode TooLarge}. */
export function explore<S>(of: Exploration<S>, bytes = ALL): ByteDfa {
  const ids = new Map<string | number, number>(), states: S[] = [];
  const rows: Int32Array[] = [], tags: number[] = [];
  const idOf = (state: S): number => {
    const key = of.key(state), known = ids.get(key);
    if (known !== undefined) return known;
    if (states.length === MOST_STATES) throw new TooLarge();
    ids.set(key, states.length);
    return states.push(state) - 1;
  };
  if (of.start !== undefined) idOf(of.start);
  for (let i = 0; i < states.length; i++) {
    const row = new Int32Array(256).fill(-1);
    let last: S | undefined, id = -1;
    for (const byte of bytes) {
      const to = of.step(states[i]!, byte);
      // Neighbouring bytes often lead to the same.
      if (to !== last) id = to === undefined ? -1 : idOf(to);
      last = to;
      row[byte] = id;
    }
    rows.push(row);
    tags.push(of.tag(states[i]!));
  }
  return trimmed(rows, tags);
}

const ALL = Array.from({ length: 256 }, (_, byte) => byte);

/** Leaves out states that lead nowhere, and puts bytes in classes. */
function trimmed(rows: Int32Array[], tags: number[]): ByteDfa {
  const before: number[][] = rows.map(() => []);
  rows.forEach((row, s) => {
    let last = -1;
    for (const to of row) {
      if (to >= 0 && to !== last) before[to]!.push(s);
      last = to;
    }
  });
  const live = new Uint8Array(rows.length);
  const queue = tags.flatMap((tag, s) => tag >= 0 ? [s] : []);
  for (const s of queue) live[s] = 1;
  for (let s = queue.pop(); s !== undefined; s = queue.pop()) {
    for (const from of before[s]!) {
      if (live[from] === 0) queue.push(from);
      live[from] = 1;
    }
  }
  const ids = new Int32Array(rows.length).fill(-1);
  let size = 0;
  if (live[0] === 1) {
    for (const s of live.keys()) {
      if (live[s]) ids[s] = size++;
    }
  }
  const { classes, width } = classesOf(rows.filter((_, s) => ids[s]! >= 0));
  const next = new Int32Array(size * width).fill(-1);
  const kept = new Int32Array(size).fill(-1);
  rows.forEach((row, s) => {
    const id = ids[s]!;
    if (id < 0) return;
    kept[id] = tags[s]!;
    for (let byte = 0; byte < 256; byte++) {
      const to = row[byte]!;
      if (to >= 0) next[id * width + classes[byte]!] = ids[to]!;
    }
  });
  return { size, classes, width, next, tags: kept };
}

/** Bytes whose columns are equal are of one class. */
function classesOf(
  rows: readonly Int32Array[],
): { classes: Uint8Array; width: number } {
  const sums = new Int32Array(256);
  for (const row of rows) {
    for (let byte = 0; byte < 256; byte++) {
      sums[byte] = Math.imul(sums[byte]! ^ row[byte]!, 0x9e3779b1) ^
        (sums[byte]! >>> 15);
    }
  }
  const classes = new Uint8Array(256), firsts: number[] = [];
  const bySum = new Map<number, number[]>();
  for (let byte = 0; byte < 256; byte++) {
    let among = bySum.get(sums[byte]!);
    if (among === undefined) bySum.set(sums[byte]!, among = []);
    let c = among.find((c) =>
      rows.every((row) => row[firsts[c]!] === row[byte])
    );
    if (c === undefined) {
      c = firsts.push(byte) - 1;
      among.push(c);
    }
    classes[byte] = c;
  }
  return { classes, width: firsts.length };
}

/** The state behind a byte, -1 for none. */
export function stepOf(dfa: ByteDfa, state: number, byte: number): number {
  return dfa.next[state * dfa.width + dfa.classes[byte]!]!;
}

/** What both read, with the first one's tags. Throws {@linkcode TooLarge}. */
export function both(a: ByteDfa, b: ByteDfa): ByteDfa {
  return pairs(a, b, (i, j) => b.tags[j]! >= 0 ? a.tags[i]! : -1, true);
}

/** What the first one reads and the second does not. Throws {@linkcode TooLarge}. */
export function without(a: ByteDfa, b: ByteDfa): ByteDfa {
  return pairs(a, b, (i, j) => j >= 0 && b.tags[j]! >= 0 ? -1 : a.tags[i]!);
}

function pairs(
  a: ByteDfa,
  b: ByteDfa,
  tag: (i: number, j: number) => number,
  needsBoth = false,
): ByteDfa {
  type Pair = readonly [number, number];
  const none = a.size === 0 || (needsBoth && b.size === 0);
  return explore<Pair>({
    start: none ? undefined : [0, b.size === 0 ? -1 : 0],
    key: ([i, j]) => i * (b.size + 1) + j + 1,
    step: ([i, j], byte) => {
      const to = stepOf(a, i, byte);
      const other = j < 0 ? -1 : stepOf(b, j, byte);
      return to < 0 || (needsBoth && other < 0) ? undefined : [to, other];
    },
    tag: ([i, j]) => tag(i, j),
  });
}

/** Whether it reads all of `bytes` and can end there. */
export function reads(dfa: ByteDfa, bytes: Iterable<number>): boolean {
  if (dfa.size === 0) return false;
  let state = 0;
  for (const byte of bytes) {
    state = stepOf(dfa, state, byte);
    if (state < 0) return false;
  }
  return dfa.tags[state]! >= 0;
}
