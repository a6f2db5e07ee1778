import assert from "node:assert/strict";
import {
  buildHaystack,
  type Haystack,
  needleFiller,
  PASSKEY,
} from "./haystack.ts";

/** A token for each word or digit, by its own characters. */
const words: string[] = [];
const tokenizer = {
  bos: 0,
  addBos: true,
  encode: (text: string, { bos = false } = {}) => [
    ...(bos ? [0] : []),
    ...(text.match(/ ?\d| ?[^ \d]+/g) ?? []).map((word) => {
      const at = words.indexOf(word);
      return 1 + (at < 0 ? words.push(word) - 1 : at);
    }),
  ],
};

function textOf({ prompt, answer }: Haystack): string {
  return [...prompt, ...answer].map((id) => words[id - 1] ?? "").join("");
}

const TEXT = `
 = A heading =

 The fort was built of stone in 1778 . It stood above the river for years . So .
 Nobody lived there after the long war , and the walls fell slowly down .
`;

Deno.test("buildHaystack() fills the tokens it may, and asks for the key at the end", () => {
  for (const tokens of [100, 200, 777]) {
    const hay = buildHaystack(tokenizer, {
      filler: PASSKEY,
      tokens,
      depth: 0.5,
      seed: 3,
    });
    const { key, prompt, answer } = hay;
    assert.match(key, /^[1-9]\d{4}$/);
    assert.equal(answer.length, 5);
    assert.equal(prompt[0], 0);
    const all = prompt.length + answer.length;
    // Five sentences in turn, of 4 words at most.
    assert.ok(all <= tokens && all > tokens - 5, `${all} of ${tokens}`);
    assert.match(
      textOf(hay),
      new RegExp(
        `^There is an .* The pass key is ${key}\\. Remember it\\. ${key} is ` +
          `the pass key\\. .* What is the pass key\\? The pass key is ${key}$`,
      ),
    );
  }
});

Deno.test("buildHaystack() hides the key at its depth", () => {
  const options = { filler: PASSKEY, tokens: 2000, seed: 1 };
  const places = [0, 0.25, 0.5, 0.75, 1].map((depth) => {
    const text = textOf(buildHaystack(tokenizer, { ...options, depth }));
    const hay = text.slice(text.indexOf("there.") + 7, text.indexOf("What is"));
    return hay.indexOf("The pass key") /
      hay.replace(/The pass.*?pass key\. /, "").length;
  });
  for (const [i, place] of places.entries()) {
    assert.ok(Math.abs(place - i / 4) < 0.01, `${places}`);
  }
  for (const depth of [-0.1, 1.1, NaN]) {
    assert.throws(
      () => buildHaystack(tokenizer, { ...options, depth }),
      RangeError,
    );
  }
});

Deno.test("buildHaystack() gives the same text for the same seed, others for others", () => {
  const filler = needleFiller(TEXT);
  const build = (seed: number) =>
    buildHaystack(tokenizer, { filler, tokens: 200, depth: 0.5, seed });
  assert.deepEqual(build(5), build(5));
  const keys = new Set([1, 2, 3, 4, 5, 6].map((seed) => build(seed).key));
  assert.equal(keys.size, 6);
  const begins = new Set(
    [1, 2, 3, 4, 5, 6].map((s) => textOf(build(s)).slice(150, 200)),
  );
  assert.ok(begins.size > 1);
});

Deno.test("buildHaystack() says how many tokens the least is", () => {
  const options = { filler: PASSKEY, depth: 0, seed: 1 };
  let wanted = 0;
  assert.throws(
    () => buildHaystack(tokenizer, { ...options, tokens: 20 }),
    (e) => {
      assert.ok(e instanceof RangeError);
      wanted = Number(/in 20 tokens: (\d+) are wanted/.exec(e.message)![1]);
      return true;
    },
  );
  const { prompt, answer } = buildHaystack(tokenizer, {
    ...options,
    tokens: wanted,
  });
  assert.equal(prompt.length + answer.length, wanted);
});

Deno.test("buildHaystack() takes the question's last token into the answer where the key joins it", () => {
  // Everything after the last colon is one token.
  const joining = {
    ...tokenizer,
    encode: (text: string, options = {}) => {
      const ids = tokenizer.encode(text, options);
      return /is \d+$/.test(text) ? [...ids.slice(0, -6), 9999] : ids;
    },
  };
  const { prompt, answer } = buildHaystack(joining, {
    filler: PASSKEY,
    tokens: 300,
    depth: 0,
    seed: 1,
  });
  assert.deepEqual(answer, [9999]);
  assert.notEqual(words[prompt.at(-1)! - 1], " is");
});

Deno.test("needleFiller() takes sentences and leaves headings out", () => {
  assert.deepEqual(needleFiller(TEXT).sentences, [
    "The fort was built of stone in 1778 .",
    "It stood above the river for years .",
    "Nobody lived there after the long war , and the walls fell slowly down .",
  ]);
  assert.throws(() => needleFiller("no sentence here"), RangeError);
});
