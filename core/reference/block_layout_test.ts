import assert from "node:assert/strict";
import { rawFloats } from "../defaults.ts";
import { blockIndex } from "./block_layout.ts";

Deno.test("blockIndex() gives every head vector a place of its own and fills the block", () => {
  for (
    const shape of [
      { tokens: 3, layers: 2, kvHeads: 2, headDim: 4 },
      { tokens: 1, layers: 1, kvHeads: 1, headDim: 1 },
    ]
  ) {
    const seen = new Set<number>();
    for (let layer = 0; layer < shape.layers; layer++) {
      for (const which of [0, 1] as const) {
        for (let head = 0; head < shape.kvHeads; head++) {
          for (let offset = 0; offset < shape.tokens; offset++) {
            seen.add(blockIndex(shape, layer, which, head, offset));
          }
        }
      }
    }
    const vectors = rawFloats(shape) / shape.headDim;
    assert.deepEqual(
      [...seen].sort((a, b) => a - b),
      Array.from({ length: vectors }, (_, i) => i * shape.headDim),
    );
  }
});

Deno.test("blockIndex() follows the drawing", () => {
  const shape = { tokens: 8, layers: 2, kvHeads: 3, headDim: 10 };
  assert.equal(blockIndex(shape, 0, 0, 1, 0), 10);
  assert.equal(blockIndex(shape, 0, 1, 0, 0), 30);
  assert.equal(blockIndex(shape, 0, 0, 0, 1), 60);
  assert.equal(blockIndex(shape, 1, 0, 0, 0), 480);
});
