import assert from "node:assert/strict";
import { dequantise, quantise } from "./quantise.ts";

function quantised(
  x: Float32Array,
): { codes: Int8Array; scales: Float32Array; back: Float32Array } {
  const codes = new Int8Array(x.length);
  const scales = new Float32Array(x.length / 32);
  const back = new Float32Array(x.length);
  quantise(x, codes, scales);
  dequantise(codes, scales, back);
  return { codes, scales, back };
}

Deno.test("quantise() errs by half a step at most, each block with its own scale", () => {
  const x = Float32Array.from(
    { length: 96 },
    (_, i) => Math.sin(i * 2.3) * 10 ** (i >> 5),
  );
  const { codes, scales, back } = quantised(x);
  for (let b = 0; b < 3; b++) {
    const block = x.slice(b * 32, b * 32 + 32);
    const max = Math.max(...block.map(Math.abs));
    assert.equal(scales[b], Math.fround(max / 127));
    assert.equal(
      Math.max(...codes.subarray(b * 32, b * 32 + 32).map(Math.abs)),
      127,
    );
  }
  for (let i = 0; i < 96; i++) {
    const step = scales[i >> 5]!;
    assert.ok(Math.abs(back[i]! - x[i]!) <= 0.5001 * step, `value ${i}`);
  }
});

Deno.test("quantise() gives zeros for a block of zeros or of next to nothing", () => {
  for (const tiny of [0, -0, 1e-45, 1e-38]) {
    const { codes, scales, back } = quantised(new Float32Array(32).fill(tiny));
    assert.deepEqual(codes, new Int8Array(32));
    assert.equal(scales[0], 0);
    assert.deepEqual(back, new Float32Array(32));
  }
});

Deno.test("quantise() keeps the smallest and largest scales finite", () => {
  for (const size of [2 ** -120, 3e38]) {
    const { codes, scales } = quantised(new Float32Array(32).fill(-size));
    assert.ok(codes.every((c) => c === -127));
    assert.ok(scales[0]! > 0 && Number.isFinite(scales[0]!));
  }
});

Deno.test("quantise() takes ties to the even code", () => {
  const x = new Float32Array(32);
  x.set([127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5]);
  assert.deepEqual([...quantised(x).codes.subarray(0, 7)], [
    127,
    0,
    2,
    2,
    0,
    -2,
    -2,
  ]);
});

Deno.test("quantise() survives one outlier: the rest of its block goes to zero, the next block does not", () => {
  const x = new Float32Array(64).fill(0.01);
  x[3] = 100;
  const { codes } = quantised(x);
  assert.equal(codes[3], 127);
  assert.equal(codes[4], 0);
  assert.ok(codes.subarray(32).every((c) => c === 127));
});

Deno.test("quantise() refuses broken blocks and too little room", () => {
  const scales = new Float32Array(1);
  assert.throws(
    () => quantise(new Float32Array(33), new Int8Array(33), scales),
    /whole blocks of 32/,
  );
  assert.throws(
    () => quantise(new Float32Array(32), new Int8Array(31), scales),
    RangeError,
  );
  quantise(new Float32Array(0), new Int8Array(0), new Float32Array(0));
});
