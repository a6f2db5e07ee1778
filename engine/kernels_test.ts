// The kernels one by one, against the plain definitions in core/ and models/.
import assert from "node:assert/strict";
import { fromF16Bits, toF16Bits } from "../core/f16.ts";
import type { WeightType } from "../core/model.ts";
import { dequantise as values, quantise } from "../core/reference/quantise.ts";
import { random } from "../core/testing/random_model.ts";
import { dequantise } from "../models/dequantise.ts";
import { TENSOR_TYPES } from "../models/tensor_types.ts";
import { quantise as roundTo } from "../models/quantise.ts";
import { pseudoBlocks } from "../models/testing/pseudo_blocks.ts";
import { KERNELS } from "../wasm/kernels.ts";
import { Kernels } from "../wasm/testing/kernels.ts";

const TYPES = Object.keys(TENSOR_TYPES) as WeightType[];

const BUILDS = ["simd", "relaxed"] as const;

/** Ways to sum eight-bit products that this machine can run. */
const MODES = { simd: [0], relaxed: [0, 1] } as const;

/** Where each f16 scale and minimum of a block lies. */
const SCALES: Partial<Record<WeightType, readonly number[]>> = {
  Q8_0: [0],
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q2_K: [80, 82],
  Q3_K: [108],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
  IQ4_NL: [0],
  IQ4_XS: [0],
  TQ1_0: [52],
  TQ2_0: [64],
  IQ3_S: [0],
  IQ3_XXS: [0],
  IQ2_S: [0],
  IQ2_XS: [0],
  IQ2_XXS: [0],
  IQ1_S: [0],
};

/** Powers of two as MXFP4 keeps them: subnormals, and far from 1 either way. */
const HARD_POWERS = [0, 1, 2, 3, 60, 100, 127, 128, 150, 190];

/** Scales that are hard to read: zeros, subnormals, the ends of the range. */
const HARD = [
  0x0000,
  0x8000,
  0x0001,
  0x8001,
  0x03ff,
  0x0400,
  0x8400,
  0x3c00,
  0x7bff,
  0xfbff,
];

/** Rows of a weight matrix as a file holds them, with hostile blocks among them. */
function rowsOf(
  type: WeightType,
  outputs: number,
  inputs: number,
  hard = true,
): Uint8Array {
  const { bytes: size, values: each } = TENSOR_TYPES[type];
  const bytes = pseudoBlocks(type, outputs * inputs / each);
  const view = new DataView(bytes.buffer), blocks = bytes.length / size;
  if (type === "F32") {
    const next = random(5);
    for (let i = 0; i < blocks; i++) {
      view.setFloat32(i * 4, next() * 2 - 1, true);
    }
  }
  for (let b = 0; b < blocks; b++) {
    const at = b * size;
    // Every code at its least or its most.
    if (each > 1 && b % 7 === 3) bytes.fill(0, at, at + size);
    if (each > 1 && b % 7 === 4) bytes.fill(0xff, at, at + size);
    if (type === "Q8_0" && b % 7 === 5) bytes.fill(0x80, at + 2, at + size);
    (SCALES[type] ?? []).forEach((offset, i) => {
      const plain = 0x2c00 + ((b * 37 + i * 101) % 1024) +
        (b % 2 === 0 ? 0x8000 : 0);
      const code = hard && b % 3 === 0
        ? HARD[Math.floor(b / 3 + i) % HARD.length]!
        : plain;
      // What is rounded needs room above its scale.
      const most = KERNELS[type].via === undefined ? 0xffff : 0xe3ff;
      view.setUint16(at + offset, code & most, true);
    });
    if (type === "MXFP4") {
      bytes[at] = hard && b % 3 === 0
        ? HARD_POWERS[Math.floor(b / 3) % HARD_POWERS.length]!
        : 120 + b % 5;
    }
    // The scale's upper nibble: neither infinite nor no number.
    if (type === "IQ1_M") bytes[at + 55]! &= 0xbf;
  }
  return bytes;
}

/** What a matrix in lanes stands for: of some formats no layout has all values. */
function kept(type: WeightType, bytes: Uint8Array): Float32Array {
  const values = decoded(type, bytes), { via } = KERNELS[type];
  if (via !== undefined) dequantise(via, roundTo(via, values), values);
  return values;
}

function decoded(type: WeightType, bytes: Uint8Array): Float32Array {
  const { bytes: size, values: each } = TENSOR_TYPES[type];
  const out = new Float32Array(bytes.length / size * each);
  dequantise(type, bytes, out);
  return out;
}

