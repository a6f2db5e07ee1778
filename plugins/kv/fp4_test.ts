import assert from "node:assert/strict";
import { levelOf, mxfp4K, mxfp4V, nvfp4K, nvfp4V } from "./fp4.ts";
import { partSuite, sealed, through } from "./testing/part_suite.ts";

// The widest step is 2 of 6 levels, half of it is a sixth; E4M3 rounds its unit by a
// 16th. What E4M3 cannot hold is 2^-10 of the largest group's unit, six levels of it.
const nvBound = (_: number, peak: number) => peak / 6 * 17 / 16 * 1.001 + 1e-35;
// Between 6 and 8 units all becomes 6: a quarter of 8.
const mxBound = (_: number, peak: number) => peak / 4 * 1.001 + 2e-37;

partSuite("nvfp4K", nvfp4K, {
  side: "K",
  bound: nvBound,
  bits: [[64, 64, 4.53125], [64, 128, 4.515625], [16, 64, 4.625]],
  dims: 32,
  noise: 0.0945,
});
partSuite("nvfp4V", nvfp4V, {
  side: "V",
  bound: nvBound,
  bits: [[64, 64, 4.53125], [64, 128, 4.515625], [16, 64, 4.625]],
  dims: 32,
  noise: 0.0945,
});
partSuite("mxfp4K", mxfp4K, {
  side: "K",
  bound: mxBound,
  bits: [[64, 64, 4.25], [16, 64, 4.25], [16, 32, 4.5]],
  dims: 32,
  noise: 0.12,
});
partSuite("mxfp4V", mxfp4V, {
  side: "V",
  bound: mxBound,
  bits: [[64, 64, 4.25], [16, 64, 4.25], [16, 32, 4.25], [8, 32, 4.5]],
  dims: 32,
  noise: 0.12,
});

Deno.test("levelOf() is the nearest level, halfway cases to the even index", () => {
  const levels = [0, 0.5, 1, 1.5, 2, 3, 4, 6];
  for (const [i, level] of levels.entries()) {
    assert.equal(levelOf(level), i);
    const next = levels[i + 1];
    if (next === undefined) continue;
    const middle = (level + next) / 2;
    assert.equal(levelOf(middle), i % 2 === 0 ? i : i + 1, `${middle}`);
    assert.equal(levelOf(middle - 1e-6), i);
    assert.equal(levelOf(middle + 1e-6), i + 1);
  }
  for (const x of [6.5, 8, 1e30]) assert.equal(levelOf(x), 7);
});

/** 8 positions of 32 values: 2688 and a half of it, in one group each; -1 elsewhere. */
function example(): Float32Array {
  const x = new Float32Array(256);
  x[3] = 2688; // position 0, the first group: piece scale 1, group scale 448
  x[5 * 32 + 17] = -1344; // position 5, the second group: 224
  x[5 * 32 + 18] = 300; // 1.34 of 224: level 1.5
  x[5 * 32 + 19] = -50; // 0.22 of it: no minus before a zero
  x[7 * 32 + 30] = 2 ** -9 * 6; // the smallest E4M3
  return x;
}

Deno.test("nvfp4K: header, codes and scales stand where the layout says", () => {
  const bytes = sealed(nvfp4K, example(), 8, 32);
  const wanted = new Uint8Array(16 + 128 + 16);
  wanted.set([0, 0, 0x80, 0x3F]); // f32 of 1
  const codes = 16, scales = 16 + 128;
  wanted[codes + 1] = 7 << 4; // dim 3: odd byte, high nibble
  wanted[codes + 4 * 16 + 5 * 2 + 1] = 15; // dim 17: minus, the sixth level
  wanted[codes + 4 * 16 + 5 * 2] = 3 << 4; // dim 18
  wanted[codes + 7 * 16 + 7 * 2] = 7 << 4; // dim 30
  wanted[scales] = 0x7E; // 448
  wanted[scales + 8 + 5] = 0x76; // 224
  wanted[scales + 8 + 7] = 0x01;
  assert.deepEqual(bytes, wanted);
  const back = through(nvfp4K, example(), 8, 32);
  assert.deepEqual([back[3], back[5 * 32 + 17], back[5 * 32 + 18]], [
    2688,
    -1344,
    336,
  ]);
  assert.equal(back[7 * 32 + 30], 6 / 512);
});

