import assert from "node:assert/strict";
import { codecSuite } from "../core/testing/suites/codec_suite.ts";
import { provided } from "../core/testing/suites/suite.ts";
import { f16Bound, SHAPES } from "./kv/testing/part_suite.ts";
import { kvF16 } from "./kv_f16.ts";

codecSuite("kvF16()", () => provided(kvF16(), "codec"), f16Bound, SHAPES);

Deno.test("kvF16() takes half of what f32 takes", async () => {
  const codec = await provided(kvF16(), "codec");
  const shape = { tokens: 16, layers: 2, kvHeads: 1, headDim: 8 };
  assert.equal(codec.bytes(shape), 2 * 16 * 2 * 8 * 2);
});
