import assert from "node:assert/strict";
import { Tokenizer as Library } from "npm:@huggingface/tokenizers@0.2.0";
import { openGguf } from "../gguf.ts";
import type { ModelFile } from "../model_file.ts";
import { modelTest } from "../testing/files.ts";
import { hubTokenizer } from "../testing/hub_tokenizer.ts";
import { createTokenizer } from "../tokenizer.ts";
import { tokenizerWords } from "./tokenizer.ts";

/**
 * Words, digits, scripts and spaces, put together by chance. Fractions are left out: the
 * library that judges takes them for no digits, other than that of hubs.
 */
function* oddTexts(count: number): Generator<string> {
  const parts = [
    ...["the", " of", "ing", "Größe", "日本", "🙂", "e\u0301", "123", " 4567"],
    ...["\n", "\r\n", "\t", "  ", "   ", "'s", "'LL", "x=y", "!?", "…"],
    ...["def f(x):", "http://a.b/c", "\u00a0", "\u200b", "_", "A", "zZz"],
  ];
  let seed = 7;
  for (let i = 0; i < count; i++) {
    let text = "";
    for (let k = 0; k <= i % 12; k++) {
      seed = Math.imul(seed, 1664525) + 1013904223 | 0;
      text += parts[(seed >>> 8) % parts.length];
    }
    yield text;
  }
}

for (const model of ["smollm2", "gemma3"] as const) {
  modelTest(
    `a real vocabulary as tokenizer.json gives the ids of its GGUF twin (${model})`,
    model,
    async (path) => {
      const gguf = await openGguf(path), wanted = createTokenizer(gguf);
      const files = hubTokenizer(gguf);
      const json = files["tokenizer.json"]!;
      const settings = files["tokenizer_config.json"]!;
      const words = tokenizerWords(
        "t",
        { json, settings, generation: {}, config: {} },
        wanted.vocab,
      );
      const file: ModelFile = { ...gguf, ...words, format: "safetensors" };
      const got = createTokenizer(file);
      assert.deepEqual([got.bos, got.eos], [wanted.bos, wanted.eos]);
      assert.deepEqual(got.eog, wanted.eog);
      assert.equal(got.addBos, wanted.addBos);
      // Its own tables of Gemma's merges would take minutes to make.
      const judge = model === "smollm2"
        ? new Library(json, settings)
        : undefined;
      for (const text of oddTexts(400)) {
        const ids = got.encode(text);
        assert.deepEqual(ids, wanted.encode(text), JSON.stringify(text));
        if (judge === undefined) continue;
        const judged = judge.encode(text, { add_special_tokens: false });
        assert.deepEqual(ids, judged.ids, JSON.stringify(text));
      }
    },
  );
}
