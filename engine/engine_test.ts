import assert from "node:assert/strict";
import { ModelError } from "../core/errors.ts";
import { VALUE } from "../models/gguf/value_types.ts";
import { withFile } from "../models/testing/files.ts";
import { tinyLlama } from "../models/testing/tiny_llama.ts";
import type { Engine } from "./engine.ts";
import { load } from "./load.ts";
import type { GenerateOptions } from "./options.ts";
import { collect, openEngine, tinyEngine } from "./testing/tiny_engine.ts";

/** Requests that differ in all ways, for tests of what runs together. */
const REQUESTS: readonly GenerateOptions[] = [
  { tokens: [2], maxTokens: 30 },
  { tokens: [3, 4, 5, 6, 7, 2, 3], maxTokens: 12, temperature: 1, seed: 1 },
  { tokens: Array(40).fill(5), maxTokens: 9, temperature: 0.7, seed: 2 },
  {
    tokens: [6, 6, 2],
    maxTokens: 25,
    temperature: 1.5,
    topK: 0,
    minP: 0,
    topP: 1,
    seed: 3,
    repetitionPenalty: 1.2,
  },
  { tokens: [7, 2, 7, 2, 7], maxTokens: 50, logitBias: { 1: -Infinity } },
  { tokens: [4, 4, 4, 4], maxTokens: 1 },
].map((r) => ({ ...r, ignoreEos: true }));

/** Nothing runs, and nothing is held but what may be found again. */
function assertIdle(engine: Engine): void {
  const { blocks, sequences } = engine.cache.stat();
  assert.deepEqual(
    [blocks.open, blocks.sealed - blocks.idle, sequences],
    [0, 0, 0],
  );
  const { waiting, running } = engine.scheduler.stat();
  assert.deepEqual([waiting, running], [0, 0]);
  engine.check();
}

Deno.test("Engine.generate() gives each request the bits it has alone, whatever runs beside it", async () => {
  const alone: unknown[] = [];
  let base = 0;
  {
    await using engine = await tinyEngine({ threads: 1 });
    for (const r of REQUESTS) alone.push(await collect(engine.generate(r)));
  }
  {
    await using engine = await tinyEngine();
    base = engine.memory().tiers.device!.used;
  }
  for (
    const options of [
      { threads: 2 },
      { threads: 3, chunk: 3 },
      { chunk: 5, parallel: 2 },
      // Room for some of them only: they wait, or give way and begin anew.
      { budget: base + 6 * 2048 },
    ]
  ) {
    await using engine = await tinyEngine(options);
    for (let round = 0; round < 2; round++) {
      const together = await Promise.all(
        REQUESTS.map((r) => collect(engine.generate(r))),
      );
      assert.deepEqual(together, alone, JSON.stringify(options));
      assertIdle(engine);
    }
  }
});

Deno.test("Engine.logits() gives the same bits in company, and rows as they stand", async () => {
  await using engine = await tinyEngine({ chunk: 4 });
  const ids = [2, 3, 4, 5, 6, 7, 2, 3, 4, 5];
  const all = await engine.logits(ids, { rows: "all" });
  assert.equal(all.length, ids.length * engine.spec.vocab);
  const company = REQUESTS.map((r) => collect(engine.generate(r)));
  assert.deepEqual(await engine.logits(ids, { rows: "all" }), all);
  await Promise.all(company);
  const last = await engine.logits(ids);
  assert.deepEqual(last, all.slice(-engine.spec.vocab));
  for (const from of [0, 3, 9]) {
    const rows: number[] = [], positions: number[] = [];
    await engine.eachLogits(ids, (position, logits) => {
      positions.push(position);
      rows.push(...logits);
    }, { from });
    assert.deepEqual(positions, ids.map((_, i) => i).slice(from));
    assert.deepEqual(rows, [...all.slice(from * engine.spec.vocab)]);
  }
  assertIdle(engine);
});

Deno.test("Engine.eachLogits() ends its own request only where the visitor throws", async () => {
  await using engine = await tinyEngine({ chunk: 4 });
  const beside = collect(engine.generate(REQUESTS[4]!));
  let calls = 0;
  await assert.rejects(() =>
    engine.eachLogits(Array(20).fill(3), () => {
      if (++calls === 3) throw new Error("seen enough");
    }), /seen enough/);
  assert.equal(calls, 3);
  assert.equal((await beside).tokens.length, 50);
  assertIdle(engine);
});

Deno.test("Engine.generate() ends with the signal's reason at any moment, and frees everything", async () => {
  await using engine = await tinyEngine({ chunk: 4 });
  const request = { tokens: Array(20).fill(3), ignoreEos: true };
  for (let moment = 0; moment < 12; moment++) {
    const stop = new AbortController(), reason = new Error(`stop ${moment}`);
    const beside = collect(engine.generate(REQUESTS[1]!));
    let parts = 0;
    const run = async (): Promise<void> => {
      const { signal } = stop;
      for await (const _ of engine.generate({ ...request, signal })) {
        if (++parts === moment) stop.abort(reason);
      }
    };
    const running = run();
    if (moment === 0) stop.abort(reason);
    if (moment === 1) await Promise.resolve().then(() => stop.abort(reason));
    await assert.rejects(running, reason);
    await beside;
    assertIdle(engine);
  }
  const signal = AbortSignal.abort(new Error("before"));
  await assert.rejects(
    collect(engine.generate({ ...request, signal })),
    /before/,
  );
  await assert.rejects(engine.logits([2], { signal }), /before/);
  const stop = new AbortController();
  const logits = engine.eachLogits(Array(60).fill(2), (position) => {
    if (position === 5) stop.abort(new Error("during"));
  }, { signal: stop.signal });
  await assert.rejects(logits, /during/);
  assertIdle(engine);
});

