import assert from "node:assert/strict";
import type { WeightType } from "../core/model.ts";
import { dequantise } from "./dequantise.ts";
import { TENSOR_TYPES } from "./tensor_types.ts";
import { pseudoBlocks } from "./testing/pseudo_blocks.ts";

/**
 * SHA-256 (first half) of what ggml, or from IQ4_XS on its Python package
 * (`gguf.quants.dequantize` of gguf 0.19), makes of `pseudoBlocks(type, 64)`.
 */
const GGML: Partial<Record<WeightType, string>> = {
  F16: "ed54cd563f16c13d013ffecc76ed838c",
  BF16: "64b4d8f576e9494ed6905455b0b1e4f7",
  Q8_0: "85d82b4033dce48bb89eee7a614eee9e",
  Q4_0: "f7aad13cfd73c0a88e1d164e824f2c4f",
  Q4_1: "ddff7268102072669cbc98e4116d34ca",
  Q5_0: "00b1473c413ce2f909acb67f01c4817e",
  Q5_1: "39ed45ed2c556c5be6c7c435e6273cc0",
  Q2_K: "7f768e2ba7c89325b684d146bddc365a",
  Q3_K: "ad752f6e001892d94f8d5216bcaaee53",
  Q4_K: "9ba051dd801ff8aa0eb2db906717f029",
  Q5_K: "302cf590f89975f4490a6db2c8f1ff4c",
  Q6_K: "f647d8dec048adffca0ae55a95461d6d",
  IQ4_NL: "bc7781ff9d28d284abdd4bcb536df735",
  IQ4_XS: "352ae6941aa1530f7b7e8287335ca233",
  MXFP4: "3fcd13505233ec2d7347863c52a84b68",
  NVFP4: "729eba2bf1f611113b1016eaa445c77c",
  TQ1_0: "1a7fb6ee2aa16502c939edc56434b6b2",
  TQ2_0: "7fa9b84b92abf050a116e599004ab10e",
  IQ3_S: "14daa60f2f98cd5080d533272edce2fc",
  IQ3_XXS: "193aca872f67002833546e82aaa9ad0c",
  IQ2_S: "641497ab90a1cc6fc8e86c2a648c4aae",
  IQ2_XS: "545d42c4c8d73fff07f35db08c13e6d8",
  IQ2_XXS: "7ebbb76f82e5ede2ecdb52716d9bd097",
  IQ1_M: "b97277b43c211a2383823ded3433e9cb",
  IQ1_S: "e7ec11837432e8fd3c4795d1e9ea7278",
};

const F16_ONE = [0x00, 0x3c], F16_HALF = [0x00, 0x38];

function decode(
  type: WeightType,
  parts: Readonly<Record<number, readonly number[]>>,
): number[] {
  const { bytes, values } = TENSOR_TYPES[type];
  const block = new Uint8Array(bytes);
  for (const [at, part] of Object.entries(parts)) block.set(part, Number(at));
  const out = new Float32Array(values);
  dequantise(type, block, out);
  return [...out];
}

for (const [type, digest] of Object.entries(GGML)) {
  Deno.test(`dequantise() ${type} equals ggml bit for bit`, async () => {
    const name = type as WeightType;
    const out = new Float32Array(64 * TENSOR_TYPES[name].values);
    dequantise(name, pseudoBlocks(name, 64), out);
    const hash = await crypto.subtle.digest("SHA-256", out);
    assert.equal(new Uint8Array(hash).toHex().slice(0, 32), digest);
  });
}

Deno.test("dequantise() F32 copies bits from any byte offset", () => {
  const source = new Uint8Array(9);
  new DataView(source.buffer).setFloat32(1, 0.1, true);
  new DataView(source.buffer).setUint32(5, 0x80000000, true);
  const out = new Float32Array(2);
  dequantise("F32", source.subarray(1), out);
  assert.equal(out[0], Math.fround(0.1));
  assert.ok(Object.is(out[1], -0));
});

Deno.test("dequantise() F16 keeps subnormals, infinity and NaN", () => {
  const halves = [[1, 0], [0, 0x7c], [1, 0x7c]].flat();
  const out = new Float32Array(3);
  dequantise("F16", Uint8Array.from(halves), out);
  assert.deepEqual([...out], [2 ** -24, Infinity, NaN]);
});

