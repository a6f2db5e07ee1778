import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { type BeamOptions, type BeamResult, BeamSearch } from "./beams.ts";
import { seeded } from "./random.ts";

/** Log-probabilities of every token after some. */
type Model = (prefix: readonly number[]) => readonly number[];

type Settings = Required<
  { [K in keyof BeamOptions]: NonNullable<BeamOptions[K]> }
>;

/** Results, and the steps they took. */
interface Outcome {
  readonly results: readonly BeamResult[];
  readonly steps: number;
}

/** A search over a model. Every list has only as many tokens as are wanted, worst first. */
function searched(options: BeamOptions, model: Model): Outcome {
  const search = new BeamSearch(options);
  let live: number[][] = [[]], steps = 0;
  for (; !search.done; steps++) {
    assert.equal(search.length, steps);
    search.step(live.map((prefix) => {
      const row = model(prefix);
      const ids = [...row.keys()].filter((id) => row[id]! > -Infinity)
        .sort((a, b) => row[b]! - row[a]! || a - b)
        .slice(0, search.candidatesWanted).reverse();
      return {
        ids: Int32Array.of(...ids, -1, 0),
        logProbs: Float64Array.of(...ids.map((id) => row[id]!), 0, 0),
      };
    }));
    live = Array.from(
      { length: search.live },
      (_, i) => [...live[search.parents[i]!]!, search.tokens[i]!],
    );
    live.forEach((prefix, i) => {
      const sum = prefix.reduce(
        (s, t, n) => s + model(prefix.slice(0, n))[t]!,
        0,
      );
      assert.equal(search.logProb(i), sum);
    });
  }
  return { results: search.results(), steps };
}

/** The definition, word by word over the whole vocabulary. */
function defined(o: Settings, model: Model, stops = true): Outcome {
  const most = Math.max(2, 1 + o.eog.size) * o.width;
  let running: { tokens: number[]; logProb: number }[] = [{
    tokens: [],
    logProb: 0,
  }];
  let finished: BeamResult[] = [];
  for (let steps = 1;; steps++) {
    const top = running.flatMap((from, beam) =>
      model(from.tokens).map((p, token) => ({
        beam,
        token,
        tokens: [...from.tokens, token],
        logProb: from.logProb + p,
        ends: o.eog.has(token) || steps === o.maxTokens,
      }))
    ).filter((c) => Number.isFinite(c.logProb)).sort((a, b) =>
      b.logProb - a.logProb || a.beam - b.beam || a.token - b.token
    ).slice(0, most);
    running = top.filter((c) => !c.ends).slice(0, o.width);
    const ended = top.slice(0, o.width).filter((c) => c.ends);
    finished = [
      ...finished,
      ...ended.map(({ tokens, token, logProb }): BeamResult => ({
        tokens,
        finish: o.eog.has(token) ? "stop" : "length",
        logProb,
        score: logProb / steps ** o.lengthPenalty,
      })),
    ].sort((a, b) => b.score - a.score).slice(0, o.width);
    const results = finished.slice(0, o.returns);
    if (running.length === 0) return { results, steps };
    if (!stops || finished.length < o.width) continue;
    const length = o.earlyStopping === "never" && o.lengthPenalty > 0
      ? o.maxTokens
      : steps;
    const hope = running[0]!.logProb / length ** o.lengthPenalty;
    if (o.earlyStopping === true || finished.at(-1)!.score >= hope) {
      return { results, steps };
    }
  }
}

/** Every sequence there is, best first. */
function all(o: Settings, model: Model): BeamResult[] {
  const found: BeamResult[] = [];
  const visit = (tokens: number[], logProb: number): void => {
    const stop = o.eog.has(tokens.at(-1) ?? -1);
    if (stop || tokens.length === o.maxTokens) {
      found.push({
        tokens,
        finish: stop ? "stop" : "length",
        logProb,
        score: logProb / tokens.length ** o.lengthPenalty,
      });
    } else model(tokens).forEach((p, t) => visit([...tokens, t], logProb + p));
  };
  visit([], 0);
  return found.sort((a, b) => b.score - a.score);
}

type Kind = "smooth" | "coarse" | "holes";

/**
 * A table of random rows. "smooth": probabilities; "coarse": few values, many
 * equal; "holes": some that are no finite number.
 */
