import assert from "node:assert/strict";
import { int8hK, int8hV, int8K, int8V } from "./int8.ts";
import {
  normal,
  partSuite,
  rms,
  sealed,
  through,
} from "./testing/part_suite.ts";

// Half a step, which bf16 makes 2^-9 larger at most; or all of a row too small.
const TINY = 127 * 2 ** -126;
const half = (_: number, peak: number) => peak / 254 * 1.002 + TINY;
const bits = [[64, 64, 8.25], [16, 64, 8.25], [16, 128, 8.125], [
  32,
  256,
  8.0625,
]] as const;

partSuite("int8K", int8K, {
  side: "K",
  bound: half,
  bits,
  dims: 8,
  noise: 0.0061,
});
partSuite("int8V", int8V, {
  side: "V",
  bound: half,
  bits,
  dims: 8,
  noise: 0.0061,
});
for (const [side, part] of [["K", int8hK], ["V", int8hV]] as const) {
  partSuite(`int8h${side}`, part, {
    side,
    // A rotated row may be √128 times as large, and as much may come back.
    bound: (value, peak) => 128 * half(value, peak),
    bits,
    dims: 8,
    noise: 0.0061,
  });
}

Deno.test("int8hK is a third as far off as int8K where one dimension of keys stands out", () => {
  const keys = normal(64 * 64).map((x, i) => i % 64 === 5 ? 20 + x : x);
  const plain = rms(keys, through(int8K, keys, 64, 64));
  const turned = rms(keys, through(int8hK, keys, 64, 64));
  assert.ok(turned < plain / 3, `${turned}, ${plain}`);
});

Deno.test("int8hK is off no more than half a step of the rotated row, in the mean square", () => {
  for (const scale of [1e-3, 1, 1e4]) {
    const x = normal(8 * 64, 7).map((v) => v * scale);
    const back = through(int8hK, x, 8, 64);
    for (let p = 0; p < 8; p++) {
      const row = x.subarray(p * 64, p * 64 + 64);
      const length = Math.hypot(...row);
      const off = rms(row, back.subarray(p * 64, p * 64 + 64));
      assert.ok(off <= length / 254 * 1.002, `${off}, ${length}`);
    }
  }
});

Deno.test("int8K: the second row's 3 and -1.5 and its scale stand where the layout says", () => {
  // Rows of 8 values, 8 positions: a tile of 64 codes and 8 scales.
  const x = new Float32Array(64);
  x[8 + 2] = 127; // position 1
  x[8 + 5] = -1.5;
  x[7 * 8] = -254; // position 7, a scale of 2
  x[7 * 8 + 1] = 3; // 1.5 units, halfway: to the even 2
  const bytes = sealed(int8K, x, 8, 8);
  const wanted = new Uint8Array(80);
  wanted[16 + 2] = 127; // dims 2 and 3 in the second 16 bytes
  wanted[2 * 16 + 2 + 1] = 0xFE; // -1.5 to the even -2
  wanted[14] = 0x81; // -127
  wanted[15] = 2;
  wanted.set([0x80, 0x3F], 64 + 2); // bf16 of 1
  wanted.set([0x00, 0x40], 64 + 14); // and of 2
  assert.deepEqual(bytes, wanted);
});

Deno.test("int8V: codes by eight dims and two positions, scales behind all of them", () => {
  // 8 positions of 16 values.
  const x = new Float32Array(128);
  x[3 * 16 + 9] = 127;
  x[3 * 16 + 2] = -5;
  const bytes = sealed(int8V, x, 8, 16);
  const wanted = new Uint8Array(128 + 16);
  wanted[(4 + 1) * 16 + 2 + 1] = 127; // dims 8.., positions 2 and 3
  wanted[16 + 4 + 1] = 0xFB;
  wanted.set([0x80, 0x3F], 128 + 6);
  assert.deepEqual(bytes, wanted);
});

Deno.test("int8K rounds its scale to bf16 and codes by the rounded one", () => {
  const x = new Float32Array(64);
  x[0] = 1;
  x[1] = 0.3;
  const bytes = sealed(int8K, x, 8, 8);
  // 1/127 = 0x3C010204; bf16 0x3C01 = 0.00787353515625: 0.3 is 38.1 of it.
  assert.deepEqual([...bytes.subarray(64, 66)], [0x01, 0x3C]);
  assert.deepEqual([bytes[0], bytes[1]], [127, 38]);
  const back = through(int8K, x, 8, 8);
  assert.equal(back[0], 127 * 0.00787353515625);
});

Deno.test("int8: the product is rounded to f32 before it becomes a code", () => {
  const x = new Float32Array(64);
  x[0] = 1.5;
  // 17.4999995 units, which f32 rounds to 17.5, and that goes to 18.
  x[1] = 0.20721435546875;
  assert.equal(sealed(int8K, x, 8, 8)[1], 18);
  assert.equal(sealed(int8V, x, 8, 8)[2], 18);
});
