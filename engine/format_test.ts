import assert from "node:assert/strict";
import { promptLookup } from "../plugins/prompt_lookup.ts";
import { prefixCache } from "../plugins/prefix_cache.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import type { Engine } from "./engine.ts";
import type { GenerateOptions, GeneratePart } from "./options.ts";
import { jsonEngine } from "./testing/json_engine.ts";
import { answerRandomly } from "./testing/valid_answers.ts";

const WILD: GenerateOptions = { temperature: 1.5, topK: 0, topP: 1, minP: 0 };

const SCHEMA = {
  type: "object",
  properties: {
    name: { type: "string" },
    values: { type: "array", items: { type: "integer" } },
  },
  required: ["name", "values"],
};

const FORMAT = { type: "schema", schema: SCHEMA } as const;

interface Answer {
  text: string;
  tokens: number[];
  last: GeneratePart;
}

async function answers(
  engine: Engine,
  options: GenerateOptions,
): Promise<Answer[]> {
  const all: Answer[] = [];
  for await (const part of engine.generate({ tokens: [65, 66], ...options })) {
    const a = all[part.index] ??= { text: "", tokens: [], last: part };
    a.text += part.text;
    a.tokens.push(...part.tokens);
    a.last = part;
  }
  return all;
}

function isValid(text: string): boolean {
  const { name, values, ...more } = JSON.parse(text);
  return typeof name === "string" && values.every(Number.isInteger) &&
    Object.keys(more).length === 0;
}

Deno.test("Engine.generate() with a format gives valid answers to random schemas, seeds and lengths", async () => {
  await using engine = await jsonEngine();
  const found = await answerRandomly(engine, 200, { seed: 7, longest: 60 });
  assert.deepEqual(found.wrong, []);
  assert.equal(found.valid, 200);
  // All ways to end were taken.
  assert.ok(found.finishes.stop > 20 && found.finishes.length > 20);
});

Deno.test("Engine.generate() with a format is whole within maxTokens and says what length left out", async () => {
  await using engine = await jsonEngine();
  const finishes = new Set<string>();
  for (let seed = 0; seed < 12; seed++) {
    for (const maxTokens of [20, 25, 60, 300]) {
      const options = { ...WILD, format: FORMAT, seed, maxTokens };
      const [a] = await answers(engine, options);
      assert.ok(isValid(a!.text), a!.text);
      assert.ok(a!.tokens.length <= maxTokens);
      assert.equal(engine.tokenizer.decode(a!.tokens), a!.text);
      finishes.add(a!.last.finish!);
    }
  }
  assert.deepEqual(finishes, new Set(["stop", "length"]));
  await assert.rejects(
    answers(engine, { format: FORMAT, maxTokens: 3 }),
    /"maxTokens" 3: an answer of the format is only sure to fit in \d+/,
  );
});

Deno.test("Engine.generate() with a format never makes control tokens, though they spell what is wanted", async () => {
  await using engine = await jsonEngine();
  const { vocab, eog } = engine.tokenizer;
  // The token before the last two is a control token with the text of an object.
  const logitBias = { [vocab - 3]: 90, [vocab - 2]: 80 };
  for (let seed = 0; seed < 5; seed++) {
    const [a] = await answers(engine, {
      ...WILD,
      format: { type: "json" },
      logitBias,
      seed,
      maxTokens: 40,
    });
    JSON.parse(a!.text);
    assert.ok(a!.tokens.every((id) => id < vocab - 3 && !eog.has(id)));
  }
});

Deno.test("Engine.generate() ends an answer that may go on only by an end-of-text token", async () => {
  await using engine = await jsonEngine();
  const format = { type: "schema", schema: { type: "integer" } } as const;
  const eos = engine.tokenizer.eos!;
  const options = { ...WILD, format, maxTokens: 30, seed: 4 };
  const [soon] = await answers(engine, {
    ...options,
    logitBias: { [eos]: 99 },
  });
  assert.match(soon!.text, /^(0|-?[1-9])/);
  assert.equal(soon!.last.finish, "stop");
  assert.equal(soon!.last.usage!.completionTokens, soon!.tokens.length + 1);
  const [late] = await answers(engine, {
    ...options,
    logitBias: { [eos]: -Infinity, 48: -99 },
  });
  assert.ok(late!.text.replace("-", "").length >= 15, late!.text);
});

Deno.test("Engine.generate() with a format gives the same with guesses, n and company", async () => {
  const plugins = [pagedAttention(), prefixCache()];
  await using plain = await jsonEngine({ plugins });
  await using guessing = await jsonEngine({
    plugins: [...plugins, promptLookup({ ngram: 2, most: 6 })],
  });
  const options = { ...WILD, format: FORMAT, maxTokens: 80, seed: 3 };
  const want: string[] = [];
  for (let i = 0; i < 3; i++) {
    const [a] = await answers(plain, { ...options, seed: 3 + i });
    want.push(a!.text);
  }
  for (const engine of [plain, guessing]) {
    const got = await answers(engine, { ...options, n: 3 });
    assert.deepEqual(got.map((a) => a.text), want);
  }
  const best = await answers(plain, {
    ...options,
    n: 1,
    bestOf: 3,
    logprobs: 2,
  });
  assert.ok(want.includes(best[0]!.text));
  assert.equal(best[0]!.last.logprobs!.length, best[0]!.tokens.length);
  // A guess is right only where the mask lets it be.
  const again = { format: FORMAT, maxTokens: 80 };
  const tokens = [..."name values [1,1,1,1,1,1,1,1"].map((c) =>
    c.charCodeAt(0)
  );
  const [a] = await answers(guessing, { ...again, tokens });
  const [b] = await answers(plain, { ...again, tokens });
  assert.equal(a!.text, b!.text);
  assert.ok(isValid(a!.text));
});

Deno.test("Engine.generate() with a format obeys stop texts, and refuses beams and ignoreEos", async () => {
  await using engine = await jsonEngine();
  const [a] = await answers(engine, { format: FORMAT, stop: "values" });
  assert.equal(a!.last.finish, "stop");
  assert.ok(a!.text.startsWith('{"name":') && a!.text.endsWith('"'));
  for (const other of [{ beams: 2 }, { ignoreEos: true }]) {
    await assert.rejects(
      answers(engine, { format: FORMAT, ...other }),
      TypeError,
    );
  }
  await assert.rejects(
    answers(engine, { format: { type: "schema", schema: { not: {} } } }),
    { name: "FormatError", path: "#/not" },
  );
});
