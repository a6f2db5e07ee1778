import assert from "node:assert/strict";
import { codecSuite } from "../core/testing/suites/codec_suite.ts";
import { provided } from "../core/testing/suites/suite.ts";
import { SHAPES } from "./kv/testing/part_suite.ts";
import { kvInt8 } from "./kv_int8.ts";

// Half a step; 128 times as much where a rotated row has all in one value.
codecSuite(
  "kvInt8()",
  () => provided(kvInt8(), "codec"),
  (_, peak) => 128 * (peak / 254 * 1.002 + 2e-36),
  SHAPES,
);
codecSuite(
  "kvInt8({ rotate: false })",
  () => provided(kvInt8({ rotate: false }), "codec"),
  (_, peak) => peak / 254 * 1.002 + 2e-36,
  SHAPES,
);

Deno.test("kvInt8() takes 8.25 bits a value at head size 64, whatever the block", async () => {
  for (const rotate of [true, false]) {
    const codec = await provided(kvInt8({ rotate }), "codec");
    assert.equal(codec.id, rotate ? "int8h/int8" : "int8");
    assert.equal(codec.blockTokens, 64);
    for (const tokens of [8, 16, 64]) {
      const shape = { tokens, layers: 3, kvHeads: 2, headDim: 64 };
      const values = 3 * tokens * 2 * 2 * 64;
      assert.equal(codec.bytes(shape) * 8 / values, 8.25);
    }
  }
});
