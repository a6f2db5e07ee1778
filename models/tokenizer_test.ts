import assert from "node:assert/strict";
import { ModelError } from "../core/errors.ts";
import { openGguf } from "./gguf.ts";
import { VALUE } from "./gguf/value_types.ts";
import {
  cachedModel,
  fixtureTest,
  MODELS,
  modelTest,
  readJson,
  withFile,
} from "./testing/files.ts";
import type { Entry } from "./testing/gguf_writer.ts";
import { type Changes, tinyLlama } from "./testing/tiny_llama.ts";
import { createTokenizer, type Tokenizer } from "./tokenizer.ts";

function tokenizerOf(changes: Changes = {}): Promise<Tokenizer> {
  return withFile(
    tinyLlama(changes),
    async (path) => createTokenizer(await openGguf(path)),
  );
}

/** Entries of `tokenizer.ggml.*` by their last word. */
function changes(
  values: Readonly<Record<string, readonly unknown[] | undefined>>,
): Changes {
  return Object.fromEntries(
    Object.entries(values).map(([name, rest]) => {
      const key = `tokenizer.ggml.${name}`;
      return [key, rest && [key, ...rest] as unknown as Entry];
    }),
  );
}

/** A SentencePiece vocabulary; scores default to minus the id. */
function sentencePiece(
  tokens: readonly (readonly [text: string, type: number, score?: number])[],
  more: Readonly<Record<string, readonly unknown[]>> = {},
): Changes {
  return changes({
    model: [VALUE.STRING, "llama"],
    tokens: [VALUE.ARRAY, VALUE.STRING, tokens.map(([text]) => text)],
    token_type: [VALUE.ARRAY, VALUE.I32, tokens.map(([, type]) => type)],
    scores: [VALUE.ARRAY, VALUE.F32, tokens.map(([, , s], i) => s ?? -i)],
    merges: undefined,
    ...more,
  });
}

interface Cases {
  readonly cases: readonly {
    readonly text: string;
    readonly parse_special: boolean;
    readonly ids: readonly number[];
    readonly detok: string;
  }[];
}

for (const model of ["smollm2", "gemma3"] as const) {
  const path = cachedModel(MODELS[model]);
  fixtureTest(
    `encode() and decode() equal llama.cpp on ${model}` +
      (path === undefined ? ` (${MODELS[model]} not in cache)` : ""),
    path === undefined ? "absent" : `dev_tokenizer_${model}.json`,
    async (url) => {
      const tokenizer = createTokenizer(await openGguf(path!));
      const { cases } = await readJson<Cases>(url);
      assert.ok(cases.length >= 172);
      for (const { text, parse_special: special, ids, detok } of cases) {
        assert.deepEqual(tokenizer.encode(text, { special }), ids, text);
        assert.equal(tokenizer.decode(ids), detok);
        const decoder = tokenizer.createDecoder();
        const streamed = ids.map((id) => decoder.push(id)).join("");
        assert.equal(streamed + decoder.end(), detok);
      }
    },
  );
}

interface TinyModels {
  readonly models: readonly { model: string; expected: string }[];
}
interface Tiny {
  readonly tokenize: readonly { text: string; ids: number[] }[];
}

fixtureTest(
  "encode() equals llama.cpp on every tiny model",
  "tiny/dev/index.json",
  async (index) => {
    const { models } = await readJson<TinyModels>(index);
    assert.ok(models.length >= 32);
    for (const { model, expected } of models) {
      const file = await openGguf(new URL(model, index).pathname);
      const tokenizer = createTokenizer(file);
      const { tokenize } = await readJson<Tiny>(new URL(expected, index));
      for (const { text, ids } of tokenize) {
        assert.deepEqual(tokenizer.encode(text), ids, `${model}: ${text}`);
      }
    }
  },
);

Deno.test("encode() merges best rank first and leaves out what is no token", async () => {
  const tokenizer = await tokenizerOf();
  assert.deepEqual(tokenizer.encode("ab abc"), [5, 6, 7]);
  assert.deepEqual(tokenizer.encode("a?b"), [2, 3]);
  assert.deepEqual(tokenizer.encode(""), []);
});

Deno.test("encode() finds control tokens only when asked", async () => {
  const tokenizer = await tokenizerOf();
  assert.deepEqual(tokenizer.encode("a</s>b", { special: true }), [2, 1, 3]);
  assert.deepEqual(tokenizer.encode("a</s>b"), [2, 3]);
});

