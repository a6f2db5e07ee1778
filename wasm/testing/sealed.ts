/**
 * One layer's sealing and attention, run in this thread.
 *
 * @module
 */
import { toF16Bits } from "../../core/f16.ts";
import type { Codec } from "../../core/slots.ts";
import type { BlockShape } from "../../core/types.ts";
import { f32, KIND, Records } from "../records.ts";
import { headBytes, sealedFormat, sealedWords } from "../sealed.ts";
import { extentOf, SPLIT } from "../space.ts";
import type { Kernels } from "./kernels.ts";

/** A sequence of which every position has K and V. */
export interface Layer {
  readonly codec: Codec;
  /** One layer of blocks. */
  readonly shape: BlockShape;
  readonly qHeads: number;
  /** K and V of position p and head h at ((p × 2 + v) × heads + h) × D. */
  readonly values: Float32Array;
  /** Bytes of an open value: 2 or 4. */
  readonly size: 2 | 4;
  /** First blocks that stay open. */
  readonly keepFirst?: number;
}

/** What the rows at the sequence's end see. */
export interface Rows {
  readonly from: number;
  readonly to: number;
  readonly starts: (position: number) => number;
  readonly sinks: (position: number) => number;
  /** Whether all rows see everything before them. */
  readonly full: boolean;
  /** Rows in a tile. */
  readonly tile: number;
  /** Each split is a unit of its own. */
  readonly spread: boolean;
  /** Soft cap of scores, of base e. Default: none. */
  readonly cap?: number;
  /** [row][head][dim], scaled for scores of base 2. */
  readonly q: Float32Array;
}

/** Sealed bytes by block (empty: open), and the attention's result. */
export interface Found {
  readonly sealed: readonly Uint8Array[];
  readonly out: Float32Array;
}

/** Seals every whole block, then attends from `rows`. */
export function sealAndAttend(k: Kernels, layer: Layer, rows: Rows): Found {
  const { codec, shape, size, values, qHeads, keepFirst = 0 } = layer;
  const { tokens, kvHeads, headDim: dim } = shape;
  const format = sealedFormat(codec.id)!;
  const positions = values.length / (2 * kvHeads * dim);
  const blocks = Math.ceil(positions / tokens);
  const part = tokens * dim * size, stride = blocks * 4;
  const open = Array.from({ length: blocks }, () => k.take(part * 2 * kvHeads));
  open.forEach((at, b) =>
    k.write(at, openBlock(values, shape, b, size, positions))
  );
  const bytes = headBytes(format, shape) * kvHeads;
  const sealed = open.map((_, b) =>
    b >= keepFirst && (b + 1) * tokens <= positions ? k.take(bytes, 0xa5) : 0
  );
  const centre = codec.centre?.(shape.layerIds?.[0] ?? 0);
  const table = k.put(Int32Array.from(open));
  const about = k.put(Int32Array.from(sealedWords(format, shape, {
    table: k.put(Int32Array.from(sealed)),
    layer: 0,
    run: rows.full ? SPLIT : tokens,
    size,
    centre: centre === undefined ? 0 : k.put(centre),
  })));
  const count = (n: number): number => k.put(Int32Array.of(n));
  const each = (n: number, value: (i: number) => number): number =>
    k.put(Int32Array.from({ length: n }, (_, i) => value(i)));
  const records = new Records();
  const ends = sealed.flatMap((s, b) => s === 0 ? [] : [(b + 1) * tokens - 1]);
  records.add(
    KIND.seal,
    0,
    ...[table, stride, each(ends.length, (i) => ends[i]!)],
    ...[each(ends.length, () => 0), count(ends.length)],
    ...[kvHeads, dim, tokens, 0, part, size, about, count(ends.length)],
  );
  const n = rows.to - rows.from, at = (i: number): number => rows.from + i;
  const tiles: number[] = [];
  for (let r = 0; r < n;) {
    let end = r + 1;
    while (end < n && end - r < rows.tile && at(end) % tokens !== 0) end++;
    tiles.push(r, end - r);
    r = end;
  }
  const wide = qHeads * dim * 4, splits = Math.ceil(positions / 256);
  const out = k.take(n * wide);
  const scratch = extentOf(
    {
      layers: [{ qHeads, kvHeads, headDim: dim, ffn: 32 }],
      hidden: 32,
      vocab: 16,
    } as never,
    { rows: 16, wanted: 16 } as never,
    positions,
  ).scratch;
  const q = rows.q.map((x) => size === 2 ? x * 2 ** 112 : x);
  const partial = k.take(n * qHeads * splits * (dim + 4) * 4);
  const attend = [
    ...[k.put(q), wide, out, wide, table, stride],
    ...[each(n, (i) => rows.starts(at(i))), each(n, (i) => rows.sinks(at(i)))],
    ...[each(n, at), each(n, () => 0), k.put(Int32Array.from(tiles))],
    k.put(Int32Array.of(tiles.length / 2, rows.spread ? 1 : 0)),
    f32((rows.cap ?? 0) * Math.LOG2E),
    ...[kvHeads, qHeads / kvHeads, dim, tokens, 0, part, size],
    ...[k.take(scratch), scratch, partial, splits],
    ...[each(n, () => 0), 0, each(n, () => 0), about],
  ];
  records.add(KIND.attend, 0, ...attend);
  k.run(records);
  if (rows.spread) k.merge(attend, n, out, qHeads * dim);
  return {
    sealed: sealed.map((s) => s === 0 ? new Uint8Array(0) : k.bytes(s, bytes)),
    out: k.floats(out, n * qHeads * dim),
  };
}

/** A block as turn.ts leaves it: K [T/8][D]{ 8 }, V [T][D], head by head. */
function openBlock(
  values: Float32Array,
  { tokens, kvHeads, headDim: dim }: BlockShape,
  b: number,
  size: 2 | 4,
  positions: number,
): Uint8Array {
  const bytes = new Uint8Array(tokens * dim * size * 2 * kvHeads);
  const view = new DataView(bytes.buffer);
  const set = (i: number, x: number): void =>
    size === 4
      ? view.setFloat32(i * 4, x, true)
      : view.setUint16(i * 2, toF16Bits(x), true);
  for (let t = 0; t < tokens; t++) {
    const p = b * tokens + t;
    if (p >= positions) break;
    for (let h = 0; h < kvHeads; h++) {
      for (let d = 0; d < dim; d++) {
        const from = (p * 2 * kvHeads + h) * dim + d, n = tokens * dim;
        const key = ((t >> 3) * dim + d) * 8 + (t & 7);
        set(h * 2 * n + key, values[from]!);
        set((h * 2 + 1) * n + t * dim + d, values[from + kvHeads * dim]!);
      }
    }
  }
  return bytes;
}
