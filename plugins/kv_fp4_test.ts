import assert from "node:assert/strict";
import { codecSuite } from "../core/testing/suites/codec_suite.ts";
import { provided } from "../core/testing/suites/suite.ts";
import { SHAPES } from "./kv/testing/part_suite.ts";
import { kvFp4 } from "./kv_fp4.ts";

codecSuite(
  "kvFp4()",
  () => provided(kvFp4(), "codec"),
  // A rotated row of 128 may be √128 times as large, and as much may come back.
  (_, peak) => 128 * peak / 6 * 17 / 16 * 1.001 + 1e-33,
  SHAPES,
);
codecSuite(
  "kvFp4({ rotate: false })",
  () => provided(kvFp4({ rotate: false }), "codec"),
  (_, peak) => peak / 6 * 17 / 16 * 1.001 + 1e-35,
  SHAPES,
);
codecSuite(
  'kvFp4({ format: "mxfp4", rotate: false })',
  () => provided(kvFp4({ format: "mxfp4", rotate: false }), "codec"),
  (_, peak) => peak / 4 * 1.001 + 2e-37,
  SHAPES,
);

Deno.test("kvFp4() takes 4.53 bits a value in blocks of 64, MXFP4 takes 4.25", async () => {
  for (const [format, bits] of [["nvfp4", 4.53125], ["mxfp4", 4.25]] as const) {
    const codec = await provided(kvFp4({ format }), "codec");
    const shape = { tokens: 64, layers: 1, kvHeads: 2, headDim: 64 };
    assert.equal(codec.bytes(shape) * 8 / (64 * 2 * 2 * 64), bits);
  }
});
