import assert from "node:assert/strict";
import type { RoundedType } from "../core/model.ts";
import { dequantise } from "./dequantise.ts";
import { quantise } from "./quantise.ts";
import { hardValues } from "./testing/hard_values.ts";

/** SHA-256 (first half) of what `gguf.quants.quantize` makes of `hardValues()`. */
const GGML: Readonly<Record<RoundedType, string>> = {
  Q8_0: "555758b04dcef41e676d63979b99a3e5",
  Q4_0: "dcd84a2699fbfad6963d7fbdc5fc84f0",
};

for (const [type, digest] of Object.entries(GGML)) {
  Deno.test(`quantise() ${type} equals ggml bit for bit`, async () => {
    const bytes = quantise(type as RoundedType, hardValues());
    const hash = await crypto.subtle.digest(
      "SHA-256",
      bytes as Uint8Array<ArrayBuffer>,
    );
    assert.equal(new Uint8Array(hash).toHex().slice(0, 32), digest);
  });
}

Deno.test("quantise() is as near as its codes are apart", () => {
  for (const [type, codes] of [["Q8_0", 127], ["Q4_0", 8]] as const) {
    const x = hardValues(), back = new Float32Array(x.length);
    dequantise(type, quantise(type, x), back);
    for (let at = 0; at < x.length; at += 32) {
      const block = x.subarray(at, at + 32);
      const most = Math.max(...block.map(Math.abs));
      block.forEach((v, i) => {
        // The scale itself is rounded to f16, and 8 has no code of Q4_0.
        const bound = most / codes * (type === "Q4_0" ? 1.01 : 0.57) + 2 ** -17;
        assert.ok(Math.abs(v - back[at + i]!) <= bound, `${v} at ${at + i}`);
      });
    }
  }
});

Deno.test("quantise() refuses what has no scale, and parts of blocks", () => {
  const block = (v: number): Float32Array =>
    new Float32Array(64).map((_, i) => i === 40 ? v : 1);
  for (const v of [NaN, Infinity, -Infinity, 1e8]) {
    for (const type of ["Q8_0", "Q4_0"] as const) {
      assert.throws(
        () => quantise(type, block(v)),
        /values 32 to 63 need a scale of .*, at most 65504 is possible/,
      );
    }
  }
  assert.throws(() => quantise("Q8_0", new Float32Array(33)), RangeError);
});
