import assert from "node:assert/strict";
import { rawFloats } from "../../core/defaults.ts";
import { blockIndex } from "../../core/reference/block_layout.ts";
import { codecSuite } from "../../core/testing/suites/codec_suite.ts";
import { assertEqual } from "../../core/testing/suites/suite.ts";
import type { BlockShape } from "../../core/types.ts";
import { codecId, kvCodec } from "./codec.ts";
import { f16K, f16V } from "./f16.ts";
import { nvfp4K, nvfp4V } from "./fp4.ts";
import { int4cK } from "./int4_channel.ts";
import { int4V } from "./int4_token.ts";
import { int8hK, int8K, int8V } from "./int8.ts";
import { normal, sealed, SHAPES, through } from "./testing/part_suite.ts";

const SHAPE: BlockShape = {
  tokens: 16,
  layers: 2,
  kvHeads: 3,
  headDim: 32,
  layerIds: [4, 1],
};

/** One head of a block. */
function headOf(
  raw: Float32Array,
  layer: number,
  which: 0 | 1,
  head: number,
): Float32Array {
  return Float32Array.from({ length: 16 * 32 }, (_, i) => {
    const from = blockIndex(SHAPE, layer, which, head, Math.floor(i / 32));
    return raw[from + i % 32]!;
  });
}

codecSuite(
  "kvCodec() of two formats",
  () => kvCodec(int4cK, int4V),
  (_, peak) => peak / 15 * 1.07 + peak * 2 ** -8 + 2e-37,
  SHAPES,
);

codecSuite(
  "kvCodec() that is centred by nothing",
  () => kvCodec(int8K, int8V, { centre: () => undefined }),
  (_, peak) => peak / 254 * 1.002 + 2e-36,
  SHAPES.map((s) => ({ ...s, layerIds: [9, 8, 7].slice(0, s.layers) })),
);

Deno.test("codecId() names both formats, or the one", () => {
  const ids = [
    [codecId(int8hK, int8V), "int8h/int8"],
    [codecId(int4cK, int4V), "int4c/int4"],
    [codecId(int8K, int8V), "int8"],
    [codecId(nvfp4K, nvfp4V), "nvfp4"],
    [codecId(f16K, int8V), "f16/int8"],
  ];
  for (const [actual, wanted] of ids) assert.equal(actual, wanted);
  assert.equal(kvCodec(int8hK, int4V).id, "int8h/int4");
});

Deno.test("kvCodec() lays pieces out by layer, head, K and V", () => {
  const codec = kvCodec(int8hK, int4V), raw = normal(rawFloats(SHAPE));
  const bytes = new Uint8Array(codec.bytes(SHAPE));
  codec.seal(SHAPE, raw, bytes);
  const back = new Float32Array(raw.length);
  codec.open(SHAPE, bytes, back);
  let from = 0;
  for (let layer = 0; layer < 2; layer++) {
    for (let head = 0; head < 3; head++) {
      for (const [which, part] of [[0, int8hK], [1, int4V]] as const) {
        const x = headOf(raw, layer, which, head);
        const piece = sealed(part, x, 16, 32);
        assertEqual(bytes.subarray(from, from += piece.length), piece);
        assertEqual(
          headOf(back, layer, which, head),
          through(part, x, 16, 32),
        );
      }
    }
  }
  assert.equal(from, bytes.length);
});

Deno.test("kvCodec() codes K around its centre, by layer of the model, and V as it is", () => {
  const vectors = new Map([1, 4].map((id) => [id, normal(96, id)]));
  const asked: number[] = [];
  const centre = (id: number) => {
    asked.push(id);
    return vectors.get(id);
  };
  const codec = kvCodec(int8K, int8V, { centre });
  const plain = kvCodec(int8K, int8V);
  const raw = normal(rawFloats(SHAPE), 9), moved = raw.slice();
  for (const [layer, id] of SHAPE.layerIds!.entries()) {
    for (let p = 0; p < 16; p++) {
      const from = blockIndex(SHAPE, layer, 0, 0, p);
      for (let i = 0; i < 96; i++) moved[from + i]! -= vectors.get(id)![i]!;
    }
  }
  const bytes = new Uint8Array(codec.bytes(SHAPE)), wanted = bytes.slice();
  codec.seal(SHAPE, raw, bytes);
  assert.deepEqual(asked, [4, 1]);
  plain.seal(SHAPE, moved, wanted);
  assertEqual(bytes, wanted);
  // What is opened is K again.
  const back = new Float32Array(raw.length);
  codec.open(SHAPE, bytes, back);
  raw.forEach((x, i) => assert.ok(Math.abs(x - back[i]!) < 0.05, `${i}`));
  assert.equal(codec.centre, centre, "kernels need to know");
  assert.equal("centre" in plain, false);
});