Deno.test("encode() puts BOS in front when asked, once", async () => {
  const tokenizer = await tokenizerOf();
  assert.equal(tokenizer.addBos, false);
  assert.deepEqual(tokenizer.encode("a", { bos: true }), [0, 2]);
  assert.deepEqual(tokenizer.encode("", { bos: true }), [0]);
  const without = await tokenizerOf(changes({ bos_token_id: undefined }));
  assert.equal(without.bos, undefined);
  assert.throws(() => without.encode("a", { bos: true }), TypeError);
});

Deno.test("encode() prefers the longest special token, then the leftmost", async () => {
  const tokenizer = await tokenizerOf(
    changes({
      tokens: [VALUE.ARRAY, VALUE.STRING, ["<x>", "<x><x>", "a", "a<x>", "<y"]],
      token_type: [VALUE.ARRAY, VALUE.I32, [4, 4, 1, 4, 3]],
    }),
  );
  assert.deepEqual(tokenizer.encode("<x><x><x>"), [1, 0]);
  assert.deepEqual(tokenizer.encode("a<x>a"), [3, 2]);
  assert.deepEqual(tokenizer.encode("a<x><x>"), [2, 1]);
  assert.deepEqual(tokenizer.encode("<y<x>", { special: true }), [4, 0]);
});

Deno.test("encode() takes a whole word as it stands for llama-bpe", async () => {
  const words = changes({
    tokens: [VALUE.ARRAY, VALUE.STRING, ["a", "b", "ab"]],
    token_type: [VALUE.ARRAY, VALUE.I32, [1, 1, 1]],
    merges: [VALUE.ARRAY, VALUE.STRING, []],
    bos_token_id: [VALUE.U32, 0],
  });
  const merging = await tokenizerOf(words);
  assert.deepEqual(merging.encode("ab"), [0, 1]);
  const whole = await tokenizerOf({
    ...words,
    ...changes({ pre: [VALUE.STRING, "llama-bpe"] }),
  });
  assert.deepEqual(whole.encode("ab"), [2]);
  assert.equal(whole.addBos, true);
});

Deno.test("encode() takes lone surrogates for U+FFFD", async () => {
  const tokenizer = await tokenizerOf(
    sentencePiece([["\uFFFD", 1], ["a", 1]], {
      add_space_prefix: [VALUE.BOOL, false],
    }),
  );
  assert.deepEqual(tokenizer.encode("a\ud800"), [1, 0]);
});

const SMALL = [
  ["<unk>", 2],
  ["<s>", 3],
  ["</s>", 3],
  ["<0xC3>", 6],
  ["<0xA9>", 6],
  ["▁", 1],
  ["a", 1],
  ["b", 1],
  ["ab", 1, -3.5],
  ["ba", 1, -3.25],
  ["▁a", 1, -9.75],
] as const;

Deno.test("encode() SentencePiece merges the highest score, among equals the leftmost", async () => {
  const plain = { add_space_prefix: [VALUE.BOOL, false] };
  const tokenizer = await tokenizerOf(sentencePiece(SMALL, plain));
  assert.deepEqual(tokenizer.encode("aba"), [6, 9]);
  const equal = await tokenizerOf(sentencePiece(
    SMALL.map(([text, type]) => [text, type, 0]),
    plain,
  ));
  assert.deepEqual(equal.encode("abab"), [8, 8]);
  const broken = await tokenizerOf(sentencePiece(
    SMALL.map(([text, type], i) => [text, type, i === 8 ? NaN : -0.5]),
    plain,
  ));
  assert.deepEqual(broken.encode("aba"), [6, 9]);
});

Deno.test("encode() SentencePiece puts a space before text at the start and after tokens", async () => {
  const tokenizer = await tokenizerOf(sentencePiece(SMALL));
  assert.equal(tokenizer.addBos, true);
  assert.deepEqual(
    tokenizer.encode("a</s>a b", { special: true }),
    [10, 2, 10, 5, 7],
  );
});

Deno.test("encode() SentencePiece falls back to bytes, then to unknown", async () => {
  const tokenizer = await tokenizerOf(sentencePiece(SMALL));
  assert.deepEqual(tokenizer.encode("é"), [5, 3, 4]);
  assert.deepEqual(tokenizer.encode("ê"), [5, 3, 0]);
  assert.equal(tokenizer.decode([5, 3, 4]), " é");
});

Deno.test("createDecoder() holds a character back until it is whole", async () => {
  const tokenizer = await tokenizerOf(sentencePiece(SMALL));
  const decoder = tokenizer.createDecoder();
  assert.equal(decoder.push(6), "a");
  assert.equal(decoder.push(3), "");
  assert.equal(decoder.push(4), "é");
  assert.equal(decoder.push(3), "");
  assert.equal(decoder.push(7), "\uFFFDb");
  assert.equal(decoder.push(3), "");
  assert.equal(decoder.end(), "\uFFFD");
});

