// Kernels that round weights, against their plain definitions.
import assert from "node:assert/strict";
import { dequantise } from "../models/dequantise.ts";
import { quantise } from "../models/quantise.ts";
import { TENSOR_TYPES } from "../models/tensor_types.ts";
import { hardValues } from "../models/testing/hard_values.ts";
import { pseudoBlocks } from "../models/testing/pseudo_blocks.ts";
import { Kernels } from "../wasm/testing/kernels.ts";
import { relativeError } from "./testing/rounded_twin.ts";

const BUILDS = ["simd", "relaxed"] as const;

Deno.test("round() writes the bytes of quantise()", async () => {
  const zeros = Array.from({ length: 64 }, (_, i) => i % 3 === 0 ? -0 : 0);
  const values = Float32Array.from([...hardValues(), ...zeros]);
  for (const build of BUILDS) {
    for (const type of ["Q8_0", "Q4_0"] as const) {
      for (const outputs of [1, 2]) {
        const kernels = await Kernels.open(build);
        const some = values.subarray(0, values.length & ~63);
        const got = kernels.round(type, some, outputs);
        assert.deepEqual(got, quantise(type, some), `${build}, ${type}`);
      }
    }
  }
});

Deno.test("round() refuses what quantise() refuses", async () => {
  for (const build of BUILDS) {
    const kernels = await Kernels.open(build);
    for (const v of [NaN, -NaN, Infinity, -Infinity, 1e8, 65520 * 127]) {
      for (const at of [0, 31, 40]) {
        const x = new Float32Array(64).map((_, i) => i === at ? v : 1);
        for (const type of ["Q8_0", "Q4_0"] as const) {
          assert.equal(kernels.round(type, x, 1), undefined, `${v} at ${at}`);
          assert.throws(() => quantise(type, x), /at most 65504/);
        }
      }
    }
  }
});

Deno.test("expand() decodes formats whose scales belong to 16 values", async () => {
  for (const build of BUILDS) {
    for (const type of ["NVFP4", "IQ2_XS", "IQ2_S", "IQ1_M"] as const) {
      const kernels = await Kernels.open(build);
      const { values } = TENSOR_TYPES[type];
      const bytes = pseudoBlocks(type, 64);
      const want = new Float32Array(64 * values);
      dequantise(type, bytes, want);
      for (const outputs of [1, 8]) {
        const inputs = want.length / outputs;
        const got = kernels.expand(type, bytes, outputs, inputs)!;
        assert.equal(got.findIndex((v, i) => v !== want[i]), -1, type);
      }
    }
  }
});

Deno.test("formats of a kernel that are rounded lose little", () => {
  for (const type of ["NVFP4", "IQ2_XS", "IQ2_S", "IQ1_M"] as const) {
    const { values } = TENSOR_TYPES[type];
    const want = new Float32Array(64 * values), got = want.slice();
    dequantise(type, pseudoBlocks(type, 64), want);
    dequantise("Q8_0", quantise("Q8_0", want), got);
    const error = relativeError(got, want);
    assert.ok(error > 0 && error < 0.006, `${type}: ${error}`);
  }
});

Deno.test("expand() reads floats of every kind, infinities and subnormals too", async () => {
  const halves = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const bytes = new Uint8Array(halves.buffer);
  for (const build of BUILDS) {
    const kernels = await Kernels.open(build);
    for (const type of ["F16", "BF16"] as const) {
      const want = new Float32Array(65536);
      dequantise(type, bytes, want);
      const got = kernels.expand(type, bytes, 2, 32768)!;
      // By value: which NaN it is does not matter.
      assert.equal(got.findIndex((v, i) => !Object.is(v, want[i])), -1, type);
    }
    const floats = Float32Array.of(1, -0, 2 ** -140, Infinity, NaN, 3, 4, 5);
    const raw = new Uint8Array(floats.buffer);
    assert.deepEqual(kernels.expand("F32", raw, 1, 8), floats);
    assert.equal(kernels.expand("Q4_0", new Uint8Array(18), 1, 32), undefined);
  }
});
