import assert from "node:assert/strict";
import { ModelError } from "../core/errors.ts";
import { modelSpec } from "./arch/mod.ts";
import { openGguf } from "./gguf.ts";
import { VALUE } from "./gguf/value_types.ts";
import { fixtureTest, modelTest, readJson, withFile } from "./testing/files.ts";
import { writeGguf, type WrittenFile } from "./testing/gguf_writer.ts";
import { tinyLlama } from "./testing/tiny_llama.ts";
import { createTokenizer } from "./tokenizer.ts";

/** What loading a model does with its file, weights aside. */
async function load(path: string): Promise<void> {
  const file = await openGguf(path);
  modelSpec(file);
  createTokenizer(file);
}

interface Malformed {
  readonly file: string;
  readonly expect: "load" | "reject" | "reject-or-ignore";
}

/** What the message must say, wanted and actual values among it. */
const SAYS: Readonly<Record<string, RegExp>> = {
  "empty.gguf": /empty/,
  "directory.gguf": /directory/,
  "bad-magic.gguf": /"GGML", wanted "GGUF"/,
  "version-99.gguf": /is 99, wanted 2 or 3/,
  "truncated-header.gguf": /2160 bytes/,
  "truncated-tensor-data.gguf": /blk\.0\.attn_q\.weight.* has 14672/,
  "n-kv-huge.gguf": /metadata entries is 46116860184273.*20672 bytes/,
  "string-length-huge.gguf": /claims 92233720368547.* bytes/,
  "dims-overflow.gguf": /blk\.0\.ffn_up\.weight.* is 8589934592, wanted/,
  "offset-beyond-file.gguf": /blk\.0\.ffn_down\.weight.* the file has 20672/,
  "offset-unaligned.gguf": /offset 33, wanted a multiple .* 32/,
  "duplicate-tensor.gguf": /"blk\.0\.ffn_up\.weight" occurs twice/,
  "missing-tensor.gguf": /"blk\.0\.attn_q\.weight" is missing, wanted 32 × 32/,
  "missing-key.gguf": /"llama\.embedding_length" is missing/,
  "unknown-architecture.gguf": /"frobnicate".* wanted one of llama/,
  "unknown-tensor-type.gguf": /type 9999.* wanted one of F32/,
  "wrong-shape.gguf": /is 32 × 8, wanted 32 × 16/,
  "zero-layers.gguf": /block_count" is 0, wanted .* at least 1/,
  "heads-not-divisible.gguf": /head_count" is 3.*embedding_length" 32/,
  "vocab-mismatch.gguf": /200 tokens.* 258 rows/,
};

fixtureTest(
  "openGguf() names what is wrong with each malformed file, in under a second",
  "tiny/dev/malformed/index.json",
  async (index, t) => {
    const { files } = await readJson<{ files: Malformed[] }>(index);
    assert.ok(files.length >= 20);
    for (const { file, expect } of files) {
      await t.step(file, async () => {
        const path = new URL(file, index).pathname;
        const start = performance.now();
        const error = await load(path).then(() => undefined, (e) => e);
        assert.ok(performance.now() - start < 1000);
        if (expect === "load") {
          assert.equal(error, undefined);
          return;
        }
        assert.ok(error instanceof ModelError, String(error));
        assert.equal(error.file, path);
        assert.match(error.message, SAYS[file] ?? /./);
        assert.ok(error.message.length < 600);
      });
    }
  },
);

Deno.test("openGguf() reads metadata, vocabulary and places", async () => {
  const written = tinyLlama({
    "big": ["big", VALUE.U64, 2n ** 63n],
    "small": ["small", VALUE.I64, -5n],
    "flags": ["flags", VALUE.ARRAY, VALUE.BOOL, [true, false]],
    "version": ["version", VALUE.STRING, "not the file's"],
    "__proto__": ["__proto__", VALUE.STRING, "harmless"],
  });
  await withFile(written, async (path) => {
    const file = await openGguf(path);
    assert.equal(file.version, 3);
    assert.equal(file.metadata["big"], 2n ** 63n);
    assert.equal(file.metadata["small"], -5);
    assert.deepEqual(file.metadata["flags"], Uint8Array.of(1, 0));
    assert.equal(file.metadata["toString"], undefined);
    assert.deepEqual(file.vocabulary?.tokens.slice(0, 3), ["<s>", "</s>", "a"]);
    assert.deepEqual(file.vocabulary?.merges, ["a b", "Ġ ab"]);
    assert.equal(file.vocabulary?.types?.[0], 3);
    const tensor = file.tensors.get("blk.0.attn_k.weight")!;
    assert.deepEqual(
      [tensor.type, tensor.inputs, tensor.outputs, tensor.bytes, tensor.stack],
      ["F32", 32, 16, 2048, 1],
    );
    assert.equal(tensor.offset % 32, 0);
  });
});

