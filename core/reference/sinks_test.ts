import assert from "node:assert/strict";
import type { LayerSpec, RopeSpec } from "../model.ts";
import { driveSequence } from "../testing/drive.ts";
import { type RandomModel, randomModel } from "../testing/random_model.ts";
import { createReference } from "./backend.ts";

// The whole pass once more, over plain lists in double precision, with a mask over
// absolute positions and no cache: each query is turned from scratch to the position
// from which it sees a key.

type Vector = readonly number[];
type Values = ReadonlyMap<string, Float32Array>;

/** What a query at `p` sees: -1 for not at all, else where it stands for the key. */
type SeenFrom = (layer: LayerSpec, p: number, key: number) => number;

function matmul(w: Float32Array, x: Vector): number[] {
  return Array.from({ length: w.length / x.length }, (_, row) => {
    let sum = 0;
    x.forEach((value, i) => sum += w[row * x.length + i]! * value);
    return sum;
  });
}

function norm(x: Vector, weight: Float32Array, eps: number): number[] {
  const mean = x.reduce((sum, value) => sum + value * value, 0) / x.length;
  return x.map((value, i) => value / Math.sqrt(mean + eps) * weight[i]!);
}

/** Pairs as complex numbers times magnitude · e^(i · angle). */
function turn(
  head: Vector,
  position: number,
  { style, base, divide, dims, magnitude: m = 1 }: RopeSpec,
  factors: ArrayLike<number> | undefined,
): number[] {
  const out = [...head];
  for (let i = 0; i < dims / 2; i++) {
    const [a, b] = style === "halves" ? [i, i + dims / 2] : [2 * i, 2 * i + 1];
    const angle = position / divide / base ** (2 * i / dims) /
      (factors?.[i] ?? 1);
    const cos = m * Math.cos(angle), sin = m * Math.sin(angle);
    out[a] = head[a]! * cos - head[b]! * sin;
    out[b] = head[a]! * sin + head[b]! * cos;
  }
  return out;
}

function attention(
  layer: LayerSpec,
  values: Values,
  rows: readonly { q: Vector; k: Vector; v: Vector }[],
  seenFrom: SeenFrom,
): number[][] {
  const { qHeads, kvHeads, headDim, rope } = layer;
  const factors = typeof rope.factors === "string"
    ? values.get(rope.factors)
    : rope.factors;
  const of = (x: Vector, head: number): Vector =>
    x.slice(head * headDim, (head + 1) * headDim);
  return rows.map(({ q }, p) => {
    const out: number[] = [];
    for (let h = 0; h < qHeads; h++) {
      const kv = Math.floor(h * kvHeads / qHeads);
      const scores = rows.slice(0, p + 1).map(({ k }, key) => {
        const from = seenFrom(layer, p, key);
        if (from < 0) return -Infinity;
        const turned = turn(of(q, h), from, rope, factors);
        const score = turn(of(k, kv), key, rope, factors)
          .reduce((sum, x, d) => sum + x * turned[d]!, 0) * layer.attnScale;
        const { attnCap: cap } = layer;
        return cap === undefined ? score : cap * Math.tanh(score / cap);
      });
      const most = Math.max(...scores);
      const weights = scores.map((s) => Math.exp(s - most));
      const total = weights.reduce((a, b) => a + b);
      for (let d = 0; d < headDim; d++) {
        out.push(
          weights.reduce(
            (sum, w, key) => sum + w * of(rows[key]!.v, kv)[d]!,
            0,
          ) /
            total,
        );
      }
    }
    return out;
  });
}

