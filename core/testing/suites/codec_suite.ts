/**
 * What every codec keeps.
 *
 * @module
 */
import assert from "node:assert/strict";
import { rawFloats } from "../../defaults.ts";
import type { Codec } from "../../slots.ts";
import type { BlockShape } from "../../types.ts";
import { dice } from "../cache_driver.ts";
import { assertEqual, type Law, type Make, register } from "./suite.ts";

/**
 * Most that a value may come out off; `peak` is the largest magnitude in its
 * block. What a codec states is told to the suite in this form.
 */
export type CodecBound = (value: number, peak: number) => number;

const SHAPES: readonly BlockShape[] = [
  { tokens: 1, layers: 1, kvHeads: 1, headDim: 32 },
  { tokens: 16, layers: 1, kvHeads: 2, headDim: 64 },
  { tokens: 4, layers: 3, kvHeads: 1, headDim: 128 },
  { tokens: 32, layers: 2, kvHeads: 3, headDim: 64 },
];

/** Kinds of content, each as a value by its place. */
const KINDS: Readonly<
  Record<string, (i: number, roll: () => number) => number>
> = {
  "like keys": (i, roll) => roll() * (1 + (i % 64 === 5 ? 20 : 0)),
  "ones": () => 1,
  "one negative value": (i) => i === 3 ? -2.5 : 0,
  "one value far out": (i, roll) => i === 7 ? 5000 : roll(),
  "tiny": (_, roll) => roll() * 1e-6,
  "large": (_, roll) => roll() * 3e4,
  "alternating": (i) => i % 2 === 0 ? 0.75 : -0.75,
};

/** Bytes around what is sealed, which nobody may touch. */
const EDGE = 64;

interface Sealed {
  readonly raw: Float32Array;
  readonly bytes: Uint8Array;
}

function* samples(shape: BlockShape): Iterable<[string, Float32Array]> {
  for (const [kind, value] of Object.entries(KINDS)) {
    const roll = dice(shape.tokens * 31 + kind.length);
    // A sum of three is near enough to a normal distribution.
    const unit = () => (roll(1000) + roll(1000) + roll(1000)) / 750 - 2;
    yield [
      `${kind}, ${JSON.stringify(shape)}`,
      Float32Array.from({ length: rawFloats(shape) }, (_, i) => value(i, unit)),
    ];
  }
}

function seal(codec: Codec, shape: BlockShape, raw: Float32Array): Sealed {
  const length = codec.bytes(shape);
  const around = new Uint8Array(EDGE + length + EDGE).fill(0x5A);
  const bytes = around.subarray(EDGE, EDGE + length);
  const given = raw.slice();
  codec.seal(shape, given, bytes);
  assertEqual(given, raw, "sealing changed what it was given");
  for (const edge of [around.subarray(0, EDGE), around.subarray(-EDGE)]) {
    assert.ok(edge.every((b) => b === 0x5A), "wrote outside of its bytes");
  }
  return { raw, bytes };
}

function open(
  codec: Codec,
  shape: BlockShape,
  bytes: Uint8Array,
): Float32Array {
  const length = rawFloats(shape);
  const around = new Float32Array(length + 32).fill(-99);
  const given = bytes.slice();
  codec.open(shape, given, around.subarray(16, 16 + length));
  assertEqual(given, bytes, "opening changed what it was given");
  assert.ok(
    around.every((x, i) => x === -99 || (i >= 16 && i < 16 + length)),
    "wrote outside of its values",
  );
  return around.slice(16, 16 + length);
}

/** The laws of the `codec` slot, for a stated bound and blocks that it takes. */
export function codecLaws(
  bound: CodecBound,
  shapes: readonly BlockShape[] = SHAPES,
): readonly Law<Codec>[] {
  return [
    {
      says: "has a name, and whole bytes for every shape",
      check: async (make) => {
        const codec = await make();
        assert.ok(codec.id.length > 0);
        for (const shape of shapes) {
          const bytes = codec.bytes(shape);
          assert.ok(Number.isInteger(bytes) && bytes > 0, `${bytes} bytes`);
          assert.equal(codec.bytes({ ...shape }), bytes);
        }
      },
    },
    {
      says: "gives back what was sealed within its bound",
      check: async (make) => {
        const codec = await make();
        for (const shape of shapes) {
          for (const [name, raw] of samples(shape)) {
            const out = open(codec, shape, seal(codec, shape, raw).bytes);
            const peak = raw.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
            raw.forEach((x, i) => {
              const off = Math.abs(out[i]! - x);
              assert.ok(
                off <= (codec.lossy ? bound(x, peak) : 0),
                `${name}: value ${i} is ${out[i]}, was ${x}`,
              );
            });
          }
        }
      },
    },
    {
      says: "gives zeros for rows of zeros",
      check: async (make) => {
        const codec = await make();
        for (const shape of shapes) {
          const zeros = new Float32Array(rawFloats(shape));
          const out = open(codec, shape, seal(codec, shape, zeros).bytes);
          assert.ok(out.every((x) => x === 0));
          // The first row only: the others stay within the bound, this one is 0.
          const mixed = zeros.map((_, i) => i < shape.headDim ? 0 : 3);
          const some = open(codec, shape, seal(codec, shape, mixed).bytes);
          assert.ok(some.subarray(0, shape.headDim).every((x) => x === 0));
        }
      },
    },
    {
      says: "seals to equal bytes every time, none of them left out",
      check: async (make) => {
        const codec = await make(), other = await make();
        for (const shape of shapes) {
          for (const [name, raw] of samples(shape)) {
            const first = seal(codec, shape, raw).bytes;
            seal(codec, shape, raw.map((x) => -x));
            assertEqual(seal(codec, shape, raw).bytes, first, name);
            assertEqual(seal(other, shape, raw).bytes, first, name);
            const onZeros = new Uint8Array(first.length);
            codec.seal(shape, raw, onZeros);
            assertEqual(onZeros, first, `${name}: keeps what was there`);
          }
        }
      },
    },
    {
      says: "keeps blocks apart that it works on in turn",
      check: async (make) => {
        const codec = await make();
        const shape = shapes.at(1) ?? shapes[0]!;
        const [[, a], [, b]] = [...samples(shape)] as [
          [string, Float32Array],
          [string, Float32Array],
        ];
        const first = seal(codec, shape, a), second = seal(codec, shape, b);
        const alone = open(await make(), shape, first.bytes);
        open(codec, shape, second.bytes);
        assertEqual(open(codec, shape, first.bytes), alone);
      },
    },
  ];
}

/**
 * Registers the laws of a codec as tests. A lossless one has a bound of 0; `shapes`
 * are blocks that it takes, if it does not take any.
 */
export function codecSuite(
  name: string,
  make: Make<Codec>,
  bound: CodecBound = () => 0,
  shapes: readonly BlockShape[] = SHAPES,
): void {
  register(name, codecLaws(bound, shapes), make);
}