function table(seed: number, vocab: number, kind: Kind): Model {
  const rows = new Map<string, number[]>();
  return (prefix) => {
    const key = prefix.join();
    const known = rows.get(key);
    if (known) return known;
    const random = seeded(
      prefix.reduce((h, t) => Math.imul(h ^ (t + 1), 0x01000193) + 7, seed),
    );
    let row = Array.from({ length: vocab }, () => 5 * random());
    if (kind === "coarse") row = row.map((x) => -Math.floor(x) / 4);
    else {
      const sum = row.reduce((s, x) => s + Math.exp(x), 0);
      row = row.map((x) => x - Math.log(sum));
    }
    if (kind === "holes") {
      row = row.map((x) => [x, x, NaN, -Infinity][Math.floor(4 * random())]!);
    }
    rows.set(key, row);
    return row;
  };
}

/** A model by hand; a token that is not named has -9. */
function byHand(rows: Readonly<Record<string, readonly number[]>>): Model {
  return (prefix) => rows[prefix.join()] ?? [-9, -9, -9];
}

const PENALTIES = [-1, 0, 0.5, 1, 2];
const STOPPING = [true, false, "never"] as const;

/** Settings and a model for them. */
const CASES = fc.record({
  seed: fc.integer(),
  kind: fc.constantFrom<Kind>("smooth", "coarse", "holes"),
  vocab: fc.integer({ min: 3, max: 12 }),
  ends: fc.uniqueArray(fc.nat(2), { maxLength: 2 }),
  width: fc.integer({ min: 1, max: 6 }),
  lengthPenalty: fc.constantFrom(...PENALTIES),
  earlyStopping: fc.constantFrom(...STOPPING),
  maxTokens: fc.integer({ min: 1, max: 8 }),
}).map(({ seed, kind, vocab, ends, ...o }) => ({
  model: table(seed, vocab, kind),
  settings: { ...o, eog: new Set(ends), returns: o.width },
}));

/** As many on every run, the same ones. */
const RUNS = { numRuns: 4000, seed: 4 };

Deno.test("BeamSearch.results() are those of the definition, in order, bit by bit", () => {
  fc.assert(
    fc.property(CASES, ({ settings, model }) => {
      assert.deepEqual(searched(settings, model), defined(settings, model));
    }),
    RUNS,
  );
});

Deno.test("BeamSearch.results() do not depend on stopping where it waits for certainty", () => {
  let saved = 0;
  fc.assert(
    fc.property(CASES, ({ settings, model }) => {
      const { lengthPenalty, earlyStopping } = settings;
      // No sum ever rises, so that the bound on what live ones can reach holds:
      // for `false` only if their scores cannot rise with their length either.
      fc.pre(
        earlyStopping === "never" || (!earlyStopping && lengthPenalty <= 0),
      );
      const found = searched(settings, model);
      const whole = defined(settings, model, false);
      assert.deepEqual(found.results, whole.results);
      if (found.steps < whole.steps) saved++;
    }),
    RUNS,
  );
  assert.ok(saved > 500, `${saved} searches stopped early`);
});

Deno.test("BeamSearch.results() are the best of all sequences where none is left out", () => {
  // With room for every sequence there is, no live hypothesis is left out, and
  // `width` are finished only when all are: every setting must find the best.
  for (
    const [vocab, ends, maxTokens, count] of [
      [3, 1, 5, 63],
      [4, 1, 3, 40],
      [4, 2, 4, 46],
      [8, 0, 2, 64],
      [5, 3, 4, 61],
      [2, 1, 8, 9],
    ] as const
  ) {
    for (const lengthPenalty of PENALTIES) {
      for (const earlyStopping of STOPPING) {
        for (let seed = 0; seed < 4; seed++) {
          const settings: Settings = {
            width: count,
            lengthPenalty,
            earlyStopping,
            maxTokens,
            eog: new Set([...Array(ends).keys()]),
            returns: count,
          };
          const model = table(seed, vocab, "smooth");
          const want = all(settings, model);
          assert.equal(want.length, count);
          assert.deepEqual(searched(settings, model).results, want);
          const one = searched({ ...settings, returns: 1 }, model).results;
          assert.deepEqual(one, want.slice(0, 1));
        }
      }
    }
  }
});

/**
 * What `generate()` of transformers 5.24.0 returned for a model whose logits are
 * the formula in the test (prompt [0], no cache, f32). A line each: seed, tokens
 * there are, divisor, end tokens; width, length penalty, early stopping, most
 * tokens, steps taken; results and their scores.
 */