function oracle(
  { spec }: RandomModel,
  values: Values,
  ids: readonly number[],
  seenFrom: SeenFrom,
): number[] {
  const w = (name: string): Float32Array => values.get(name)!;
  const add = (a: Vector, b: Vector): number[] => a.map((x, i) => x + b[i]!);
  let x = ids.map((id) => [
    ...w(spec.embedding).subarray(id * spec.hidden, (id + 1) * spec.hidden),
  ]);
  for (const layer of spec.layers) {
    const t = layer.tensors, mlp = layer.mlp!;
    const rows = x.map((row) => {
      const y = norm(row, w(t.attnNorm), spec.normEps);
      return {
        q: matmul(w(t.q), y),
        k: matmul(w(t.k), y),
        v: matmul(w(t.v), y),
      };
    });
    const heads = attention(layer, values, rows, seenFrom);
    x = x.map((row, p) => add(row, matmul(w(t.attnOut), heads[p]!)));
    x = x.map((row) => {
      const y = norm(row, w(t.ffnNorm), spec.normEps);
      const up = matmul(w(mlp.up), y);
      const gated = matmul(w(mlp.gate), y)
        .map((g, i) => g / (1 + Math.exp(-g)) * up[i]!);
      return add(row, matmul(w(mlp.down), gated));
    });
  }
  return x.flatMap((row) =>
    matmul(w(spec.output), norm(row, w(spec.outputNorm), spec.normEps))
  );
}

const WINDOW = 5, SINKS = 3, REACH = 12, LENGTH = 40;
const HEADS = { window: WINDOW, qHeads: 4, kvHeads: 2, headDim: 16 };

const ROPES: Readonly<Record<string, Omit<RopeSpec, "base">>> = {
  "halves": { style: "halves", divide: 1, dims: 16 },
  "neighbours": { style: "neighbours", divide: 1, dims: 16 },
  "part of a head, divided positions": { style: "halves", divide: 2, dims: 6 },
  "divided frequencies": {
    style: "neighbours",
    divide: 1,
    dims: 16,
    factors: "1.attnNorm",
  },
  "a magnitude, factors by value, and a cap": {
    style: "halves",
    divide: 1,
    dims: 6,
    factors: [1, 1.5, 4],
    magnitude: 1.4,
  },
};

const ids = Array.from({ length: LENGTH }, (_, i) => (i * i * 3 + i) % 20);

/** The window from where it stands, sinks from where the reach ends. */
const fromReach = (reach: number): SeenFrom => ({ window }, p, key) => {
  if (window === undefined || key > p - window) return p;
  return key < SINKS ? Math.min(p, reach - 1) : -1;
};

for (const [name, rope] of Object.entries(ROPES)) {
  Deno.test(`Backend.run() sees sinks beyond reach as the dense form does: ${name}`, async () => {
    // A tensor of dims / 2 values, about 1 each, serves as factors.
    const model = randomModel({
      vocab: 20,
      hidden: 8,
      layers: [
        { ...HEADS, rope: { ...rope, base: 50 } },
        { ...HEADS, window: undefined, ...(rope.magnitude && { attnCap: 1 }) },
        {
          ...HEADS,
          rope: { ...rope, base: 50 },
          ...(rope.magnitude && { attnCap: 2 }),
        },
      ],
    });
    const { spec, read } = model;
    const values = new Map<string, Float32Array>();
    for (const tensor of spec.tensors.keys()) {
      values.set(tensor, await read(tensor));
    }
    const run = async (reach: number): Promise<Float32Array> => {
      const limits = { bytes: 1 << 20, rows: 9, seqs: 1, wanted: 9, top: 0 };
      await using backend = createReference({ spec, read, limits });
      const cut = { tokens: 4, blocks: 10, sink: SINKS, reach, chunk: 9 };
      return await driveSequence(backend, spec, { ...cut, decode: 5 })(ids);
    };
    const apart = (got: Float32Array, want: readonly number[]): number[] =>
      Array.from({ length: LENGTH }, (_, p) => {
        const row = want.slice(p * spec.vocab, (p + 1) * spec.vocab);
        return Math.max(
          ...row.map((x, i) => Math.abs(x - got[p * spec.vocab + i]!)),
        );
      });
    const got = await run(REACH);
    const want = oracle(model, values, ids, fromReach(REACH));
    const most = Math.max(...apart(got, want));
    assert.ok(most < 2e-5, `${most} apart`);
    // The oracle without a reach is another: the test can fail.
    const far = apart(got, oracle(model, values, ids, fromReach(Infinity)));
    assert.ok(Math.max(...far.slice(0, REACH)) < 2e-5);
    assert.ok(far.slice(REACH).every((x) => x > 1e-3), far.join());
    assert.ok(Math.max(...apart(await run(LENGTH), want)) > 1e-2);
  });
}
