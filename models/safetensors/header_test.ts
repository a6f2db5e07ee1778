import assert from "node:assert/strict";
import { ModelError } from "../../core/errors.ts";
import { withHeader, writeSafetensors } from "../testing/safetensors_writer.ts";
import { headerBytes, parseHeader, type StoredTensor } from "./header.ts";

/** All that is read of a file. */
function read(file: Uint8Array): StoredTensor[] {
  const length = headerBytes("f", file.length, file);
  return parseHeader("f", file.length, file.subarray(8, 8 + length));
}

const SOUND = { dtype: "F32", shape: [2, 3], data_offsets: [0, 24] };

/** A file with one tensor, changed, and 24 bytes of data. */
function changed(change: Record<string, unknown>, data = 24): Uint8Array {
  const header = JSON.stringify({ a: { ...SOUND, ...change } });
  return withHeader(header, [new Uint8Array(data)]);
}

Deno.test("parseHeader() finds tensors in the order of the file", () => {
  const bytes = (count: number) => new Uint8Array(count);
  const file = writeSafetensors([
    { name: "b", dtype: "F16", shape: [3], bytes: bytes(6) },
    { name: "empty", dtype: "I64", shape: [0, 4], bytes: bytes(0) },
    { name: "a", dtype: "BF16", shape: [2, 1, 2], bytes: bytes(8) },
    { name: "one", dtype: "F64", shape: [], bytes: bytes(8) },
    { name: "__proto__", dtype: "U8", shape: [1], bytes: bytes(1) },
  ]);
  const tensors = read(file), start = file.length - 23;
  assert.deepEqual(
    tensors.map((t) => [t.name, t.dtype, t.offset - start, t.bytes]),
    [
      ["b", "F16", 0, 6],
      ["empty", "I64", 6, 0],
      ["a", "BF16", 6, 8],
      ["one", "F64", 14, 8],
      ["__proto__", "U8", 22, 1],
    ],
  );
});

const two = (a: number[], b: number[], data: number) =>
  withHeader(
    JSON.stringify({
      a: { dtype: "U8", shape: [a[1]! - a[0]!], data_offsets: a },
      b: { dtype: "U8", shape: [b[1]! - b[0]!], data_offsets: b },
    }),
    [new Uint8Array(data)],
  );

const length = (value: bigint, size = 64) => {
  const out = new Uint8Array(size);
  new DataView(out.buffer).setBigUint64(0, value, true);
  return out;
};