Deno.test("nvfp4V: header, codes and scales stand where the layout says", () => {
  const bytes = sealed(nvfp4V, example(), 8, 32);
  const wanted = new Uint8Array(16 + 128 + 16);
  wanted.set([0, 0, 0x80, 0x3F]);
  const codes = 16, scales = 16 + 128;
  wanted[codes + 3 * 2] = 7; // dim 3, position 0
  // Dims 16 to 23 are the third pair of 16 bytes; position 5 in the second of it.
  wanted[codes + (2 * 2 + 1) * 16 + 1 * 2 + 1] = 15;
  wanted[codes + (2 * 2 + 1) * 16 + 2 * 2 + 1] = 3;
  wanted[codes + (3 * 2 + 1) * 16 + 6 * 2 + 1] = 7 << 4; // position 7: high
  wanted[scales] = 0x7E;
  wanted[scales + 8 + 5] = 0x76;
  wanted[scales + 8 + 7] = 0x01;
  assert.deepEqual(bytes, wanted);
  assert.deepEqual(
    through(nvfp4V, example(), 8, 32),
    through(nvfp4K, example(), 8, 32),
  );
});

Deno.test("mxfp4K and mxfp4V: a power of two for 32 dims, padded to 16 bytes", () => {
  const x = new Float32Array(256);
  x[3] = 7; // exponent 2: unit 1, level 6
  x[2] = -0.75; // halfway: to the even index, 1
  x[6 * 32 + 31] = 0.4; // exponent -2: unit 1/16, 6.4 of it
  const k = new Uint8Array(128 + 16), v = k.slice();
  k[1] = 7 << 4;
  k[0] = 10 << 4;
  k[7 * 16 + 6 * 2 + 1] = 7 << 4;
  v[3 * 2] = 7;
  v[2 * 2] = 10;
  v[(3 * 2 + 1) * 16 + 7 * 2] = 7 << 4;
  for (const bytes of [k, v]) {
    bytes[128] = 127;
    bytes[128 + 6] = 123;
  }
  assert.deepEqual(sealed(mxfp4K, x, 8, 32), k);
  assert.deepEqual(sealed(mxfp4V, x, 8, 32), v);
  const back = through(mxfp4V, x, 8, 32);
  assert.deepEqual([back[3], back[2], back[6 * 32 + 31]], [6, -1, 0.375]);
});

Deno.test("fp4: what is too small for a unit is 0, its scale too", () => {
  for (const part of [nvfp4K, nvfp4V, mxfp4K, mxfp4V]) {
    const header = part.id === "nvfp4" ? [0, 0, 0x80, 0x3F] : [];
    const x = new Float32Array(256).fill(1e-38);
    const wanted = new Uint8Array(part.bytes(8, 32));
    wanted.set(header);
    assert.deepEqual(sealed(part, x, 8, 32), wanted, part.id);
    if (part.id === "mxfp4") continue;
    // A piece of 2^-120, and 2^-129 for a group: no reciprocal in f32.
    x.fill(2 ** -127);
    x[0] = 2688 * 2 ** -120;
    const bytes = sealed(part, x, 8, 32);
    assert.deepEqual([...bytes.subarray(0, 4)], [0, 0, 0x80, 3]);
    assert.equal(bytes.subarray(4).filter((b) => b > 0).length, 2);
    // A group of 1e-6 beside one of 65504: below the smallest E4M3.
    x.fill(1e-6);
    x[0] = 65504;
    const back = through(part, x, 8, 32);
    assert.ok(back.subarray(1).every((v) => v === 0));
  }
});
