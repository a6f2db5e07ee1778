import assert from "node:assert/strict";
import { codecSuite } from "../core/testing/suites/codec_suite.ts";
import { provided } from "../core/testing/suites/suite.ts";
import { SHAPES } from "./kv/testing/part_suite.ts";
import { kvInt4 } from "./kv_int4.ts";

codecSuite(
  "kvInt4()",
  () => provided(kvInt4(), "codec"),
  // A rotated row of 128 may be √128 times as large, and as much may come back.
  (_, peak) => 128 * peak * (1.07 / 15 + 2 ** -8) + 1e-34,
  SHAPES,
);

codecSuite(
  "kvInt4({ rotate: false })",
  () => provided(kvInt4({ rotate: false }), "codec"),
  (_, peak) => peak / 15 * 1.07 + peak * 2 ** -8 + 2e-37,
  SHAPES,
);

Deno.test("kvInt4() takes 4.5 bits a value at head size 64 with the blocks it asks for", async () => {
  const codec = await provided(kvInt4(), "codec");
  const tokens = codec.blockTokens!;
  const shape = { tokens, layers: 3, kvHeads: 2, headDim: 64 };
  assert.equal(tokens, 64);
  assert.equal(codec.bytes(shape) * 8 / (3 * tokens * 2 * 2 * 64), 4.5);
});