Deno.test("decode() spells control tokens and refuses ids outside", async () => {
  const tokenizer = await tokenizerOf();
  assert.equal(tokenizer.decode([0, 6, 1]), "<s> ab</s>");
  for (const id of [-1, 8, 1.5, NaN]) {
    assert.throws(() => tokenizer.decode([id]), RangeError);
  }
});

Deno.test("eog holds every end the vocabulary has", async () => {
  const tokenizer = await tokenizerOf(
    changes({
      tokens: [VALUE.ARRAY, VALUE.STRING, ["</s>", "<|im_end|>", "x", "y"]],
      token_type: [VALUE.ARRAY, VALUE.I32, [4, 1, 1, 1]],
      bos_token_id: undefined,
      eos_token_id: [VALUE.U32, 2],
      eot_token_id: [VALUE.U32, 3],
    }),
  );
  assert.deepEqual([...tokenizer.eog].sort(), [1, 2, 3]);
  assert.equal(tokenizer.eos, 2);
});

const REFUSED: readonly [string, Changes, RegExp][] = [
  [
    "an unknown pre-tokenizer",
    changes({ pre: [VALUE.STRING, "zzz"] }),
    /"tokenizer\.ggml\.pre" is "zzz", wanted one of default, gpt-2/,
  ],
  [
    "a pre-tokenizer called constructor",
    changes({ pre: [VALUE.STRING, "constructor"] }),
    /is "constructor", wanted one of/,
  ],
  [
    "an unknown model",
    changes({ model: [VALUE.STRING, "bert"] }),
    /"tokenizer\.ggml\.model" is "bert", wanted "gpt2"/,
  ],
  ["no tokens", changes({ tokens: undefined }), /tokens" is missing/],
  ["no merges", changes({ merges: undefined }), /merges" is missing/],
  [
    "no scores",
    changes({ model: [VALUE.STRING, "llama"] }),
    /scores" is missing/,
  ],
  [
    "a BOS outside the vocabulary",
    changes({ bos_token_id: [VALUE.U32, 99] }),
    /bos_token_id" is 99, wanted 0 to 7/,
  ],
  [
    "a model that is a number beyond 2^53",
    changes({ model: [VALUE.U64, 2n ** 63n] }),
    /"tokenizer\.ggml\.model" is 9223372036854775808, wanted "gpt2"/,
  ],
  [
    "a list of pre-tokenizers",
    changes({ pre: [VALUE.ARRAY, VALUE.STRING, ["gpt-2"]] }),
    /"tokenizer\.ggml\.pre" is Array of 1 values, wanted one of/,
  ],
  [
    "a token of a kind that there is not",
    changes({
      token_type: [VALUE.ARRAY, VALUE.I32, [3, 3, 1, 1, 257, 1, 1, 1]],
    }),
    /token 4 of the vocabulary has kind 257, wanted 1 to 6/,
  ],
  [
    "a text for a truth value",
    changes({ add_bos_token: [VALUE.STRING, "false"] }),
    /"tokenizer\.ggml\.add_bos_token" is "false", wanted true or false/,
  ],
  [
    "a byte that is none",
    sentencePiece([["<0x4>", 6], ["<0x41>", 6]]),
    /token 0 of the vocabulary stands for a byte and is "<0x4>"/,
  ],
  ["a template that is no text", {
    t: ["tokenizer.chat_template", VALUE.ARRAY, VALUE.STRING, ["a", "b"]],
  }, /"tokenizer\.chat_template" is Array of 2 values, wanted a text/],
];
for (const [name, change, says] of REFUSED) {
  Deno.test(`createTokenizer() refuses ${name}`, async () => {
    await assert.rejects(tokenizerOf(change), (error: Error) => {
      assert.ok(error instanceof ModelError, error.stack);
      assert.match(error.message, says);
      return true;
    });
  });
}

modelTest(
  "createTokenizer() knows how SmolLM2 ends",
  "smollm2",
  async (path) => {
    const tokenizer = createTokenizer(await openGguf(path));
    assert.equal(tokenizer.vocab, 49152);
    assert.deepEqual([...tokenizer.eog].sort(), [0, 2]);
    assert.equal(tokenizer.addBos, false);
  },
);

modelTest(
  "encode() takes long text without words in reasonable time",
  "gemma3",
  async (path) => {
    const tokenizer = createTokenizer(await openGguf(path));
    assert.deepEqual([...tokenizer.eog].sort(), [1, 106]);
    assert.equal(tokenizer.addBos, true);
    const text = "lorem".repeat(20_000);
    const start = performance.now();
    assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
    assert.ok(performance.now() - start < 5000);
  },
);