Deno.test("Engine.generate() frees everything where its reader leaves the loop", async () => {
  await using engine = await tinyEngine();
  for (let after = 0; after < 5; after++) {
    let parts = 0;
    for await (
      const _ of engine.generate({ tokens: [2, 3], ignoreEos: true })
    ) {
      if (parts++ === after) break;
    }
    // The step that was running ends by itself.
    while (!engine.scheduler.idle) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assertIdle(engine);
  }
  // One that was never read never began.
  engine.generate({ tokens: [2] });
  assertIdle(engine);
});

Deno.test("Engine.generate() loses no request that comes just as another leaves", async () => {
  // The reference backend ends a step without leaving the queue of microtasks.
  await withFile(tinyLlama(), async (path) => {
    await using engine = await load(path, {
      backend: "reference",
      check: true,
    });
    const request = { tokens: [2, 3], maxTokens: 3, ignoreEos: true };
    for (let i = 0; i < 60; i++) {
      const parts = engine.generate({ tokens: [2], ignoreEos: true });
      await parts.next();
      for (let k = 0; k < i % 7; k++) await undefined;
      await parts.return(undefined);
      for (let k = 0; k < i % 5; k++) await undefined;
      let timer: ReturnType<typeof setTimeout> | undefined;
      const lost = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`lost at ${i}`)), 5000);
      });
      const { tokens } = await Promise.race([
        collect(engine.generate(request)),
        lost,
      ]);
      clearTimeout(timer);
      assert.equal(tokens.length, 3);
      assertIdle(engine);
    }
  });
});

Deno.test("Engine.generate() says how it ended and what it took", async () => {
  await using engine = await tinyEngine();
  const request = { tokens: [2, 3], ignoreEos: true };
  const full = await collect(engine.generate({ ...request, maxTokens: 20 }));
  assert.equal(full.finish, "length");
  assert.equal(full.tokens.length, 20);
  assert.equal(full.text, engine.tokenizer.decode(full.tokens));
  const parts = [];
  for await (const p of engine.generate({ ...request, maxTokens: 20 })) {
    parts.push(p);
  }
  const last = parts.at(-1)!;
  assert.ok(parts.slice(0, -1).every((p) => p.finish === undefined));
  assert.equal(last.usage!.promptTokens, 2);
  assert.equal(last.usage!.completionTokens, 20);
  assert.ok(last.usage!.ttftMs > 0 && last.usage!.tokensPerSecond > 0);
  // To the end of the context where nothing else ends it.
  const most = await collect(engine.generate(request));
  assert.equal(most.tokens.length, engine.context - 2);
  // At a text that it makes.
  const stop = full.text.slice(3, 5);
  const cut = await collect(engine.generate({ ...request, stop }));
  assert.equal(cut.finish, "stop");
  assert.equal(cut.text, full.text.slice(0, full.text.indexOf(stop)));
  // The tokens of the stop text are told, its text is not.
  const told = engine.tokenizer.decode(cut.tokens);
  assert.ok(told.startsWith(cut.text + stop), told);
  // At a token that ends texts, which is no part of the answer.
  const [eos] = engine.tokenizer.eog;
  const ended = await collect(
    engine.generate({ tokens: [2, 3], logitBias: { [eos!]: 1000 } }),
  );
  assert.deepEqual(ended, { text: "", tokens: [], finish: "stop" });
  assertIdle(engine);
});

Deno.test("Engine.generate() takes the same text as prompt, tokens and messages", async () => {
  const template =
    "{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}{% endif %}";
  await using engine = await tinyEngine({}, {
    "tokenizer.chat_template": [
      "tokenizer.chat_template",
      VALUE.STRING,
      template,
    ],
  });
  const more = { maxTokens: 8, ignoreEos: true };
  const ids = engine.tokenizer.encode("ab ab", {
    bos: engine.tokenizer.addBos,
  });
  const want = await collect(engine.generate({ tokens: ids, ...more }));
  const content = "ab ab", messages = [{ role: "user", content }] as const;
  assert.equal(engine.chatPrompt(messages), content);
  for (const how of [{ prompt: content }, { messages }]) {
    assert.deepEqual(await collect(engine.generate({ ...how, ...more })), want);
  }
});