Deno.test("dequantise() Q4_0 puts low nibbles first", () => {
  const values = decode("Q4_0", { 0: F16_HALF, 2: [0xf1] });
  assert.equal(values[0], (1 - 8) / 2);
  assert.equal(values[16], (15 - 8) / 2);
  assert.equal(values[1], -4);
});

Deno.test("dequantise() Q5_1 takes fifth bits from the word before", () => {
  const values = decode("Q5_1", {
    0: F16_ONE,
    2: F16_HALF,
    4: [0b1, 0, 0b10, 0],
    8: [0x03, 0x70],
  });
  assert.deepEqual(
    [values[0], values[1], values[16], values[17]],
    [19.5, 0.5, 0.5, 23.5],
  );
});

Deno.test("dequantise() Q4_K unpacks scales of both halves", () => {
  // Group 0: scale 2 minimum 1. Group 4: 0b100011 and 0b010101.
  const values = decode("Q4_K", {
    0: F16_ONE,
    2: F16_HALF,
    4: [2 | 0b10 << 6, 0, 0, 0, 1 | 0b01 << 6, 0, 0, 0, 0x53],
    16: [0x07],
    [16 + 64]: [0x09],
  });
  assert.equal(values[0], 2 * 7 - 0.5);
  assert.equal(values[1], -0.5);
  assert.equal(values[128], 0b100011 * 9 - 0b010101 / 2);
});

Deno.test("dequantise() Q6_K reads signed scales and both bit planes", () => {
  const values = decode("Q6_K", {
    33: [0xa0],
    [128 + 1]: [0b11_00_10_00],
    192: [1, 1, 1, 1, 1, 1, 0xff],
    208: F16_ONE,
  });
  assert.equal(values[1], -32);
  assert.equal(values[33], (0b10 << 4) - 32);
  assert.equal(values[97], -((0b11 << 4 | 0xa) - 32));
});

Deno.test("dequantise() IQ4_NL indexes its codebook", () => {
  const values = decode("IQ4_NL", { 0: F16_ONE, 2: [0xf0, 0x87] });
  assert.deepEqual(
    [values[0], values[16], values[1], values[17]],
    [-127, 113, -10, 1],
  );
});

Deno.test("dequantise() MXFP4 has powers of two from 2^-127 on as scales", () => {
  for (const e of [0, 1, 2, 127, 128, 252]) {
    const values = decode("MXFP4", { 0: [e], 1: [0x72, 0xf9] });
    assert.deepEqual(
      [values[0], values[16], values[1], values[17]],
      [1, 6, -0.5, -6].map((v) => v * 2 ** (e - 127)),
    );
  }
});

Deno.test("dequantise() IQ2_XXS makes the number of signs even", () => {
  // One scale of 31 / 8 and signs of the first vector: 0b0000001 and 0b0000011.
  const signs = (seven: number): number[] =>
    decode("IQ2_XXS", { 0: F16_ONE, 6: [seven, 0, 0, 0xf0] }).slice(0, 8)
      .map((v) => v / 31);
  assert.deepEqual(signs(1), [-1, 1, 1, 1, 1, 1, 1, -1]);
  assert.deepEqual(signs(3), [-1, -1, 1, 1, 1, 1, 1, 1]);
});

Deno.test("dequantise() IQ1_M collects its scale from four words", () => {
  const scale = (bits: number): number =>
    Math.abs(
      decode("IQ1_M", {
        48: [0, 0, 0, 0, 0, 0, 0, 0].map((_, i) =>
          i % 2 === 0 ? 0 : (bits >> 2 * (i - 1) & 15) << 4
        ),
      })[0]!,
    );
  // The first point of the grid is all -1, shifted up by 1/8.
  assert.equal(scale(0x3c00), 7 / 8);
  assert.equal(scale(0x4400), 7 / 2);
  assert.equal(scale(0x3c01), 7 / 8 * (1 + 2 ** -10));
});

Deno.test("dequantise() gives zeros for blocks of zeros", () => {
  for (const type of Object.keys(TENSOR_TYPES) as WeightType[]) {
    for (const value of decode(type, {})) assert.equal(value + 0, 0);
  }
});

Deno.test("dequantise() refuses part of a block and a wrong length", () => {
  assert.throws(
    () => dequantise("Q8_0", new Uint8Array(33), new Float32Array(32)),
    RangeError,
  );
  assert.throws(
    () => dequantise("Q8_0", new Uint8Array(34), new Float32Array(31)),
    /make 32 values, "out" holds 31/,
  );
  dequantise("Q8_0", new Uint8Array(0), new Float32Array(0));
});