Deno.test("pack() and embed give back every weight to the bit", async () => {
  for (const build of BUILDS) {
    for (const type of TYPES) {
      const { values: each } = TENSOR_TYPES[type];
      for (const outputs of [1, 4, 5, 8, 13, 40]) {
        for (const blocks of [1, 3]) {
          const kernels = await Kernels.open(build);
          const inputs = Math.max(32, each) * blocks;
          const bytes = rowsOf(type, outputs, inputs);
          const want = kept(type, bytes);
          const packed = kernels.pack(type, bytes, outputs, inputs);
          const got = kernels.embed(packed);
          const at = got.findIndex((x, i) => x !== want[i]);
          assert.equal(
            at,
            -1,
            `${type}, ${outputs} × ${inputs}: ${got[at]} for ${want[at]}`,
          );
          const twice = kernels.embed(packed, 2);
          assert.ok(twice.every((x, i) => x === want[i]! * 2));
        }
      }
    }
  }
});

/** Rows of activations with what is hard about them: nothing, one large value, … */
function rowsOfActivations(rows: number, n: number): Float32Array {
  const next = random(rows * 1000 + n);
  const x = Float32Array.from({ length: rows * n }, () => 4 * next() - 2);
  for (let r = 0; r < rows; r++) {
    const row = x.subarray(r * n, (r + 1) * n);
    if (r === 1) row.fill(0);
    if (r === 2) row[n - 1] = 30_000;
    if (r === 3) row.fill(0, 0, 32);
    if (r === 4) row.forEach((_, i) => row[i] = i % 2 ? 2 : -2);
    if (r === 5) row.fill(127);
    if (r === 6) row.forEach((v, i) => row[i] = v * 1e-12);
  }
  return x;
}

Deno.test("gate writes the codes, scales and sums that core/reference/quantise.ts defines", async () => {
  for (const build of BUILDS) {
    for (const [rows, n] of [[1, 32], [3, 96], [8, 64], [9, 256]] as const) {
      const kernels = await Kernels.open(build);
      const x = rowsOfActivations(rows, n), nb = n / 32;
      const codes = new Int8Array(x.length);
      const scales = new Float32Array(x.length / 32);
      quantise(x, codes, scales);
      const { forms } = kernels.activations(x, rows);
      for (let r = 0; r < rows; r++) {
        for (let b = 0; b < nb; b++) {
          const at = (r >> 2) * nb + b, lane = r & 3, i = r * nb + b;
          const got = new Int8Array(
            kernels.bytes(forms.xq + at * 128 + lane * 32, 32).buffer,
          );
          const want = codes.subarray(i * 32, i * 32 + 32);
          const what = `row ${r}, block ${b}`;
          const scale = kernels.floats(forms.xf + at * 32 + lane * 4, 1)[0]!;
          assert.ok(Math.abs(scale - scales[i]!) <= scales[i]! * 2e-7, what);
          got.forEach((code, k) => {
            if (code === want[k]) return;
            // Only where the value stands between two codes.
            const exact = x[i * 32 + k]! / scales[i]!;
            const off = Math.abs(Math.abs(exact % 1) - 0.5);
            assert.ok(off < 1e-4 && Math.abs(code - want[k]!) === 1, what);
          });
          const sum = (from: number, to: number): number =>
            got.subarray(from, to).reduce((a, c) => a + c, 0);
          const word = (p: number): number => kernels.words(p, 1)[0]!;
          assert.equal(word(forms.xi + at * 16 + lane * 4), sum(0, 32));
          assert.equal(word(forms.x16 + at * 32 + lane * 4), sum(0, 16));
          assert.equal(word(forms.x16 + at * 32 + 16 + lane * 4), sum(16, 32));
          const near = (p: number, want: number): void => {
            const got = kernels.floats(p + lane * 4, 1)[0]!;
            assert.ok(Math.abs(got - want) <= Math.abs(want) * 2e-7, what);
          };
          near(forms.xf + at * 32 + 16, scale * sum(0, 32));
          near(forms.xs + at * 32, scale * 2 ** 72);
          near(forms.xs + at * 32 + 16, scale * 2 ** 72 * sum(0, 32));
        }
      }
    }
  }
});

/**
 * Products of rows with a matrix in double precision, and how far each may be
 * off: rounding of as many sums as there are blocks, whatever cancels in them.
 */
