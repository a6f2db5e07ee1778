import assert from "node:assert/strict";
import { int4cK } from "./int4_channel.ts";
import {
  normal,
  partSuite,
  rms,
  sealed,
  through,
} from "./testing/part_suite.ts";

partSuite("int4cK", int4cK, {
  side: "K",
  // Half a step of the widest range, which is two peaks, and what bf16 rounds.
  bound: (_, peak) => peak / 15 * 1.07 + peak * 2 ** -8 + 2e-37,
  bits: [[64, 64, 4.5], [64, 256, 4.5], [32, 64, 5], [16, 64, 6], [
    128,
    64,
    4.25,
  ]],
  dims: 8,
  noise: 0.0925,
});

Deno.test("int4cK asks for blocks of 64", () => {
  assert.equal(int4cK.blockTokens, 64);
});

Deno.test("int4cK: what is common to a channel costs nothing", () => {
  const x = normal(64 * 64);
  const moved = x.map((v, i) => v + (i % 64 === 3 ? 8 : 0));
  const plain = rms(x, through(int4cK, x, 64, 64));
  const off = rms(moved, through(int4cK, moved, 64, 64));
  assert.ok(Math.abs(off / plain - 1) < 0.01, `${off}, ${plain}`);
});

Deno.test("int4cK: steps, minima and codes stand where the layout says", () => {
  // 8 positions of 8 values: 32 bytes of header, 32 of codes.
  const x = new Float32Array(64);
  for (let p = 0; p < 8; p++) {
    x[p * 8 + 2] = -2 + p; // min -2, range 7, step 7/15
    x[p * 8 + 5] = 2.5; // constant
  }
  x[3 * 8 + 7] = 15; // step 1
  x[4 * 8 + 7] = 2.5; // halfway: to the even 2
  const bytes = sealed(int4cK, x, 8, 8);
  const wanted = new Uint8Array(64);
  wanted.set([0xEF, 0x3E], 2 * 2); // bf16 of 7/15 = 0x3EEEEEEF
  wanted.set([0x80, 0x3F], 7 * 2);
  wanted.set([0x00, 0xC0], 16 + 2 * 2); // -2
  wanted.set([0x20, 0x40], 16 + 5 * 2); // 2.5
  // Dim 2: high nibbles of the even bytes. p × 15/7 = 0, 2.1, 4.3, 6.4, 8.6, 10.7, …
  for (const [p, code] of [0, 2, 4, 6, 9, 11, 13, 15].entries()) {
    wanted[32 + p * 2] = code << 4;
  }
  // Dim 7: high nibbles of the odd bytes of the second 16.
  wanted[32 + 16 + 3 * 2 + 1] = 15 << 4;
  wanted[32 + 16 + 4 * 2 + 1] = 2 << 4;
  assert.deepEqual(bytes, wanted);
  const back = through(int4cK, x, 8, 8);
  assert.equal(back[5], 2.5);
  assert.equal(back[3 * 8 + 7], 15);
  assert.equal(back[4 * 8 + 7], 2);
});

Deno.test("int4cK: a constant that is no bf16 comes out as the next bf16 above, or exactly", () => {
  // Its minimum is rounded: up, and nothing is above it; down, and the step is the rest.
  for (
    const [x, wanted] of [[1.006, 1.0078125], [-1.003, -1], [1.003, 1.003]]
  ) {
    const back = through(int4cK, new Float32Array(64).fill(x!), 8, 8);
    assert.ok(Math.abs(back[0]! - wanted!) < 2e-5, `${back[0]}`);
    assert.ok(back.every((v) => v === back[0]));
  }
});