const TRANSFORMERS = `
73972 4 8192 1,3 | 2 2 false 6 1 | 1 -0.22116567; 3 -1.7004137
46621 11 8192 8 | 3 2 never 6 6 | 2,8 -0.12446326; 7,1,1,3,6,5 -0.12901466; 7,5,9,7,5,2 -0.14219202
31377 6 16384 5,1 | 3 0 never 8 3 | 5 -1.5645928; 4,5 -1.9984579
90770 10 40000 5 | 3 1 never 6 6 | 7,7,4,8,1,9 -1.4509063; 7,7,4,8,3,8 -1.474238
56875 6 40000 2 | 3 -1 never 7 3 | 2 -1.689082; 4,2 -5.3759561
6127 10 40000 3,1 | 4 2 true 6 6 | 9,8,6,2,6,1 -0.26921946; 9,2,2,5,2,4 -0.27080077; 9,2,6,0,8,9 -0.27091736
71799 10 8192 3 | 3 -1 true 6 6 | 3 -0.47630224; 8,3 -9.5010519; 9,0,8,7,8,5 -19.441019
62299 8 40000 3,4 | 3 0 true 7 5 | 4 -1.7588764; 0,5,1,3 -5.5352492; 0,5,6,5,3 -7.0131254
4180 11 16384 10,6 | 5 0.5 false 8 8 | 2,8,6 -1.6787602; 2,8,10 -1.8500202
43905 8 40000 0 | 4 0.5 never 6 6 | 0 -2.1003611; 1,5,0 -2.3547409; 7,4,0 -2.445488
50900 4 16384 0 | 3 -1 false 7 4 | 3,2,0 -2.6718791; 0 -3.1543903; 3,1,0 -5.7647271
34053 10 40000 1 | 4 1 true 7 7 | 3,9,9,1 -1.4649284; 3,9,9,5,3,8,0 -1.4731128
85794 11 16384 1 | 3 0.5 true 6 6 | 7,1 -1.4291301; 4,6,8,10,6,8 -2.3223236; 4,8,4,5,5,8 -2.5578437
24144 9 40000 4 | 4 0 false 7 7 | 6,1,7,4 -5.4922819; 6,1,3,0,4 -7.0629225
35962 6 8192 4,1 | 2 1 false 6 4 | 2,5,0,4 -0.20755792; 2,5,0,1 -0.72330499
1581 5 16384 - | 3 2 true 5 5 | 3,0,2,0,3 -0.086361572; 3,1,1,1,0 -0.12912485
`;

Deno.test("BeamSearch.results() are those of transformers 5.24.0", () => {
  for (const line of TRANSFORMERS.trim().split("\n")) {
    const [where, how, what] = line.split(" | ");
    const [seed, vocab, divisor, ends] = where!.split(" ");
    const [width, penalty, stopping, maxTokens, steps] = how!.split(" ");
    const model: Model = (prefix) => {
      let h = Number(seed);
      for (const token of prefix) h = (h * 31 + token * 7 + 11) % 100003;
      const logits = Array.from(
        { length: Number(vocab) },
        (_, v) =>
          ((h + 1) * (v + 1) * 7919 + (h + 3) * (h + 5) * 104729 +
              v * v * 15485863) % 99991 / Number(divisor),
      );
      const sum = logits.reduce((s, x) => s + Math.exp(x), 0);
      return logits.map((x) => x - Math.log(sum));
    };
    const want = what!.split("; ").map((result) => result.split(" "));
    const found = searched({
      width: Number(width),
      lengthPenalty: Number(penalty),
      earlyStopping: stopping === "never" ? stopping : stopping === "true",
      maxTokens: Number(maxTokens),
      eog: new Set(ends === "-" ? [] : ends!.split(",").map(Number)),
      returns: want.length,
    }, model);
    assert.equal(found.steps, Number(steps), line);
    assert.deepEqual(
      found.results.map((r) => r.tokens.join()),
      want.map((w) => w[0]),
    );
    found.results.forEach((r, i) => {
      assert.ok(Math.abs(r.score / Number(want[i]![1]) - 1) < 1e-6, line);
    });
  }
});

