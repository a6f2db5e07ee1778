import { kernelSuite } from "../core/testing/suites/kernel_suite.ts";
import assert from "node:assert/strict";
import { wasmFormats } from "./formats.ts";
import {
  headBytes,
  keyBytes,
  sealedFormat,
  valueBytes,
  whyNotSealed,
} from "./sealed.ts";

const [open, sealed] = wasmFormats(false).kernels;

kernelSuite("wasm-attend-f16", () => open!, "f16");
for (
  const format of [
    "int8",
    "int8h/int8",
    "int8h/int4h",
    "int4c/int4h",
    "nvfp4h",
    "mxfp4h",
    "f16/int8",
  ]
) {
  kernelSuite(`wasm-attend-sealed, ${format}`, () => sealed!, format);
}

Deno.test("sealedFormat() reads one name for both, or one for K and one for V", () => {
  const { k, v } = sealedFormat("int8h/int4h")!;
  assert.deepEqual([k.kind, k.rotated, v.kind, v.rotated], [
    ...["int8", true, "int4", true],
  ]);
  assert.equal(sealedFormat("nvfp4h")!.v.rotated, true);
  for (const id of ["", "raw", "int4", "int8/int8/int8", "int4c", "/int8"]) {
    assert.equal(sealedFormat(id), undefined, id);
  }
});

Deno.test("whyNotSealed() names the size that is wanted and the one there is", () => {
  const nv = sealedFormat("nvfp4h/int8")!, int8 = sealedFormat("int8")!;
  assert.match(whyNotSealed(nv, 80, 16)!, /multiple of 32 .* nvfp4, not 80/);
  assert.match(whyNotSealed(int8, 12, 16)!, /multiple of 8 .* int8, not 12/);
  assert.match(whyNotSealed(int8, 64, 24)!, /tokens, not 24/);
  assert.match(whyNotSealed(int8, 64, 512)!, /tokens, not 512/);
  assert.equal(whyNotSealed(int8, 80, 16), undefined);
});

Deno.test("pieces take as many bits a value as their formats say, in whole 16 bytes", () => {
  const bits = (id: string, tokens: number, dim: number): number[] => {
    const { k, v } = sealedFormat(id)!;
    return [keyBytes(k, tokens, dim), valueBytes(v, tokens, dim)]
      .map((bytes) => bytes * 8 / (tokens * dim));
  };
  assert.deepEqual(bits("int8h/int8", 16, 64), [8.25, 8.25]);
  assert.deepEqual(bits("int4c/int4h", 64, 64), [4.5, 4.5]);
  assert.deepEqual(bits("int4c/int4h", 64, 256), [4.5, 4.5]);
  assert.deepEqual(bits("mxfp4h", 64, 64), [4.25, 4.25]);
  assert.deepEqual(bits("nvfp4h", 64, 64), [4.53125, 4.53125]);
  for (const id of ["int8", "int4c/int4", "nvfp4", "mxfp4", "f16"]) {
    for (const tokens of [8, 16, 64]) {
      for (const headDim of [32, 96, 256]) {
        const shape = { tokens, headDim, layers: 1, kvHeads: 1 };
        assert.equal(headBytes(sealedFormat(id)!, shape) % 16, 0);
      }
    }
  }
});