Deno.test("openGguf() reads version 2 and large power-of-two alignments", async () => {
  const written = {
    ...tinyLlama({ a: ["general.alignment", VALUE.U32, 256] }),
    version: 2,
    alignment: 256,
  };
  await withFile(written, async (path) => {
    const file = await openGguf(path);
    assert.equal(file.version, 2);
    for (const { offset } of file.tensors.values()) {
      assert.equal(offset % 256, 0);
    }
    modelSpec(file);
  });
});

Deno.test("openGguf() fingerprints differ with one weight, not with the name", async () => {
  const id = (file: WrittenFile, name?: string) =>
    withFile(file, async (path) => (await openGguf(path)).fingerprint, name);
  const one = tinyLlama();
  const other = tinyLlama();
  other.tensors![5]!.bytes[7]! ^= 1;
  assert.equal(await id(one), await id(one, "other.gguf"));
  assert.notEqual(await id(one), await id(other));
  assert.match(await id(one), /^[0-9a-f]{64}$/);
});

Deno.test("openGguf() fingerprints differ where one small tensor among large ones does", async () => {
  // Tensors of 20 KiB, of which pieces 40 KiB apart would see every other one.
  const model = (trained: number): WrittenFile => ({
    entries: [["general.architecture", VALUE.STRING, "none"]],
    tensors: Array.from({ length: 130 }, (_, i) => ({
      name: `t${i}`,
      dims: [5120],
      type: 0,
      bytes: new Uint8Array(20480).fill(i === trained ? 1 : 2),
    })),
  });
  const id = (trained: number) =>
    withFile(
      model(trained),
      async (path) => (await openGguf(path)).fingerprint,
    );
  const all = new Set<string>();
  for (const trained of [-1, 20, 21, 22, 129]) all.add(await id(trained));
  assert.equal(all.size, 5);
});

const bytes = new Uint8Array(128);
const tensor = { name: "t", dims: [32], type: 0, bytes };

