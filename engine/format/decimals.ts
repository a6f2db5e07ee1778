/**
 * Numbers between bounds, as automata over their digits.
 *
 * @module
 */
import { both, type ByteDfa, explore } from "./byte_dfa.ts";
import { Kept } from "./kept.ts";

/** Most digits before the point, and in all: as many as a double tells apart. */
const DIGITS = 15;

/** Largest step of which whole numbers can be multiples. */
export const MOST_MULTIPLE = 1000;

/** What a number has to be. */
export interface NumberRange {
  readonly low: number;
  readonly high: number;
  /** Whether the bounds themselves are out. */
  readonly aboveLow: boolean;
  readonly belowHigh: boolean;
  readonly whole: boolean;
  /** Only multiples of it, 1 to `MOST_MULTIPLE`; for whole ones. */
  readonly multiple: number;
}

/** All numbers. */
export const ANY_NUMBER: NumberRange = {
  low: -Infinity,
  high: Infinity,
  aboveLow: false,
  belowHigh: false,
  whole: false,
  multiple: 1,
};

/**
 * Numbers in a range, of up to 15 digits and, but where all are wanted, without an
 * exponent; without a minus before nought. Nothing where there is none.
 */
export function numberDfa(range: NumberRange): ByteDfa {
  const { low, high, aboveLow, belowHigh, whole, multiple } = range;
  const key = [low, high, aboveLow, belowHigh, whole, multiple].join();
  return kept.get(key, () => makeDfa(range));
}

const kept = new Kept<ByteDfa>(64);

function makeDfa(range: NumberRange): ByteDfa {
  const digits = rangeDfa(range);
  if (range.multiple === 1) return digits;
  return both(digits, multipleDfa(range.multiple));
}

/** Its digits before and behind the point, without nought at either end. */
interface Decimal {
  readonly before: string;
  readonly behind: string;
}

function decimalOf(value: number): Decimal {
  const [digits, power = "0"] = Math.abs(value).toString().split("e");
  const [a, b = ""] = digits!.split(".");
  const point = a!.length + Number(power);
  const all = a! + b;
  const before = point <= 0 ? "" : all.slice(0, point).padEnd(point, "0");
  const behind = point <= 0 ? "0".repeat(-point) + all : all.slice(point);
  return {
    before: before.replace(/^0+/, "") || "0",
    behind: behind.replace(/0+$/, ""),
  };
}

/** Nearer to nought than the bound so far, as far, or farther. */
type Side = -1 | 0 | 1;

interface Reading {
  readonly part:
    | "sign"
    | "first"
    | "nought"
    | "before"
    | "point"
    | "behind"
    | "e"
    | "eSign"
    | "power";
  readonly negative: boolean;
  readonly before: number;
  readonly behind: number;
  /** Against the bound nearest to nought, and that farthest from it. */
  readonly near: Side;
  readonly far: Side;
  /** Only noughts so far. */
  readonly zero: boolean;
}

/** The absolute values of one sign. */
interface Bounds {
  readonly near: Decimal | undefined;
  readonly far: Decimal | undefined;
  readonly beyondNear: boolean;
  readonly withinFar: boolean;
  readonly none: boolean;
}

function boundsOf(
  low: number,
  high: number,
  aboveLow: boolean,
  belowHigh: boolean,
): Bounds {
  const none = high < 0 || low > high;
  return {
    near: low > 0 || (low === 0 && aboveLow) ? decimalOf(low) : undefined,
    far: high < 10 ** DIGITS ? decimalOf(high) : undefined,
    beyondNear: aboveLow,
    withinFar: belowHigh,
    none,
  };
}

function rangeDfa(r: NumberRange): ByteDfa {
  const up = boundsOf(r.low, r.high, r.aboveLow, r.belowHigh);
  // Of negative ones nought is left out.
  const least = r.high < 0 ? -r.high : 0;
  const down = boundsOf(
    least,
    -r.low,
    r.high < 0 ? r.belowHigh : true,
    r.aboveLow,
  );
  const open = r.low === -Infinity && r.high === Infinity && !r.whole;
  const of = (s: Reading): Bounds => s.negative ? down : up;
  const start: Reading = {
    part: "sign",
    negative: false,
    before: 0,
    behind: 0,
    near: 0,
    far: 0,
    zero: true,
  };
  return explore<Reading>({
    start,
    key: (s) =>
      `${s.part} ${s.negative} ${s.before} ${s.behind} ${s.near} ${s.far} ${s.zero}`,
    step: (s, byte) => step(s, String.fromCharCode(byte), of, r.whole, open),
    tag: (s) => accepts(s, of(s)) ? 0 : -1,
  }, BYTES);
}