function products(
  x: Float32Array,
  w: Float32Array,
  rows: number,
  inputs: number,
): { want: Float64Array; bound: Float64Array } {
  const outputs = w.length / inputs, blocks = inputs / 32;
  const want = new Float64Array(rows * outputs), bound = want.slice();
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < outputs; o++) {
      let sum = 0, size = 0;
      for (let b = 0; b < blocks; b++) {
        let most = 0, total = 0;
        for (let i = b * 32; i < b * 32 + 32; i++) {
          const a = x[r * inputs + i]!, v = w[o * inputs + i]!;
          sum += a * v;
          total += Math.abs(a);
          most = Math.max(most, Math.abs(v));
        }
        // A minimum may be that much larger than what is left of the weights.
        size += total * most * 16;
      }
      want[r * outputs + o] = sum;
      bound[r * outputs + o] = size * (blocks + 4) * 2 ** -27 + 1e-30;
    }
  }
  return { want, bound };
}

Deno.test("product multiplies eight-bit activations with every packed weight", async () => {
  for (const build of BUILDS) {
    for (const type of TYPES) {
      const { values: each } = TENSOR_TYPES[type];
      if (each === 1) continue;
      for (
        const [rows, outputs, blocks] of [
          [1, 1, 1],
          [2, 12, 2],
          [3, 7, 1],
          [4, 9, 3],
          [5, 40, 1],
          [6, 8, 2],
          [7, 16, 1],
          [9, 33, 2],
        ] as const
      ) {
        const kernels = await Kernels.open(build);
        const inputs = Math.max(32, each) * blocks;
        const bytes = rowsOf(type, outputs, inputs);
        const packed = kernels.pack(type, bytes, outputs, inputs);
        const x = rowsOfActivations(rows, inputs);
        const activations = kernels.activations(x, rows);
        // The codes as they are, which another test compares with their definition.
        const { codes, scales } = readCodes(kernels, activations);
        const seen = new Float32Array(x.length);
        values(codes, scales, seen);
        const w = kept(type, bytes);
        const { want, bound } = products(seen, w, rows, inputs);
        const first = kernels.product(packed, activations, MODES[build][0]);
        first.forEach((got, i) => {
          const off = Math.abs(got - want[i]!);
          assert.ok(
            off <= bound[i]!,
            `${build}, ${type}, ${rows} × ${outputs} × ${inputs} at ${i}: ${got} for ${
              want[i]
            }, ${off} above ${bound[i]}`,
          );
        });
        for (const mode of MODES[build].slice(1)) {
          const got = kernels.product(packed, activations, mode);
          assert.deepEqual(got, first, `${type}, mode ${mode}`);
        }
        const onto = kernels.product(packed, activations, 0, 3);
        assert.deepEqual(onto, first.map((v) => v + 3));
        for (let r = 0; r < rows; r++) {
          const alone = kernels.product(
            packed,
            kernels.activations(x.slice(r * inputs, (r + 1) * inputs), 1),
            0,
          );
          const row = first.slice(r * outputs, (r + 1) * outputs);
          assert.deepEqual(alone, row, `${type}: row ${r} alone`);
        }
      }
    }
  }
});

/** Codes and scales row by row, out of their tiles. */
function readCodes(
  kernels: Kernels,
  { forms, rows, n }: ReturnType<Kernels["activations"]>,
): { codes: Int8Array; scales: Float32Array } {
  const nb = n / 32, codes = new Int8Array(rows * n);
  const scales = new Float32Array(rows * nb);
  for (let r = 0; r < rows; r++) {
    for (let b = 0; b < nb; b++) {
      const at = (r >> 2) * nb + b, lane = r & 3;
      codes.set(
        new Int8Array(
          kernels.bytes(forms.xq + at * 128 + lane * 32, 32).buffer,
        ),
        r * n + b * 32,
      );
      scales[r * nb + b] = kernels.floats(forms.xf + at * 32 + lane * 4, 1)[0]!;
    }
  }
  return { codes, scales };
}

Deno.test("product reads codes with the top bit as unsigned ones where told to (mode 2)", async () => {
  // Pairs are summed in 16 bits here, so one of each pair is 0. Machines that
  // choose this mode by themselves have no such limit.
  const probe = (await Kernels.open("relaxed")).probe();
  for (const type of TYPES.filter((t) => TENSOR_TYPES[t].values > 1)) {
    const kernels = await Kernels.open("relaxed");
    const inputs = Math.max(64, TENSOR_TYPES[type].values), outputs = 19;
    const bytes = rowsOf(type, outputs, inputs);
    const packed = kernels.pack(type, bytes, outputs, inputs);
    for (const rows of [1, 4, 6]) {
      const x = rowsOfActivations(rows, inputs).map((v, i) => i % 2 ? 0 : v);
      const activations = kernels.activations(x, rows);
      const want = kernels.product(packed, activations, 0);
      if (probe === 3) continue;
      assert.deepEqual(kernels.product(packed, activations, 2), want, type);
    }
  }
});

