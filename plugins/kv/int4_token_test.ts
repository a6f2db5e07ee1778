import assert from "node:assert/strict";
import { int4hV, int4V } from "./int4_token.ts";
import {
  normal,
  partSuite,
  rms,
  sealed,
  through,
} from "./testing/part_suite.ts";

partSuite("int4V", int4V, {
  side: "V",
  // Half a step of the widest range, which is two peaks, and what bf16 rounds.
  bound: (_, peak) => peak / 15 * 1.07 + peak * 2 ** -8 + 2e-37,
  bits: [[64, 64, 4.5], [16, 64, 4.5], [8, 128, 4.5], [16, 32, 5], [
    8,
    72,
    4 + 4 / 9,
  ]],
  dims: 8,
  noise: 0.0925,
});

partSuite("int4hV", int4hV, {
  side: "V",
  // A rotated row may be √128 times as large, and as much may come back.
  bound: (_, peak) => 128 * peak * (1.07 / 15 + 2 ** -8) + 1e-34,
  bits: [[64, 64, 4.5], [16, 64, 4.5], [8, 128, 4.5], [16, 32, 5], [
    8,
    96,
    4 + 2 / 3,
  ]],
  dims: 8,
  noise: 0.0925,
});

Deno.test("int4V: a large row does not make others coarser", () => {
  const x = normal(64 * 64);
  const large = x.map((v, i) => i < 64 ? v * 1000 : v);
  const rest = (v: Float32Array) => v.subarray(64);
  assert.equal(
    rms(rest(large), rest(through(int4V, large, 64, 64))),
    rms(rest(x), rest(through(int4V, x, 64, 64))),
  );
});

Deno.test("int4V: codes, then steps, then minima, where the layout says", () => {
  // 8 positions of 16 values: 64 bytes of codes, 16 of steps, 16 of minima.
  const x = new Float32Array(128);
  for (let d = 0; d < 16; d++) x[6 * 16 + d] = d - 4; // step 1, min -4
  x.fill(0.75, 16, 32);
  const bytes = sealed(int4V, x, 8, 16);
  const wanted = new Uint8Array(96);
  // Position 6: high nibbles of the even bytes in the second 16 of each eight dims.
  for (let d = 0; d < 16; d++) {
    wanted[((d >> 3) * 2 + 1) * 16 + (d & 7) * 2] = d << 4;
  }
  wanted.set([0x80, 0x3F], 64 + 12);
  wanted.set([0x40, 0x3F], 80 + 2);
  wanted.set([0x80, 0xC0], 80 + 12);
  assert.deepEqual(bytes, wanted);
  assert.deepEqual(through(int4V, x, 8, 16), x);
});

Deno.test("int4V codes from the rounded minimum, and a constant has no step", () => {
  const x = new Float32Array(128);
  x.fill(11, 0, 16);
  x[0] = -4.015; // bf16 -4: the step is 1
  x[1] = -2.505; // 1.495 from there, 1.51 from what it was
  x.fill(1.006, 16, 32); // bf16 is above it
  const bytes = sealed(int4V, x, 8, 16);
  assert.deepEqual([bytes[0], bytes[2]], [0, 1]);
  assert.deepEqual([...bytes.subarray(64, 68)], [0x80, 0x3F, 0, 0]);
  assert.deepEqual([...bytes.subarray(80, 84)], [0x80, 0xC0, 0x81, 0x3F]);
});