const BYTES = [..."-0123456789.eE+"].map((c) => c.charCodeAt(0));

function step(
  s: Reading,
  c: string,
  of: (s: Reading) => Bounds,
  whole: boolean,
  open: boolean,
): Reading | undefined {
  const { part } = s;
  if (part === "e" || part === "eSign" || part === "power") return power(s, c);
  if (c >= "0" && c <= "9") return digit(s, c, of(s));
  if (c === "-" && part === "sign") {
    const next: Reading = { ...s, part: "first", negative: true };
    return of(next).none ? undefined : next;
  }
  const before = part === "nought" || part === "before";
  if (c === "." && before && !whole && s.before < DIGITS) {
    const bounds = of(s);
    return {
      ...s,
      part: "point",
      near: byLength(s.near, s.before, bounds.near),
      far: byLength(s.far, s.before, bounds.far),
    };
  }
  if ((c === "e" || c === "E") && open && (before || part === "behind")) {
    return { ...s, part: "e", before: 0, behind: 0, near: 0, far: 0 };
  }
  return undefined;
}

function digit(s: Reading, c: string, bounds: Bounds): Reading | undefined {
  const { part } = s, zero = c === "0" && s.zero;
  if (part === "nought" || bounds.none) return undefined;
  if (s.before + s.behind === DIGITS) return undefined;
  if (part === "point" || part === "behind") {
    const at = s.behind;
    return {
      ...s,
      part: "behind",
      behind: at + 1,
      near: side(s.near, c, bounds.near?.behind[at] ?? "0"),
      far: side(s.far, c, bounds.far?.behind[at] ?? "0"),
      zero,
    };
  }
  const at = s.before;
  return {
    ...s,
    part: part !== "before" && c === "0" ? "nought" : "before",
    before: at + 1,
    near: side(s.near, c, bounds.near?.before[at]),
    far: side(s.far, c, bounds.far?.before[at]),
    zero,
  };
}

/** Of one or two digits, with a sign or without. */
function power(s: Reading, c: string): Reading | undefined {
  if (s.part === "e" && (c === "+" || c === "-")) {
    return { ...s, part: "eSign" };
  }
  if (!(c >= "0" && c <= "9") || s.behind === 2) return undefined;
  return { ...s, part: "power", behind: s.behind + 1 };
}

/** Where a digit leads that stands against one of the bound. */
function side(now: Side, c: string, bound: string | undefined): Side {
  // Behind the bound's digits the number is longer; `byLength()` sees that.
  if (now !== 0 || bound === undefined || c === bound) return now;
  return c < bound ? -1 : 1;
}

/** Of numbers without nought in front the longer is larger. */
function byLength(now: Side, length: number, bound?: Decimal): Side {
  if (bound === undefined) return now;
  const own = bound.before.length;
  return length < own ? -1 : length > own ? 1 : now;
}

function accepts(s: Reading, bounds: Bounds): boolean {
  if (s.part === "power") return true;
  const isWhole = s.part === "nought" || s.part === "before";
  if (!isWhole && s.part !== "behind") return false;
  if (bounds.none || (s.negative && s.zero)) return false;
  const against = (now: Side, bound: Decimal): Side => {
    const far = isWhole ? byLength(now, s.before, bound) : now;
    // What of the bound is behind all digits makes it larger.
    return far === 0 && bound.behind.length > s.behind ? -1 : far;
  };
  if (bounds.near !== undefined) {
    const at = against(s.near, bounds.near);
    if (at < 0 || (at === 0 && bounds.beyondNear)) return false;
  }
  if (bounds.far !== undefined) {
    const at = against(s.far, bounds.far);
    if (at > 0 || (at === 0 && bounds.withinFar)) return false;
  }
  return true;
}

/** Whole numbers that a number divides. */
function multipleDfa(by: number): ByteDfa {
  type Left = { readonly left: number; readonly digits: boolean };
  return explore<Left>({
    start: { left: 0, digits: false },
    key: ({ left, digits }) => left * 2 + Number(digits),
    step: ({ left, digits }, byte) => {
      if (byte === 0x2d) return digits ? undefined : { left, digits: false };
      return { left: (left * 10 + byte - 0x30) % by, digits: true };
    },
    tag: ({ left, digits }) => digits && left === 0 ? 0 : -1,
  }, BYTES.filter((b) => b === 0x2d || (b >= 0x30 && b <= 0x39)));
}