Deno.test("BeamSearch.results() score by length penalty", () => {
  // [0] has -1, [1, 0] has -1.75: at least as good for powers above log2(1.75).
  const model = byHand({ "": [-1, -1.5, -9], "1": [-0.25, -3, -9] });
  for (
    const [lengthPenalty, first, ended] of [
      [-1, -1, -3.5],
      [0, -1, -1.75],
      [1, -0.875, -1],
      [2, -0.4375, -1],
    ] as const
  ) {
    const { results } = searched(
      { width: 2, lengthPenalty, maxTokens: 2, eog: new Set([0]), returns: 2 },
      model,
    );
    const short: BeamResult = {
      tokens: [0],
      finish: "stop",
      logProb: -1,
      score: -1,
    };
    const long: BeamResult = {
      tokens: [1, 0],
      finish: "stop",
      logProb: -1.75,
      score: lengthPenalty > 0 ? first : ended,
    };
    assert.deepEqual(
      results,
      lengthPenalty > 0 ? [long, short] : [short, long],
    );
  }
  // The default power is 1.
  const { results } = searched(
    { width: 2, maxTokens: 2, eog: new Set([0]) },
    model,
  );
  assert.deepEqual(results.map((r) => r.score), [-0.875]);
});

Deno.test("BeamSearch.done as each way of stopping says", () => {
  // Step 2 finishes the second, at -2.25 / 2; the best live one, [1, 1], has -1.5 / 2.
  // Step 3 leaves it -3.75: below -1.125 over 3 tokens, above over 4.
  // Step 4 ends it with -3.875 / 4, better than all.
  const model = byHand({
    "": [-1, -1.25, -3],
    "1": [-1, -0.25, -9],
    "1,1": [-3, -2.25, -9],
    "1,1,1": [-0.125, -9, -9],
  });
  const of = (
    earlyStopping: boolean | "never" | undefined,
    lengthPenalty?: number,
  ): unknown[] => {
    const { steps, results } = searched({
      width: 2,
      maxTokens: 4,
      eog: new Set([0]),
      returns: 2,
      earlyStopping,
      lengthPenalty,
    }, model);
    return [steps, ...results.map((r) => [r.tokens.join(), r.score])];
  };
  assert.deepEqual(of(true), [2, ["0", -1], ["1,0", -1.125]]);
  assert.deepEqual(of(false), [3, ["0", -1], ["1,0", -1.125]]);
  assert.deepEqual(of(undefined), of(false));
  assert.deepEqual(of("never"), [4, ["1,1,1,0", -0.96875], ["0", -1]]);
  // Without a penalty the sum itself is what a live one can reach: -3.75 at step 3.
  assert.deepEqual(of("never", 0), [3, ["0", -1], ["1,0", -2.25]]);
  assert.deepEqual(of("never", -1), [3, ["0", -1], ["1,0", -4.5]]);
});

Deno.test("BeamSearch.step() drops an end token that ranks below the width", () => {
  const model = byHand({
    "": [-3, -1, -2],
    "1": [-9, -1, -9],
    "2": [-9, -1, -9],
  });
  const { results } = searched(
    {
      width: 2,
      maxTokens: 2,
      eog: new Set([0]),
      returns: 2,
      lengthPenalty: -1,
    },
    model,
  );
  assert.deepEqual(
    results.map((r) => [r.tokens.join(), r.finish, r.score]),
    [["1,1", "length", -4], ["2,1", "length", -6]],
  );
});

Deno.test("BeamSearch.step() keeps the lower hypothesis and token of equals", () => {
  const search = new BeamSearch({ width: 2, maxTokens: 9, eog: new Set() });
  const list = (...ids: number[]) => ({
    ids: Int32Array.from(ids),
    logProbs: new Float32Array(ids.length).fill(-1),
  });
  const { parents, tokens } = search;
  search.step([list(7, 5, 6)]);
  assert.deepEqual([...tokens], [5, 6]);
  search.step([list(8), list(3, 2)]);
  assert.deepEqual([[...parents], [...tokens]], [[0, 1], [8, 2]]);
  search.step([list(9, 8, 7), list(1)]);
  assert.deepEqual([[...parents], [...tokens]], [[0, 0], [7, 8]]);
  // The caller may keep the arrays: they are the same at every step.
  assert.equal(search.parents, parents);
  assert.equal(search.tokens, tokens);
});

Deno.test("BeamSearch of width 1 is the greedy choice", () => {
  for (const earlyStopping of [true, false] as const) {
    for (let seed = 0; seed < 50; seed++) {
      const model = table(seed, 5, "smooth"), greedy: number[] = [];
      while (greedy.length < 8 && greedy.at(-1) !== 0) {
        const row = model(greedy);
        greedy.push(row.indexOf(Math.max(...row)));
      }
      const { results, steps } = searched(
        { width: 1, maxTokens: 8, eog: new Set([0]), earlyStopping },
        model,
      );
      assert.deepEqual(results.map((r) => r.tokens), [greedy]);
      assert.equal(steps, greedy.length);
    }
  }
});

