import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { Quotes, unquote } from "./quoted.ts";

const SPELLINGS = [
  "<s>",
  "</s>",
  "<|im_end|>",
  "<|im_start|>",
  "[INST]",
  "🤖x",
];
const quotes = new Quotes(SPELLINGS);

/** Spelled-out pieces of control tokens, marks, and ordinary text. */
const said = fc.array(
  fc.constantFrom(
    ...SPELLINGS,
    ..."<>|/s[] aé",
    "im_end",
    "im_start",
    "INST",
    "\ufdd0",
    "\ufdd1",
    "\ufdd0\ufdd1",
    "x",
    "🤖",
  ),
  { maxLength: 12 },
).map((parts) => parts.join(""));

Deno.test("Quotes.quote() and unquote() keep every text, marks of its own too", () => {
  fc.assert(fc.property(said, (text) => {
    assert.equal(unquote(quotes.quote(text)), text);
  }));
});

Deno.test("Quotes.quote() leaves no spelling, in a text or where several meet", () => {
  fc.assert(fc.property(fc.array(said, { maxLength: 5 }), (texts) => {
    const all = texts.map((t) => quotes.quote(t)).join("");
    for (const s of SPELLINGS) assert.ok(!all.includes(s), JSON.stringify(all));
    assert.equal(unquote(all), texts.join(""));
  }));
});

Deno.test("Quotes.quote() leaves ordinary text as it is", () => {
  const text = "a < b > c | d\n<b>bold</b> 1 [x";
  assert.equal(new Quotes(["<|im_end|>"]).quote(text), text);
  assert.equal(new Quotes([]).quote("<s>"), "<s>");
});

Deno.test("Quotes.quote() takes long texts of nothing but beginnings", () => {
  const many = Array.from({ length: 6000 }, (_, i) => `<unused${i}>`);
  const text = "<".repeat(200_000);
  const quoted = new Quotes(many).quote(text);
  assert.equal(unquote(quoted), text);
});

Deno.test("Quotes.quote() is no half of a spelling whose other half is a template's", () => {
  for (const spelling of SPELLINGS) {
    for (let n = 1; n < spelling.length; n++) {
      const head = spelling.slice(0, n), tail = spelling.slice(n);
      assert.ok(!(quotes.quote(head) + tail).includes(spelling), spelling);
      assert.ok(!(head + quotes.quote(tail)).includes(spelling), spelling);
    }
  }
});
