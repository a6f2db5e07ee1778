/**
 * Bending bytes without knowing much of what they mean.
 *
 * @module
 */
import type { Random } from "./random.ts";

/** A number in a file that a reader goes by: a length, count, kind, offset. */
export interface Field {
  readonly at: number;
  readonly bytes: 1 | 2 | 4 | 8;
}

/** What numbers in files break at. */
export const EDGES: readonly bigint[] = [
  ...[0n, 1n, 2n, 3n, 7n, 8n, 31n, 32n, 33n, 255n, 256n, 4095n, 4096n, 65535n],
  ...[65536n, 2n ** 20n, 2n ** 24n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n],
  ...[2n ** 32n, 2n ** 33n, 2n ** 40n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 61n],
  ...[2n ** 62n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n - 32n],
];

type Bytes = Uint8Array<ArrayBuffer>;
type Edit = (
  b: Bytes,
  r: Random,
  fields: readonly Field[],
  other: Bytes,
) => Bytes;

/** Most bytes that one edit puts in. */
const MOST = 4096;

/** A place, more often near the start, where headers are. */
function place(b: Bytes, r: Random): number {
  return r.once(3) ? r.below(b.length) : r.below(Math.min(b.length, 4096));
}

function range(b: Bytes, r: Random): [from: number, to: number] {
  const from = place(b, r);
  const most = r.once(4) ? MOST : 1 + r.below(64);
  return [from, Math.min(b.length, from + 1 + r.below(most))];
}

function join(...parts: readonly Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function put(b: Bytes, { at, bytes }: Field, value: bigint): Bytes {
  for (let i = 0; i < bytes && at + i < b.length; i++) {
    b[at + i] = Number(value >> BigInt(8 * i) & 255n);
  }
  return b;
}

function number(b: Bytes, { at, bytes }: Field): bigint {
  let value = 0n;
  for (let i = bytes - 1; i >= 0; i--) {
    value = value << 8n | BigInt(b[at + i] ?? 0);
  }
  return value;
}

const EDITS: readonly (readonly [weight: number, Edit])[] = [
  // A bit flipped.
  [4, (b, r) => {
    b[place(b, r)]! ^= 1 << r.below(8);
    return b;
  }],
  // A byte at an edge.
  [3, (b, r) => {
    b[place(b, r)] = r.pick([0, 1, 0x7f, 0x80, 0xff, r.below(256)]);
    return b;
  }],
  // A number at an edge, in a field or anywhere.
  [8, (b, r, fields) => {
    const field = fields.length > 0 && !r.once(6)
      ? r.pick(fields)
      : { at: place(b, r), bytes: r.pick([1, 2, 4, 8] as const) };
    return put(b, field, r.pick(EDGES));
  }],
  // A number a little larger or smaller.
  [4, (b, r, fields) => {
    if (fields.length === 0) return b;
    const field = r.pick(fields);
    return put(
      b,
      field,
      number(b, field) + r.pick([-32n, -2n, -1n, 1n, 2n, 32n]),
    );
  }],
  // Two fields swapped, or one copied to another.
  [2, (b, r, fields) => {
    if (fields.length === 0) return b;
    const one = r.pick(fields), two = r.pick(fields);
    const a = number(b, one), c = number(b, two);
    if (!r.once(2)) put(b, one, c);
    return put(b, two, a);
  }],
  // Cut short.
  [
    2,
    (b, r) => b.slice(0, r.once(2) ? place(b, r) : b.length - 1 - r.below(64)),
  ],
  // Bytes put in.
  [1, (b, r) => {
    const at = place(b, r), length = 1 + r.below(r.once(4) ? MOST : 16);
    const fill = r.pick([0, 0xff, 0x41, r.below(256)]);
    return join(
      b.subarray(0, at),
      new Uint8Array(length).fill(fill),
      b.subarray(at),
    );
  }],
  // Bytes taken out.
  [1, (b, r) => {
    const [from, to] = range(b, r);
    return join(b.subarray(0, from), b.subarray(to));
  }],
  // A range doubled.
  [1, (b, r) => {
    const [from, to] = range(b, r);
    return join(b.subarray(0, to), b.subarray(from, to), b.subarray(to));
  }],
  // A range moved over another.
  [1, (b, r) => {
    const [from, to] = range(b, r);
    return b.copyWithin(place(b, r), from, to);
  }],
  // A range of another good file, in the same place or elsewhere.
  [1, (b, r, _, other) => {
    const [from, to] = range(other, r);
    const at = r.once(2) ? from : place(b, r);
    b.set(
      other.subarray(from, to).subarray(0, Math.max(0, b.length - at)),
      Math.min(at, b.length),
    );
    return b;
  }],
  // The end of another good file.
  [
    1,
    (b, r, _, other) =>
      join(b.subarray(0, place(b, r)), other.subarray(place(other, r))),
  ],
];

const BAG = EDITS.flatMap(([weight, edit]) =>
  new Array<Edit>(weight).fill(edit)
);

/** Bends a copy of `bytes` `edits` times; `other` is a good file of the same kind. */
export function bendBytes(
  bytes: Uint8Array,
  random: Random,
  fields: readonly Field[],
  other: Bytes,
  edits: number,
): Bytes {
  let out = new Uint8Array(bytes);
  for (let i = 0; i < edits && out.length > 0; i++) {
    out = random.pick(BAG)(out, random, fields, other);
  }
  return out;
}

/** 1 to 8, small numbers more often. */
export function howMany(random: Random): number {
  return 1 + random.below(1 + random.below(8));
}
