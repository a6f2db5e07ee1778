// Sealed blocks in the kernels, against the codecs in plain TypeScript.
import assert from "node:assert/strict";
import { rawFloats } from "../core/defaults.ts";
import { fromF16Bits, toF16Bits } from "../core/f16.ts";
import type { Codec } from "../core/slots.ts";
import { random } from "../core/testing/random_model.ts";
import type { BlockShape } from "../core/types.ts";
import { kvCodec } from "../plugins/kv/codec.ts";
import { f16K, f16V } from "../plugins/kv/f16.ts";
import {
  mxfp4hV,
  mxfp4K,
  mxfp4V,
  nvfp4hK,
  nvfp4K,
  nvfp4V,
} from "../plugins/kv/fp4.ts";
import { int4cK } from "../plugins/kv/int4_channel.ts";
import { int4hV, int4V } from "../plugins/kv/int4_token.ts";
import { int8hK, int8hV, int8K, int8V } from "../plugins/kv/int8.ts";
import { Kernels } from "../wasm/testing/kernels.ts";
import {
  type Layer,
  type Rows,
  sealAndAttend,
} from "../wasm/testing/sealed.ts";

const BUILDS = ["simd", "relaxed"] as const;

const KEYS = [int8K, int8hK, int4cK, nvfp4K, mxfp4K, f16K, nvfp4hK];
const VALUES = [
  ...[int8V, int8hV, int4V, int4hV, nvfp4V, mxfp4V, f16V, mxfp4hV],
];

/** Every format of K and every one of V, in fewer than all pairs. */
const CODECS: readonly Codec[] = [
  ...KEYS.map((k, i) => kvCodec(k, VALUES[i]!)),
  ...VALUES.map((v, i) => kvCodec(KEYS[(i + 2) % KEYS.length]!, v)),
];

/** K and V of positions, one channel of K far from 0. */
function someValues(
  positions: number,
  { kvHeads, headDim }: BlockShape,
  seed: number,
): Float32Array {
  const next = random(seed), width = kvHeads * headDim;
  return Float32Array.from({ length: positions * 2 * width }, (_, i) => {
    const key = Math.floor(i / width) % 2 === 0;
    const far = key && i % headDim === 5 ? 8 : 0;
    return next() + next() + far;
  });
}

/** A block of one layer in the order of `rawFloats()`, as an open one keeps it. */
function rawBlock(
  values: Float32Array,
  { tokens, kvHeads, headDim }: BlockShape,
  b: number,
  size: 2 | 4,
): Float32Array {
  const n = tokens * 2 * kvHeads * headDim;
  const raw = values.slice(b * n, (b + 1) * n);
  return size === 4 ? raw : raw.map((x) => fromF16Bits(toF16Bits(x)));
}

/** What the rows see: attention in double precision over what is read. */
function plain(layer: Layer, rows: Rows, sealed: readonly Uint8Array[]) {
  const { codec, shape, size, qHeads } = layer;
  const { tokens, kvHeads, headDim: dim } = shape;
  const blocks = sealed.map((bytes, b) => {
    const open = rawBlock(layer.values, shape, b, size);
    const coded = new Float32Array(rawFloats(shape));
    if (bytes.length > 0) codec.open(shape, bytes, coded);
    return { open, coded: bytes.length > 0 ? coded : open };
  });
  const { cap = 0 } = rows, group = qHeads / kvHeads, out: number[] = [];
  for (let r = 0; r < rows.to - rows.from; r++) {
    const position = rows.from + r, own = Math.floor(position / tokens);
    const seen = Array.from({ length: position + 1 }, (_, p) => p)
      .filter((p) => p < rows.sinks(position) || p >= rows.starts(position));
    for (let h = 0; h < qHeads; h++) {
      const q = (r * qHeads + h) * dim, kv = Math.floor(h / group);
      const at = (p: number, v: number): [Float32Array, number] => {
        const b = Math.floor(p / tokens), { open, coded } = blocks[b]!;
        const from = ((p % tokens * 2 + v) * kvHeads + kv) * dim;
        return [b < own ? coded : open, from];
      };
      const scores = seen.map((p) => {
        const [x, from] = at(p, 0);
        let dot = 0;
        for (let d = 0; d < dim; d++) dot += rows.q[q + d]! * x[from + d]!;
        const bits = cap * Math.LOG2E;
        return cap === 0 ? dot : bits * Math.tanh(dot / bits);
      });
      const most = Math.max(...scores);
      const weights = scores.map((s) => 2 ** (s - most));
      const total = weights.reduce((a, b) => a + b);
      for (let d = 0; d < dim; d++) {
        let sum = 0;
        seen.forEach((p, i) => {
          const [x, from] = at(p, 1);
          sum += weights[i]! * x[from + d]!;
        });
        out.push(sum / total);
      }
    }
  }
  return Float64Array.from(out);
}

function rowsOf(
  layer: Pick<Layer, "qHeads" | "shape">,
  from: number,
  to: number,
  more: Partial<Rows> = {},
): Rows {
  const next = random(99), n = (to - from) * layer.qHeads * layer.shape.headDim;
  return {
    from,
    to,
    starts: () => 0,
    sinks: () => 0,
    full: true,
    tile: 5,
    spread: false,
    q: Float32Array.from({ length: n }, () => (next() + next()) * 0.4),
    ...more,
  };
}

function assertNear(
  actual: Float32Array,
  expected: Float64Array,
  bound: number,
  what: string,
): void {
  assert.equal(actual.length, expected.length);
  let worst = 0;
  actual.forEach((x, i) => {
    const off = Math.abs(x - expected[i]!);
    worst = Math.max(worst, Number.isNaN(off) ? Infinity : off);
  });
  assert.ok(worst <= bound, `${what}: off by ${worst}, ${bound} allowed`);
}