Deno.test("product multiplies f32 activations with weights kept as floats", async () => {
  for (const build of BUILDS) {
    for (const type of ["F32", "F16", "BF16"] as const) {
      for (
        const [rows, outputs, inputs] of [
          [1, 1, 32],
          [2, 9, 40],
          [3, 16, 8],
          [5, 12, 96],
          [8, 33, 64],
        ] as const
      ) {
        const kernels = await Kernels.open(build);
        const bytes = rowsOf(type, outputs, inputs);
        const packed = kernels.pack(type, bytes, outputs, inputs);
        const x = rowsOfActivations(rows, Math.max(inputs, 32))
          .slice(0, rows * inputs);
        const activations = kernels.activations(x, rows);
        const w = decoded(type, bytes);
        const got = kernels.product(packed, activations, 0);
        got.forEach((value, i) => {
          const r = Math.floor(i / outputs), o = i % outputs;
          let want = 0, size = 0;
          for (let k = 0; k < inputs; k++) {
            const term = x[r * inputs + k]! * w[o * inputs + k]!;
            want += term;
            size += Math.abs(term);
          }
          const bound = size * inputs * 2 ** -23;
          assert.ok(Math.abs(value - want) <= bound, `${type} at ${i}`);
        });
      }
    }
  }
});

Deno.test("gate is SiLU or the tanh form of GELU, times the second factor", async () => {
  const x = Float32Array.from({ length: 4096 }, (_, i) => (i - 2048) / 20);
  x.set([0, -0, 1e-30, -1e-30, 88, -88, 1e4, -1e4, 3e38, -3e38]);
  const up = x.map((_, i) => (i % 3) - 1);
  const ones = x.map(() => 1);
  for (const build of BUILDS) {
    for (const gelu of [false, true]) {
      const kernels = await Kernels.open(build);
      const { values } = kernels.gate(x, ones, 1, gelu);
      values.forEach((got, i) => {
        const v = x[i]!;
        const inner = gelu
          ? 2 * Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)
          : v;
        const want = v / (1 + Math.exp(-inner));
        // Rounding of the exponent weighs the more the larger it is; far below
        // zero the result is 0.
        const bound =
          Math.abs(want) * (4e-7 + Math.abs(inner) * (gelu ? 3e-7 : 1.3e-7)) +
          (inner < -86 ? 1e-33 : 0);
        assert.ok(
          Math.abs(got - want) <= bound,
          `${build} ${gelu ? "GELU" : "SiLU"}(${v}) is ${got}, not ${want}`,
        );
      });
      const { values: times } = kernels.gate(x, up, 1, gelu);
      assert.ok(times.every((got, i) => got === values[i]! * up[i]!));
    }
  }
});

Deno.test("append rounds K and V to f16: nearest even, no subnormals, no infinities", async () => {
  const codes = Array.from({ length: 0x7c00 }, (_, i) => fromF16Bits(i));
  const between = codes.slice(0x400, -1).flatMap((v, i) => {
    const middle = (v + codes[i + 0x401]!) / 2;
    return [middle, middle * (1 - 2 ** -20), middle * (1 + 2 ** -20)];
  });
  const large = [65504, 65519, 65520, 1e6, 3e38, Infinity];
  const small = [2 ** -14, 2 ** -14 * 0.9999, 2 ** -24, 1e-30, 0];
  const all = [...codes, ...between, ...large, ...small];
  const both = [...all, ...all.map((v) => -v)];
  while (both.length % 8 !== 0) both.push(0);
  const values = Float32Array.from(both);
  for (const build of BUILDS) {
    const kernels = await Kernels.open(build);
    const got = kernels.halves(values);
    values.forEach((v, i) => {
      const sign = v < 0 || Object.is(v, -0) ? 0x8000 : 0;
      const want = Math.abs(v) < 2 ** -14
        ? sign
        : Math.abs(v) > 65504
        ? sign | 0x7bff
        : toF16Bits(v);
      assert.equal(got[i], want, `${build}: ${v}`);
    });
  }
});
