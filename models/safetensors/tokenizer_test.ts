import assert from "node:assert/strict";
import { join } from "node:path";
import { ModelError } from "../../core/errors.ts";
import { createTokenizer, type Tokenizer } from "../tokenizer.ts";
import type { ModelFile } from "../model_file.ts";
import { readTokenizer } from "./tokenizer.ts";

const DATA = new URL("../testdata/tokenizers/", import.meta.url);

/** Files by name; an object is written as JSON. */
type Files = Readonly<Record<string, unknown>>;

async function opened(
  files: Files,
  config?: Record<string, unknown>,
  rows?: number,
): Promise<ModelFile> {
  const folder = await Deno.makeTempDir({ prefix: "quire_test_" });
  try {
    for (const [name, value] of Object.entries(files)) {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      await Deno.writeTextFile(join(folder, name), text);
    }
    const words = await readTokenizer(folder, config ?? {}, rows);
    return {
      path: folder,
      files: [],
      format: "safetensors",
      metadata: words?.metadata ?? {},
      vocabulary: words?.vocabulary,
      tensors: new Map(),
      fingerprint: "",
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function tokenizerOf(
  files: Files,
  config?: Record<string, unknown>,
  rows?: number,
): Promise<Tokenizer> {
  return createTokenizer(await opened(files, config, rows));
}

// deno-lint-ignore no-explicit-any
type Json = any;

async function stored(name: string): Promise<Json> {
  return JSON.parse(await Deno.readTextFile(new URL(`${name}.json`, DATA)));
}

Deno.test("readTokenizer() gives the ids that the library of hubs gives", async (t) => {
  const { texts, ids } = await stored("expected") as {
    texts: string[];
    ids: Record<string, number[][]>;
  };
  for (const [kind, wanted] of Object.entries(ids)) {
    await t.step(kind, async () => {
      const json = await stored(kind);
      const tokenizer = await tokenizerOf({ "tokenizer.json": json });
      texts.forEach((text, i) => {
        const got = tokenizer.encode(text, { special: true });
        assert.deepEqual(got, wanted[i], JSON.stringify(text));
      });
    });
  }
});

Deno.test("readTokenizer() finds what begins and ends in whatever file says it", async () => {
  const json = await stored("llama3");
  const id = (text: string): number =>
    json.added_tokens.find((t: Json) => t.content === text).id;
  const plain = await tokenizerOf({ "tokenizer.json": json });
  assert.equal(plain.bos, id("<s>"));
  assert.equal(plain.addBos, true);
  assert.equal(plain.eos, undefined);
  // Known by its text, whoever says so.
  const ends = new Set([id("<|im_end|>"), id("</s>")]);
  assert.deepEqual(plain.eog, ends);
  const said = await tokenizerOf({
    "tokenizer.json": { ...json, post_processor: null },
    "tokenizer_config.json": {
      bos_token: { content: "</s>" },
      eos_token: "<|im_end|>",
      add_bos_token: true,
      chat_template: [
        { name: "tool_use", template: "no" },
        { name: "default", template: "yes" },
      ],
    },
    "generation_config.json": { eos_token_id: [5, 7, 9999, "x"] },
  }, { eos_token_id: 6 });
  assert.equal(said.bos, id("</s>"));
  assert.equal(said.eos, id("<|im_end|>"));
  assert.equal(said.addBos, true);
  assert.equal(said.chatTemplate, "yes");
  for (const end of [5, 6, 7, id("<|im_end|>")]) assert.ok(said.eog.has(end));
  const none = await tokenizerOf({
    "tokenizer.json": { ...json, post_processor: null },
    "tokenizer_config.json": { bos_token: null, chat_template: "other" },
    "chat_template.jinja": "its own",
  }, { bos_token_id: 3 });
  assert.equal(none.bos, undefined);
  assert.equal(none.addBos, false);
  assert.equal(none.chatTemplate, "its own");
});

Deno.test("readTokenizer() has as many tokens as the model", async () => {
  const json = await stored("gpt2"), count = 321;
  const more = await tokenizerOf({ "tokenizer.json": json }, {}, 384);
  assert.equal(more.vocab, 384);
  assert.equal(more.bytes(383).length, 0);
  const table = json.added_tokens.at(-1);
  const less = await tokenizerOf({ "tokenizer.json": json }, {}, table.id);
  assert.equal(less.vocab, count - 1);
  assert.ok(!less.encode(table.content).includes(table.id));
  await assert.rejects(
    tokenizerOf({ "tokenizer.json": json }, {}, 300),
    /token ".*" has the number \d+, wanted 0 to 299: the model has 300 tokens/,
  );
});

Deno.test("readTokenizer() of a folder without one leaves it to who needs it", async () => {
  const file = await opened({});
  assert.equal(file.vocabulary, undefined);
  assert.throws(() => createTokenizer(file), /there is no "tokenizer\.json"/);
});

/** Changes to a stored tokenizer, and what is said of it. */
const REFUSED: readonly [string, string, (json: Json) => void, RegExp][] = [
  [
    "a Unigram model",
    "gpt2",
    (j) => j.model.type = "Unigram",
    /"Unigram", wanted\s"BPE"/,
  ],
  [
    "WordPiece",
    "gpt2",
    (j) => j.model.type = "WordPiece",
    /"WordPiece", wanted/,
  ],
  ["no model", "gpt2", (j) => delete j.model, /its model is undefined/],
  [
    "word endings",
    "gpt2",
    (j) => j.model.end_of_word_suffix = "</w>",
    /"model\.end_of_word_suffix" is "<\/w>"/,
  ],
  [
    "a prefix of words",
    "gpt2",
    (j) => j.model.continuing_subword_prefix = "##",
    /"model\.continuing_subword_prefix" is "##"/,
  ],
  ["dropout", "gpt2", (j) => j.model.dropout = 0.1, /"model\.dropout" is 0\.1/],
  [
    "another normalizer",
    "qwen2",
    (j) => j.normalizer = { type: "Lowercase" },
    /"normalizer" has \{"type":"Lowercase"\}/,
  ],
  [
    "another normalizer of spaces",
    "gemma",
    (j) => j.normalizer = { type: "Precompiled" },
    /"normalizer" has \{"type":"Precompiled"\}/,
  ],
  [
    "another pre-tokenizer",
    "llama3",
    (j) => j.pre_tokenizer.pretokenizers[0] = { type: "Punctuation" },
    /"pre_tokenizer" has \{"type":"Punctuation"\}/,
  ],
  [
    "a space before words",
    "gpt2",
    (j) => j.pre_tokenizer.add_prefix_space = true,
    /"pre_tokenizer" has \{"type":"ByteLevel","add_prefix_space":true/,
  ],
  [
    "a split that merges",
    "llama3",
    (j) => j.pre_tokenizer.pretokenizers[0].behavior = "MergedWithNext",
    /MergedWithNext/,
  ],
  [
    "a pattern that is none",
    "llama3",
    (j) => j.pre_tokenizer.pretokenizers[0].pattern.Regex = "(a",
    /"pre_tokenizer" has a pattern that cannot be used/,
  ],
  [
    "words cut at spaces",
    "mistral",
    (j) => j.pre_tokenizer.split = true,
    /"split":true/,
  ],
  [
    "no fallback to bytes",
    "mistral",
    (j) => j.model.byte_fallback = false,
    /"model\.byte_fallback" is false, wanted true/,
  ],
  [
    "neither bytes nor spaces",
    "gemma",
    (j) => {
      j.normalizer = null;
      j.pre_tokenizer = null;
    },
    /neither spells bytes/,
  ],
  [
    "a token at the end of texts",
    "llama3",
    (j) =>
      j.post_processor.single.push({
        SpecialToken: { id: "</s>", type_id: 0 },
      }),
    /"post_processor" makes "<s>", the text, "<\/s>"/,
  ],
  [
    "another post-processor",
    "llama3",
    (j) => j.post_processor.type = "RobertaProcessing",
    /"post_processor" is "RobertaProcessing"/,
  ],
  [
    "whole words only",
    "gpt2",
    (j) => j.added_tokens[0].single_word = true,
    /token "<s>" has "single_word" true/,
  ],
  [
    "an added token without a number",
    "gpt2",
    (j) => j.added_tokens[0].id = -1,
    /"added_tokens" has an object at 0/,
  ],
  [
    "a number that is none",
    "gpt2",
    (j) => j.model.vocab["!"] = 1e9,
    /token "!" has the number 1000000000, wanted 0 to/,
  ],
  [
    "a number twice",
    "gpt2",
    (j) => j.model.vocab["!"] = j.model.vocab["a"],
    /both have the number/,
  ],
  ["no merges", "gpt2", (j) => j.model.merges = 5, /"model\.merges" is 5/],
  [
    "a merge of three",
    "gpt2",
    (j) => j.model.merges[1] = ["a", "b", "c"],
    /"model\.merges" has a list of 3 at 1/,
  ],
];

for (const [name, kind, change, says] of REFUSED) {
  Deno.test(`readTokenizer() refuses ${name}`, async () => {
    const json = await stored(kind);
    change(json);
    await assert.rejects(opened({ "tokenizer.json": json }), (error: Error) => {
      assert.ok(error instanceof ModelError, error.stack);
      assert.match(error.message, says);
      assert.match(error.file, /tokenizer\.json$/);
      return true;
    });
  });
}