for (const build of BUILDS) {
  Deno.test(`sealing in the ${build} kernels gives the codec's bytes`, async (t) => {
    for (const codec of CODECS) {
      await t.step(codec.id, async () => {
        for (const size of [4, 2] as const) {
          for (const [tokens, headDim] of [[8, 32], [16, 64], [64, 96]]) {
            const shape = {
              tokens: tokens!,
              layers: 1,
              kvHeads: 2,
              headDim: headDim!,
            };
            const values = someValues(2 * tokens! + 1, shape, 7);
            // What is hard to code: nothing, what is no number, what stands out.
            const row = 2 * shape.kvHeads * headDim!;
            values.fill(0, row, 2 * row);
            if (size === 4) {
              values.set([NaN, Infinity, -Infinity, 1e30, 1e-40], 3 * row + 40);
            }
            const layer = { codec, shape, qHeads: 4, values, size };
            const k = await Kernels.open(build);
            const { sealed } = sealAndAttend(k, layer, rowsOf(layer, 0, 1));
            for (const b of [0, 1]) {
              const wanted = new Uint8Array(codec.bytes(shape));
              codec.seal(shape, rawBlock(values, shape, b, size), wanted);
              assert.deepEqual(sealed[b], wanted, `${tokens} × ${headDim}`);
            }
          }
        }
      });
    }
  });

  Deno.test(`attention over sealed blocks in the ${build} kernels is that over what they open to`, async (t) => {
    for (const codec of CODECS) {
      await t.step(codec.id, async () => {
        for (
          const [tokens, headDim, qHeads, kvHeads, from, to] of [
            [16, 32, 3, 1, 330, 341],
            [64, 64, 6, 2, 600, 603],
            [8, 96, 4, 4, 30, 42],
            [256, 32, 4, 2, 520, 523],
          ] as const
        ) {
          const shape = { tokens, layers: 1, kvHeads, headDim };
          for (const size of [4, 2] as const) {
            const values = someValues(to, shape, 3);
            const layer = { codec, shape, qHeads, values, size };
            for (const spread of [false, true]) {
              const k = await Kernels.open(build);
              const rows = rowsOf(layer, from, to, { spread });
              const { out, sealed } = sealAndAttend(k, layer, rows);
              assertNear(
                out,
                plain(layer, rows, sealed),
                6e-4,
                `${tokens} tokens, head ${headDim}, ${size} bytes`,
              );
            }
          }
        }
      });
    }
  });

  Deno.test(`attention over sealed blocks in the ${build} kernels does not depend on the tile`, async (t) => {
    for (const codec of CODECS) {
      await t.step(codec.id, async () => {
        const shape = { tokens: 16, layers: 1, kvHeads: 2, headDim: 32 };
        const values = someValues(420, shape, 5);
        const layer = { codec, shape, qHeads: 6, values, size: 4 as const };
        const windowed = {
          full: false,
          starts: (p: number) => Math.max(0, p - 40),
          sinks: (p: number) => p > 40 ? 3 : 0,
        };
        for (
          const more of [{}, windowed, { cap: 3 }, { ...windowed, cap: 3 }]
        ) {
          const [one, two] = await Promise.all([1, 5].map(async (tile) => {
            const rows = rowsOf(layer, 400, 420, { ...more, tile });
            return sealAndAttend(await Kernels.open(build), layer, rows);
          }));
          assert.deepEqual(one!.out, two!.out);
          const rows = rowsOf(layer, 400, 420, more);
          assertNear(two!.out, plain(layer, rows, two!.sealed), 6e-4, "window");
        }
      });
    }
  });
}

Deno.test("attention reads blocks that stay open as they are, and K less its centre", async () => {
  const shape = {
    tokens: 16,
    layers: 1,
    kvHeads: 2,
    headDim: 32,
    layerIds: [4],
  };
  const centre = Float32Array.from(
    { length: 64 },
    (_, i) => i % 32 === 5 ? 8 : 0.1,
  );
  const codec = kvCodec(int8hK, int8V, { centre: () => centre });
  const values = someValues(100, shape, 5);
  for (const size of [4, 2] as const) {
    const layer = { codec, shape, qHeads: 4, values, size, keepFirst: 2 };
    const k = await Kernels.open("relaxed"), rows = rowsOf(layer, 97, 100);
    const { out, sealed } = sealAndAttend(k, layer, rows);
    assert.deepEqual(sealed.map((s) => s.length > 0), [
      ...[false, false, true, true, true, true, false],
    ]);
    const wanted = new Uint8Array(codec.bytes(shape));
    codec.seal(shape, rawBlock(values, shape, 3, size), wanted);
    assert.deepEqual(sealed[3], wanted);
    assertNear(out, plain(layer, rows, sealed), 6e-4, `${size} bytes`);
  }
});

Deno.test("attention over sealed blocks stays finite where values are large and all alike", async () => {
  const shape = { tokens: 64, layers: 1, kvHeads: 1, headDim: 64 };
  for (const codec of CODECS) {
    for (const build of BUILDS) {
      for (const size of [2, 4] as const) {
        const values = someValues(260, shape, 3).map((x, i) =>
          i % 128 < 64 ? x : -300 + x
        );
        const layer = { codec, shape, qHeads: 2, values, size };
        const rows = { ...rowsOf(layer, 256, 260), q: new Float32Array(512) };
        const k = await Kernels.open(build);
        const { out, sealed } = sealAndAttend(k, layer, rows);
        const what = `${codec.id}, ${size} bytes`;
        assertNear(out, plain(layer, rows, sealed), 0.1, what);
      }
    }
  }
});