Deno.test("BeamSearch.live is what there is where candidates are few", () => {
  const row = (...logProbs: number[]) => ({
    ids: Int32Array.from(logProbs.keys()),
    logProbs: Float32Array.from(logProbs),
  });
  const options: BeamOptions = {
    width: 6,
    maxTokens: 3,
    eog: new Set([0]),
    returns: 6,
  };
  const search = new BeamSearch(options);
  assert.equal(search.candidatesWanted, 7);
  search.step([row(-1, -2, -3, NaN, -Infinity, Infinity)]);
  assert.deepEqual([...search.tokens.subarray(0, search.live)], [1, 2]);
  search.step([row(-1, -1, -1), row(-1, -1, -1)]);
  assert.equal(search.live, 4);

  // Nothing but end tokens: what has finished is all there is.
  search.step([row(-1), row(-1), row(NaN), row()]);
  assert.ok(search.done);
  assert.deepEqual(
    search.results().map((r) => r.tokens.join()),
    ["0", "1,1,0", "1,2,0", "1,0", "2,0"],
  );
  // No candidate at all.
  const none = new BeamSearch(options);
  none.step([row(NaN, -Infinity)]);
  assert.ok(none.done);
  assert.deepEqual(none.results(), []);
});

Deno.test("BeamSearch keeps histories of any length, and scores at any penalty", () => {
  const model: Model = (prefix) => [-4, -1 / (1 + prefix.length % 5), -0.5];
  const o: Settings = {
    width: 3,
    lengthPenalty: 1,
    earlyStopping: "never",
    maxTokens: 300,
    eog: new Set([0]),
    returns: 3,
  };
  assert.deepEqual(searched(o, model), defined(o, model));
  // Lengths to such a power are Infinity or 0.
  for (const lengthPenalty of [1e6, -1e6]) {
    const { results } = searched(
      { ...o, lengthPenalty, maxTokens: 2, eog: new Set() },
      () => [0, -1],
    );
    assert.deepEqual(results[0]!.tokens, [0, 0]);
    assert.equal(results[0]!.score, 0);
  }
});

Deno.test("BeamSearch refuses options out of bounds and steps that cannot be", () => {
  const good: BeamOptions = { width: 4, maxTokens: 8, eog: new Set([1]) };
  for (
    const [bad, message] of [
      [{ width: 0 }, `"width" 0: a whole number from 1 to 64 is wanted`],
      [{ width: 65 }, `"width" 65: a whole number from 1 to 64 is wanted`],
      [{ width: 1.5 }, `"width" 1.5: a whole number from 1 to 64 is wanted`],
      [{ maxTokens: 0 }, `"maxTokens" 0: a whole number from 1 is wanted`],
      [
        { maxTokens: Infinity },
        `"maxTokens" Infinity: a whole number from 1 is wanted`,
      ],
      [{ returns: 5 }, `"returns" 5: a whole number from 1 to 4 is wanted`],
      [{ returns: 0 }, `"returns" 0: a whole number from 1 to 4 is wanted`],
      [
        { lengthPenalty: NaN },
        `"lengthPenalty" NaN: a finite number is wanted`,
      ],
      [
        { lengthPenalty: Infinity },
        `"lengthPenalty" Infinity: a finite number is wanted`,
      ],
      [
        { earlyStopping: "always" as "never" },
        `"earlyStopping" always: true, false or "never" is wanted`,
      ],
    ] as const
  ) {
    assert.throws(
      () => new BeamSearch({ ...good, ...bad }),
      { name: "RangeError", message: `Cannot search with ${message}` },
    );
  }
  for (const o of [{ width: 64, returns: 64 }, { width: 1, maxTokens: 1 }]) {
    new BeamSearch({ ...good, ...o });
  }
  const search = new BeamSearch({ ...good, maxTokens: 1 });
  assert.throws(() => search.step([]), {
    name: "RangeError",
    message:
      'Cannot step "beam search": 1 lists of candidates are wanted, there are 0, give one for each live hypothesis',
  });
  search.step([{ ids: Int32Array.of(2), logProbs: Float32Array.of(-1) }]);
  assert.throws(() => search.step([]), {
    name: "Error",
    message: 'Cannot step "beam search": it is done, take its results',
  });
});