const HOSTILE: readonly [string, WrittenFile, RegExp][] = [
  ["big-endian", { version: 3 << 24 }, /big-endian/],
  ["version 1", { version: 1 }, /version is 1, wanted 2 or 3/],
  ["tensor count of -1", { tensorCount: -1n }, /number of tensors is 18446/],
  ["tensor count too large", { tensorCount: 2n ** 40n }, /number of tensors/],
  ["an unknown value kind", {
    entries: [["k", 13, 0]],
  }, /"k" has value kind 13/],
  ["a nested array", {
    entries: [["k", VALUE.ARRAY, VALUE.ARRAY, []]],
  }, /array "k" has values of kind 9/],
  ["an empty key", { entries: [["", VALUE.U8, 1]] }, /key 0 of 1 is empty/],
  ["a key twice", {
    entries: [["k", VALUE.U8, 1], ["k", VALUE.U8, 2]],
  }, /"k" occurs twice/],
  ["a key with control characters", {
    entries: [["k\x1b[2J\n", 77, 1]],
  }, /"k\\u001b\[2J\\n"/],
  ...[0, 3, 2 ** 31].map((n): [string, WrittenFile, RegExp] => [
    `alignment ${n}`,
    { entries: [["general.alignment", VALUE.U32, n]], tensors: [tensor] },
    /alignment" is \d+, wanted a power of two/,
  ]),
  ["an alignment that is NaN", {
    entries: [["general.alignment", VALUE.F32, NaN]],
  }, /alignment" has value kind 6, wanted u32/],
  ["five dimensions", {
    tensors: [{ ...tensor, dims: [2, 2, 2, 2, 2] }],
  }, /has 5 dimensions, wanted at most 4/],
  ["a dimension of zero", {
    tensors: [{ ...tensor, dims: [32, 0] }],
  }, /dimension 1 of tensor "t" is 0/],
  ["a product beyond 2^64", {
    tensors: [{ ...tensor, dims: [2 ** 31, 2 ** 31, 2 ** 31] }],
  }, /tensor "t" needs bytes/],
  ["part of a block in a row", {
    tensors: [{ ...tensor, dims: [16, 2], type: 8 }],
  }, /rows of 16 values, wanted a multiple of Q8_0's 32/],
  ["a type that is not read", {
    tensors: [{ ...tensor, type: 28 }],
  }, /type F64 \(28\).*wanted one of F32.*IQ4_NL/],
  ["an offset of 2^63", {
    tensors: [{ ...tensor, offset: 2n ** 63n }],
  }, /needs bytes/],
  ["overlapping tensors", {
    tensors: [tensor, { ...tensor, name: "u", offset: 64 }],
  }, /"t" and "u" overlap/],
  ["an array longer than the file", {
    entries: [["k", VALUE.ARRAY, 0 as never], ["x", VALUE.U64, 2n ** 40n]],
  }, /array "k"/],
  ["scores of another length", {
    ...tinyLlama({ s: ["tokenizer.ggml.scores", VALUE.ARRAY, VALUE.F32, [1]] }),
  }, /1 scores for 8 tokens/],
  ["tokens that are numbers", {
    ...tinyLlama({
      "tokenizer.ggml.tokens": [
        "tokenizer.ggml.tokens",
        VALUE.ARRAY,
        VALUE.I32,
        [1],
      ],
    }),
  }, /tokens" is Int32Array, wanted Array/],
];

for (const [name, file, says] of HOSTILE) {
  Deno.test(`openGguf() refuses ${name}`, async () => {
    await withFile(file, async (path) => {
      const start = performance.now();
      await assert.rejects(openGguf(path), (error: Error) => {
        assert.ok(error instanceof ModelError, error.stack);
        assert.match(error.message, says);
        return true;
      });
      assert.ok(performance.now() - start < 1000);
    });
  });
}

Deno.test("openGguf() refuses every truncation of a header", async () => {
  const whole = writeGguf(tinyLlama());
  await withFile(whole, async (path) => {
    for (let length = 0; length < 1600; length += 13) {
      await Deno.writeFile(path, whole.subarray(0, length));
      await assert.rejects(openGguf(path), ModelError);
    }
  });
});

Deno.test("openGguf() names a path that is not there", async () => {
  await assert.rejects(
    openGguf("/no/such/model.gguf"),
    /Cannot use model "\/no\/such\/model\.gguf": there is no such file/,
  );
});

Deno.test("openGguf() stops on an aborted signal", async () => {
  await withFile(tinyLlama(), async (path) => {
    await assert.rejects(
      openGguf(path, { signal: AbortSignal.abort(new Error("enough")) }),
      /enough/,
    );
  });
});

fixtureTest(
  "openGguf() meets 3000 mutations with success or ModelError, each quick",
  "tiny/dev/malformed/control.gguf",
  async (url) => {
    const control = await Deno.readFile(url);
    let state = 12345;
    const random = (below: number): number => {
      state = Math.imul(state, 1664525) + 1013904223 >>> 0;
      return Math.floor(state / 2 ** 32 * below);
    };
    let worst = 0, loaded = 0;
    await withFile(control, async (path) => {
      for (let round = 0; round < 3000; round++) {
        const bent = control.slice();
        for (let n = 1 + random(3); n > 0; n--) {
          // Most of the header lies here; a few go into the data.
          const at = random(random(20) ? 6100 : bent.length);
          const kind = random(4);
          if (kind === 0) bent[at] = random(256);
          if (kind === 1) bent[at]! ^= 1 << random(8);
          if (kind === 2) bent.fill(255, at, at + 8);
          if (kind === 3) bent.copyWithin(at, random(6100), random(6100));
        }
        await Deno.writeFile(
          path,
          random(10) ? bent : bent.subarray(0, random(bent.length)),
        );
        const start = performance.now();
        try {
          await load(path);
          loaded++;
        } catch (error) {
          assert.ok(
            error instanceof ModelError,
            `round ${round}: ${(error as Error).stack}`,
          );
        }
        worst = Math.max(worst, performance.now() - start);
      }
    });
    assert.ok(worst < 1000, `slowest load took ${worst} ms`);
    assert.ok(loaded > 0 && loaded < 3000);
  },
);

modelTest("openGguf() opens SmolLM2", "smollm2", async (path) => {
  const file = await openGguf(path);
  assert.equal(file.tensors.size, 272);
  assert.equal(file.vocabulary?.tokens.length, 49152);
  assert.equal(file.vocabulary?.merges?.length, 48900);
});

modelTest(
  "openGguf() opens Gemma 3 with 262144 tokens in under a second",
  "gemma3",
  async (path) => {
    const start = performance.now();
    const file = await openGguf(path);
    assert.ok(performance.now() - start < 1000);
    assert.equal(file.tensors.size, 236);
    assert.equal(file.vocabulary?.tokens.length, 262144);
    assert.equal(file.vocabulary?.tokens[236743], "▁");
  },
);