const REFUSED: Readonly<Record<string, readonly [Uint8Array, RegExp]>> = {
  "nothing": [new Uint8Array(0), /has 0 bytes, wanted a safetensors file/],
  "seven bytes": [new Uint8Array(7), /has 7 bytes/],
  "a header beyond the file": [
    length(57n),
    /header says it is 57 bytes long, the file has 64/,
  ],
  "a header of more than 100 MB": [
    length(100_000_001n),
    /is 100000001 bytes long, wanted at most 100000000/,
  ],
  "a header as long as can be": [
    length(2n ** 64n - 1n),
    /18446744073709551615 bytes long, wanted at most/,
  ],
  "an empty header": [length(0n, 8), /its header is not JSON/],
  "no JSON": [withHeader("{"), /its header is not JSON/],
  "an object in an object in an object …": [
    withHeader('{"a":'.repeat(65) + "1" + "}".repeat(65)),
    /its header is nested more than 64 deep/,
  ],
  "what a terminal acts on": [
    withHeader('{"a":\x00\x9b2J'),
    /its header is not JSON: [^\0\x9b]*\\u0000[^\0\x9b]*$/,
  ],
  "deep nesting": [withHeader("[".repeat(100_000)), /its header is not JSON/],
  "no UTF-8": [
    (() => {
      const file = withHeader('{"a":1}');
      file[10] = 0xff;
      return file;
    })(),
    /its header is not JSON: it is no UTF-8/,
  ],
  "a list": [withHeader("[]"), /its header is a list of 0, wanted an object/],
  "null": [withHeader("null"), /its header is null, wanted an object/],
  "a tensor twice": [
    withHeader(
      `{"a":${JSON.stringify(SOUND)},"b":{"x":[{}]}, "\\u0061" :{}}`,
      [new Uint8Array(24)],
    ),
    /has the key "a" twice/,
  ],
  "a dtype twice": [
    withHeader(
      '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"dtype":"F32"}}',
      [new Uint8Array(4)],
    ),
    /has the key "dtype" twice/,
  ],
  "a tensor that is a number": [
    withHeader('{"a":1}'),
    /tensor "a" is 1, wanted an object/,
  ],
  "a key too many": [
    changed({ stride: 1 }),
    /tensor "a" has the key "stride"/,
  ],
  "an unknown dtype": [
    changed({ dtype: "Q4_0" }),
    /has the dtype "Q4_0", wanted one of BOOL,/,
  ],
  "a dtype that is inherited": [
    changed({ dtype: "constructor" }),
    /has the dtype "constructor"/,
  ],
  "no dtype": [changed({ dtype: undefined }), /has the dtype undefined/],
  "a negative length": [
    changed({ shape: [-2, -3] }),
    /has the shape a list of 2, wanted at most 8 lengths/,
  ],
  "a length that is not whole": [changed({ shape: [1.5, 4] }), /has the shape/],
  "a length beyond all counts": [
    changed({ shape: [2 ** 60, 0] }),
    /has the shape/,
  ],
  "lengths whose product overflows": [
    changed({ shape: [2 ** 40, 2 ** 40] }),
    /has 24 bytes, wanted 4\.\d+e\+24 for F32/,
  ],
  "too many dimensions": [
    changed({ shape: [1, 1, 1, 1, 1, 1, 1, 2, 3] }),
    /has the shape a list of 9/,
  ],
  "a shape that is text": [changed({ shape: "2,3" }), /has the shape "2,3"/],
  "bytes for another shape": [
    changed({ shape: [2, 4] }),
    /has 24 bytes, wanted 32 for F32 of the shape 2 × 4/,
  ],
  "offsets the wrong way round": [
    changed({ data_offsets: [24, 0] }),
    /has the data_offsets \[24,0\], wanted \[from, to\]/,
  ],
  "one offset": [changed({ data_offsets: [0] }), /data_offsets \[0\]/],
  "negative offsets": [
    changed({ data_offsets: [-24, 0] }),
    /data_offsets \[-24,0\]/,
  ],
  "data beyond the file": [
    changed({}, 23),
    /tensors end at byte \d+, the file at \d+: it is cut short/,
  ],
  "data behind the tensors": [
    changed({}, 25),
    /tensors end at byte \d+, the file at \d+: it is broken/,
  ],
  "a hole at the start": [two([1, 2], [2, 4], 4), /tensor "a" starts at byte/],
  "a hole": [two([0, 2], [3, 4], 4), /tensor "b" starts at byte \d+, wanted/],
  "an overlap": [
    two([0, 3], [2, 4], 4),
    /tensor "b" starts at byte \d+, wanted \d+, where tensor "a" ends/,
  ],
  "two tensors in one place": [two([0, 4], [0, 4], 4), /tensor "b" starts/],
};

for (const [name, [file, says]] of Object.entries(REFUSED)) {
  Deno.test(`parseHeader() refuses ${name}`, () => {
    assert.throws(() => read(file), (error: Error) => {
      assert.ok(error instanceof ModelError, error.stack);
      assert.equal(error.file, "f");
      assert.match(error.message, says);
      return true;
    });
  });
}

Deno.test("parseHeader() survives whatever happens to a header's bytes", () => {
  const sound = two([0, 2], [2, 4], 4);
  // A fixed sequence, so that what fails once fails again.
  let seed = 1;
  const random = (below: number) => {
    seed = Math.imul(seed, 1103515245) + 12345 | 0;
    return (seed >>> 8) % below;
  };
  let refused = 0;
  for (let round = 0; round < 20_000; round++) {
    const file = sound.slice(0, sound.length - random(3));
    for (let i = random(4); i >= 0; i--) {
      file[random(file.length)] = random(256);
    }
    try {
      for (const { offset, bytes } of read(file)) {
        assert.ok(offset >= 8 && offset + bytes <= file.length);
      }
    } catch (error) {
      assert.ok(error instanceof ModelError, (error as Error).stack);
      refused++;
    }
  }
  assert.ok(refused > 15_000);
});