Deno.test("kvCodec() makes K finite before its centre is taken from it", () => {
  const shape = { ...SHAPE, layers: 1, layerIds: [0], kvHeads: 1 };
  const codec = kvCodec(f16K, f16V, {
    centre: () => new Float32Array(32).fill(4),
  });
  const raw = new Float32Array(rawFloats(shape)).fill(1);
  raw[0] = NaN;
  raw[1] = Infinity;
  raw[2] = -1e30;
  const bytes = new Uint8Array(codec.bytes(shape));
  codec.seal(shape, raw, bytes);
  codec.open(shape, bytes, raw);
  assert.deepEqual([...raw.subarray(0, 4)], [0, 65508, -65500, 1]);
});

Deno.test("kvCodec() of a centre refuses blocks that do not say which layers they hold", () => {
  const codec = kvCodec(int8K, int8V, { centre: () => undefined });
  for (const layerIds of [undefined, [0]]) {
    const { layerIds: _, ...rest } = SHAPE;
    const shape = { ...rest, ...(layerIds ? { layerIds } : {}) };
    const raw = new Float32Array(rawFloats(shape));
    const bytes = new Uint8Array(codec.bytes(shape));
    assert.throws(() => codec.seal(shape, raw, bytes), /give "layerIds"/);
    assert.throws(() => codec.open(shape, bytes, raw), TypeError);
  }
});

Deno.test("kvCodec() supports() says which side takes no such blocks", () => {
  const layer = { layer: 2, qHeads: 4, kvHeads: 2, headDim: 48 };
  const codec = kvCodec(int8K, nvfp4V);
  assert.deepEqual(codec.supports!({ ...layer, headDim: 64 }, 16), {
    ok: true,
    cost: 1,
  });
  assert.deepEqual(codec.supports!(layer, 16), {
    ok: false,
    why:
      'V as "nvfp4" takes heads of a multiple of 32 values, not 48: choose another format for these layers',
  });
  const no = codec.supports!(layer, 12);
  assert.ok(!no.ok && no.why.startsWith('K as "int8" takes blocks of'));
  assert.throws(
    () => codec.bytes({ ...SHAPE, headDim: 48 }),
    /Cannot seal blocks: V as "nvfp4" takes heads/,
  );
  const centred = kvCodec(int8K, int8V, {
    centre: (id) => id === 2 ? new Float32Array(95) : undefined,
  });
  assert.deepEqual(centred.supports!(layer, 16), {
    ok: false,
    why:
      '"int8" is centred by 95 values in layer 2, which has 96 in its K heads: calibrate this model',
  });
  assert.equal(centred.supports!({ ...layer, layer: 3 }, 16).ok, true);
});

Deno.test("kvCodec() refuses values and bytes of other lengths", () => {
  const codec = kvCodec(int8K, int8V);
  const raw = new Float32Array(rawFloats(SHAPE));
  const bytes = new Uint8Array(codec.bytes(SHAPE));
  assert.throws(
    () => codec.seal(SHAPE, raw.subarray(1), bytes),
    /Cannot seal a block of "int8" with 6143 values and 6528 bytes: its shape has 6144 and 6528/,
  );
  assert.throws(
    () => codec.open(SHAPE, bytes.subarray(1), raw),
    /Cannot open a block of "int8" with 6144 values and 6527 bytes/,
  );
});

Deno.test("kvCodec() asks for the larger block of its formats, and keeps what it is told", () => {
  assert.equal(kvCodec(int4cK, int8V).blockTokens, 64);
  assert.equal(kvCodec(f16K, f16V).blockTokens, undefined);
  assert.equal(kvCodec(int8K, int8V).keepFirst, 0);
  assert.equal(kvCodec(int8K, int8V, { keepFirst: 2 }).keepFirst, 2);
  assert.equal(kvCodec(int8K, int8V).lossy, true);
});