Deno.test("Engine.generate() refuses what makes no sense, and says what would work", async () => {
  await using engine = await tinyEngine();
  const long = Array(64).fill(2);
  const bad: [GenerateOptions, RegExp][] = [
    [{}, /exactly one of "prompt", "tokens" and "messages"/],
    [{ prompt: "a", tokens: [2] }, /exactly one of .*, 2 given/],
    [{ tokens: [] }, /one is the least/],
    [{ tokens: [8] }, /ids go from 0 to 7/],
    [{ tokens: [-1] }, /ids go from 0 to 7/],
    [{ tokens: [0.5] }, /ids go from 0 to 7/],
    [{ tokens: long }, /Cannot take 64 tokens: the context holds 64/],
    [{ tokens: [2], maxTokens: 0 }, /"maxTokens" 0: a whole number above 0/],
    [{ tokens: [2], maxTokens: 1.5 }, /"maxTokens" 1.5/],
    [{ tokens: [2], maxTokens: NaN }, /"maxTokens" NaN/],
    [{ tokens: [2], temperature: -1 }, /"temperature" -1/],
    [{ tokens: [2], stop: "" }, /one character or more/],
    [{ messages: [{ role: "user", content: "a" }] }, /template/],
  ];
  for (const [options, message] of bad) {
    await assert.rejects(collect(engine.generate(options)), (error: Error) => {
      assert.match(error.message, message);
      return error instanceof RangeError || error instanceof TypeError ||
        error instanceof ModelError;
    });
  }
  for (const ids of [[], [8], [NaN], Array(65).fill(2)]) {
    await assert.rejects(engine.logits(ids), RangeError);
  }
  for (const from of [2, -1, 0.5, NaN]) {
    await assert.rejects(
      engine.eachLogits([2, 3], () => {}, { from }),
      (error: Error) => {
        assert.match(error.message, /from position .*: the text has 2 tokens/);
        return error instanceof RangeError;
      },
    );
  }
  const rows = "al" as "all";
  await assert.rejects(engine.logits([2], { rows }), /"rows" "al": "last"/);
  assertIdle(engine);
});

Deno.test("Engine closes while requests run, and rejects them", async () => {
  const engine = await tinyEngine();
  const running = REQUESTS.map((r) => collect(engine.generate(r)));
  const logits = engine.logits([2, 3]);
  const outcome = Promise.allSettled([...running, logits]);
  await new Promise((resolve) => setTimeout(resolve, 2));
  await engine[Symbol.asyncDispose]();
  const settled = await outcome;
  assert.ok(settled.some((s) => s.status === "rejected"));
  await assert.rejects(engine.logits([2]), /the engine was closed/);
  await assert.rejects(
    collect(engine.generate({ tokens: [2] })),
    /the engine was closed/,
  );
  await engine[Symbol.asyncDispose]();
});

Deno.test("Engine rejects what is running with the cause where a worker dies", async () => {
  for (const when of ["before a step", "in the middle"]) {
    const { engine, backend } = await openEngine();
    const outcome = Promise.allSettled(
      REQUESTS.map((r) => collect(engine.generate(r))),
    );
    // A product that reads far beyond the memory traps in every worker.
    const corrupt = (): void => {
      const record = backend.memory.i32(backend.program, 32);
      record.fill(0x7ffffff0);
      record[0] = 16;
      record[1] = 0;
      record[15] = backend.program;
    };
    if (when === "before a step") corrupt();
    else setTimeout(corrupt, 1);
    const settled = await outcome;
    const rejected = settled.filter((s) => s.status === "rejected");
    if (when === "before a step") assert.equal(rejected.length, settled.length);
    for (const { reason } of rejected) {
      assert.match(String(reason), /a worker stopped: .*out of bounds/);
    }
    await assert.rejects(
      collect(engine.generate({ tokens: [2], maxTokens: 60, ignoreEos: true })),
      /a worker stopped/,
    );
    await engine[Symbol.asyncDispose]();
  }
});

Deno.test("Engine rejects what is running where its books disagree", async () => {
  await using engine = await tinyEngine();
  engine.cache.check = () => {
    throw new Error("the books disagree");
  };
  await assert.rejects(
    collect(engine.generate({ tokens: [2], maxTokens: 9, ignoreEos: true })),
    /the books disagree/,
  );
  await assert.rejects(engine.logits([2, 3]), /the books disagree/);
});

Deno.test("Engine.memory() adds up to what the device holds", async () => {
  await using engine = await tinyEngine();
  const before = engine.memory();
  await collect(
    engine.generate({ tokens: [2], maxTokens: 40, ignoreEos: true }),
  );
  const { lines, tiers } = engine.memory();
  const sum = lines.filter((l) => l.tier === "device")
    .reduce((bytes, l) => bytes + l.bytes, 0);
  assert.equal(sum, tiers.device!.used);
  const kv = (m: typeof before) =>
    m.lines.filter((l) => l.owner === "kv").reduce((n, l) => n + l.bytes, 0);
  assert.ok(kv({ lines, tiers }) > kv(before), "blocks stay to be found again");
  engine.cache.evictIdle();
  assert.equal(kv(engine.memory()), kv(before));
  const owners = new Set(lines.map((l) => l.owner));
  for (const owner of ["weights", "activations", "workspace"] as const) {
    assert.ok(owners.has(owner));
  }
});
