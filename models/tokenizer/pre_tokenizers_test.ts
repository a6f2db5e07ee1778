import assert from "node:assert/strict";
import { createPreTokenizer, preTokenizerKind } from "./pre_tokenizers.ts";

const TEXT = "I'LL they've 12345 Größe  HelloWorld's\r\n\n  x=y!!\n ";

/** Words of the text, with byte spelling undone where it matters. */
function words(kind: string, text = TEXT): string[] {
  return createPreTokenizer(preTokenizerKind("m", kind))(text).map((word) =>
    word.replaceAll("Ġ", " ").replaceAll("Ċ", "\n").replaceAll("č", "\r")
      .replaceAll("Ã¶", "ö").replaceAll("ÃŁ", "ß")
  );
}

// deno-fmt-ignore
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  "gpt-2": [
    "I", "'", "LL", " they", "'ve", " 12345", " Größe", " ", " HelloWorld", "'s",
    "\r\n\n ", " x", "=", "y", "!!", "\n ",
  ],
  "smollm": [
    "I", "'", "LL", " they", "'ve", " ", "1", "2", "3", "4", "5", " Größe", " ",
    " HelloWorld", "'s", "\r\n\n ", " x", "=", "y", "!!", "\n ",
  ],
  "llama-bpe": [
    "I", "'LL", " they", "'ve", " ", "123", "45", " Größe", " ", " HelloWorld",
    "'s", "\r\n\n", " ", " x", "=y", "!!\n", " ",
  ],
  "qwen2": [
    "I", "'LL", " they", "'ve", " ", "1", "2", "3", "4", "5", " Größe", " ",
    " HelloWorld", "'s", "\r\n\n", " ", " x", "=y", "!!\n", " ",
  ],
  "gpt-4o": [
    "I'LL", " they've", " ", "123", "45", " Größe", " ", " Hello", "World's",
    "\r\n\n", " ", " x", "=y", "!!\n", " ",
  ],
  "tekken": [
    "I", "'LL", " they", "'ve", " ", "1", "2", "3", "4", "5", " Größe", " ",
    " Hello", "World", "'s", "\r\n\n", " ", " x", "=y", "!!\n", " ",
  ],
  "default": [
    "I", "'", "LL", " they", "'", "ve", " ", "123", "45", " Größe", " ",
    " HelloWorld", "'", "s", "\r\n\n ", " x", "=", "y", "!!", "\n ",
  ],
  "deepseek-llm": [
    "I", "'", "LL", " they", "'", "ve", " ", "12345", " Gr", "öß", "e", " ",
    " HelloWorld", "'", "s", "\r", "\n", "\n", " ", " x", "=", "y", "!!", "\n", " ",
  ],
  "deepseek-coder": [
    "I", "'", "LL", " they", "'", "ve", " ", "1", "2", "3", "4", "5", " Größe", " ",
    " HelloWorld", "'", "s", "\r", "\n", "\n", " ", " x", "=", "y", "!!", "\n", " ",
  ],
  "deepseek-v3": [
    "I", "'LL", " they", "'ve", " ", "123", "45", " Größe", " ", " HelloWorld",
    "'s", "\r\n\n", " ", " x", "=y", "!!\n", " ",
  ],
  "seed-coder": [
    "I", "'LL", " they", "'ve", " ", "1", "2", "3", "4", "5", " Größe", " ",
    " HelloWorld", "'s", "\r\n\n", " ", " x", "=y", "!!", "\n", " ",
  ],
};

for (const [kind, expected] of Object.entries(EXPECTED)) {
  Deno.test(`createPreTokenizer() cuts words as "${kind}" does`, () => {
    assert.deepEqual(words(kind), expected);
  });
}

Deno.test("createPreTokenizer() loses nothing, whatever the kind", () => {
  const odd = "\u0085\u00a0\ufeff a\u200b\u3000b\0 ";
  for (const kind of Object.keys(EXPECTED)) {
    assert.equal(words(kind).join(""), TEXT);
    const bytes = createPreTokenizer(preTokenizerKind("m", kind))(odd);
    assert.equal(
      bytes.join("").length,
      new TextEncoder().encode(odd).length,
    );
    assert.deepEqual(words(kind, ""), []);
  }
});

Deno.test("preTokenizerKind() takes a file that names none for default", () => {
  assert.equal(
    preTokenizerKind("m", undefined),
    preTokenizerKind("m", "default"),
  );
});
