import assert from "node:assert/strict";
import type { Mask } from "./format/masks.ts";
import type { SamplingOptions } from "./options.ts";
import { type LogitsRow, Sampler } from "./sampler.ts";

/** Most logits that a backend sorts out. */
const MOST = 128;

/** A row as a backend leaves it for a sampler that wants `top`. */
function rowOf(logits: readonly number[], top: number): LogitsRow {
  const order = logits.map((_, id) => id)
    .sort((a, b) => logits[b]! - logits[a]! || a - b);
  const ids = Array.from({ length: top }, (_, i) => order[i] ?? -1);
  return {
    logits: Float32Array.from(logits),
    topIds: Int32Array.from(ids),
    topLogits: Float32Array.from(ids, (id) => logits[id] ?? -Infinity),
  };
}

/** The definition, step by step over the whole vocabulary. */
function plain(
  o: SamplingOptions,
  logits: readonly number[],
  past: readonly number[] = [],
): number[] {
  const {
    temperature = 0,
    topK = 40,
    topP = 0.95,
    minP = 0.05,
    repetitionPenalty = 1,
    presencePenalty = 0,
    frequencyPenalty = 0,
    penaltyWindow = 64,
    logitBias = {},
  } = o;
  const recent = past.slice(-penaltyWindow);
  const values = logits.map((logit, id) => {
    const times = recent.filter((t) => t === id).length;
    let x = Math.fround(logit);
    if (times > 0) {
      x = x > 0 ? x / repetitionPenalty : x * repetitionPenalty;
      x -= presencePenalty + frequencyPenalty * times;
    }
    return x + (logitBias[id] ?? 0);
  });
  let left = values.map((_, id) => id)
    .sort((a, b) => values[b]! - values[a]! || a - b);
  if (temperature === 0) return values.map((_, id) => id === left[0] ? 1 : 0);
  const softmax = (ids: number[], t: number): number[] => {
    const e = ids.map((id) => Math.exp((values[id]! - values[ids[0]!]!) / t));
    const sum = e.reduce((a, b) => a + b, 0);
    return e.map((x) => x / sum);
  };
  if (topK > 0) left = left.slice(0, topK);
  let reached = 0;
  const p = softmax(left, 1);
  left = left.filter((_, i) => {
    const keep = i === 0 || topP === 1 || reached < topP;
    reached += p[i]!;
    return keep;
  });
  const best = values[left[0]!]!;
  left = left.filter((id, i) =>
    i === 0 || minP === 0 || values[id]! >= best + Math.log(minP)
  );
  const final = softmax(left, temperature);
  return values.map((_, id) => final[left.indexOf(id)] ?? 0);
}

const LOGITS = [1.5, -0.5, 2.25, 0, 2.25, -3, 1, 0.75, -1, 2, -7, 0.25];

const OPEN = { topK: 0, topP: 1, minP: 0 };

/** Options, and what came before. */
type Case = readonly [options: SamplingOptions, past?: readonly number[]];

/** The definition with a mask: other tokens are not there. */
function plainOf(
  o: SamplingOptions,
  logits: readonly number[],
  past: readonly number[],
  ids: readonly number[],
): number[] {
  const kept = [...ids].sort((a, b) => a - b);
  const at = (id: number): number => kept.indexOf(id);
  const bias = Object.entries(o.logitBias ?? {})
    .flatMap(([id, b]) => at(Number(id)) < 0 ? [] : [[at(Number(id)), b]]);
  // Tokens that are not there stay in the window of penalties.
  const elsewhere = kept.length;
  const probabilities = plain(
    { ...o, logitBias: Object.fromEntries(bias) },
    [...kept.map((id) => logits[id]!), -Infinity],
    past.map((id) => at(id) < 0 ? elsewhere : at(id)),
  );
  return logits.map((_, id) => at(id) < 0 ? 0 : probabilities[at(id)]!);
}

const CASES: readonly Case[] = [
  [{ temperature: 1, ...OPEN }],
  [{ temperature: 0.5, ...OPEN }],
  [{ temperature: 2, ...OPEN }],
  [{ temperature: 1, ...OPEN, topK: 3 }],
  [{ temperature: 1, ...OPEN, topK: 200 }],
  [{ temperature: 1, ...OPEN, topK: 5, topP: 0.6 }],
  [{ temperature: 1.3, ...OPEN, topP: 0.8 }],
  [{ temperature: 1, ...OPEN, topP: 0 }],
  [{ temperature: 1, ...OPEN, minP: 0.3 }],
  [{ temperature: 0.9, ...OPEN, minP: 1 }],
  [{ temperature: 3, topK: 9, topP: 0.9, minP: 0.1 }],
  [{ temperature: 1 }],
  [{ temperature: 1, ...OPEN, repetitionPenalty: 1.5 }, [2, 4, 5, 5]],
  [{ temperature: 1, topK: 4, repetitionPenalty: 3 }, [2, 4, 9, 0]],
  [{ temperature: 1, topK: 4, repetitionPenalty: 0.2 }, [5, 3]],
  [{ temperature: 1, ...OPEN, presencePenalty: 1 }, [2, 2, 2, 7]],
  [{ temperature: 1, ...OPEN, frequencyPenalty: 0.5 }, [2, 2, 2, 7]],
  [{ temperature: 1, topK: 2, presencePenalty: -4 }, [10, 5]],
  [{ temperature: 1, ...OPEN, presencePenalty: 5, penaltyWindow: 2 }, [
    2,
    4,
    9,
  ]],
  [{ temperature: 1, topK: 3, logitBias: { 10: 9, 2: -Infinity, 3: 2.5 } }],
  [{
    temperature: 0.8,
    topK: 6,
    topP: 0.9,
    minP: 0.02,
    repetitionPenalty: 1.2,
    presencePenalty: 0.3,
    frequencyPenalty: 0.1,
    logitBias: { 4: -1, 11: 1 },
  }, [2, 9, 9, 0, 11, 4]],
];

Deno.test("Sampler.next() draws from the distribution that its options define", () => {
  for (const [options, past = []] of CASES) {
    const what = JSON.stringify([options, past]);
    const want = plain(options, LOGITS, past);
    // The backend may sort out the largest logits, or none where it cannot.
    for (const most of [MOST, 0]) {
      const n = 4000, counts = LOGITS.map(() => 0);
      for (let seed = 0; seed < 4; seed++) {
        const sampler = new Sampler({ ...options, seed }, LOGITS.length, most);
        for (const token of past) sampler.push(token);
        const row = rowOf(LOGITS, sampler.top);
        for (let i = 0; i < n / 4; i++) counts[sampler.next(row)]!++;
      }
      let chi = 0, cells = -1;
      want.forEach((p, id) => {
        if (p === 0) {
          assert.equal(counts[id], 0, `${what}: drew ${id}`);
          return;
        }
        cells++;
        chi += (counts[id]! - n * p) ** 2 / (n * p);
      });
      const bound = cells + 6 * Math.sqrt(2 * cells) + 1;
      assert.ok(chi < bound, `${what}: χ² ${chi} of ${cells}, most ${most}`);
    }
  }
});

Deno.test("Sampler.next() without a temperature takes the likeliest, ties by lower id", () => {
  const cases: [SamplingOptions, readonly number[], number][] = [
    [{}, [], 2],
    [{ logitBias: { 2: -0.01 } }, [], 4],
    [{ logitBias: { 10: 9.25 } }, [], 2],
    [{ logitBias: { 10: 9.26 } }, [], 10],
    [{ logitBias: { 2: -Infinity, 4: -Infinity } }, [], 9],
    [{ repetitionPenalty: 2 }, [2, 4], 9],
    [{ presencePenalty: 1, penaltyWindow: 1 }, [2, 4], 2],
    [{ presencePenalty: -20 }, [10], 10],
    [{ frequencyPenalty: 0.2 }, [2, 2, 4], 4],
  ];
  for (const [options, past, want] of cases) {
    for (const most of [MOST, 0]) {
      const sampler = new Sampler(options, LOGITS.length, most);
      for (const token of past) sampler.push(token);
      const got = sampler.next(rowOf(LOGITS, sampler.top));
      assert.equal(got, want, JSON.stringify([options, past, most]));
      assert.equal(plain(options, LOGITS, past)[got], 1);
    }
  }
});

Deno.test("Sampler asks the backend for as few logits as will do", () => {
  const top = (o: SamplingOptions) => new Sampler(o, 1000, MOST).top;
  assert.equal(top({}), 1);
  assert.equal(top({ logitBias: { 1: 1, 2: 1 } }), 3);
  assert.equal(top({ temperature: 1 }), 40);
  assert.equal(top({ temperature: 1, topK: 0 }), 0);
  assert.equal(top({ temperature: 1, topK: 129 }), 0);
  // One more for each token that is penalised, not for each that could be.
  const penalising = new Sampler({ presencePenalty: 1 }, 1000, MOST);
  for (const token of [5, 5, 5, 6]) penalising.push(token);
  assert.equal(penalising.top, 3);
  assert.equal(top({ temperature: 1, topK: 100, presencePenalty: 1 }), 100);
});

Deno.test("Sampler looks at no more of a vocabulary than there is", () => {
  const sampler = new Sampler({ temperature: 1, seed: 1 }, 3, MOST);
  const row = rowOf([0, 1, 2], sampler.top), seen = new Set<number>();
  for (let i = 0; i < 200; i++) seen.add(sampler.next(row));
  assert.deepEqual([...seen].sort(), [0, 1, 2]);
});

Deno.test("Sampler makes the same choices for the same seed, and others for another", () => {
  const draw = (seed: number | undefined): string => {
    const options = {
      temperature: 1.5,
      topK: 0,
      ...(seed === undefined ? {} : { seed }),
    };
    const sampler = new Sampler(options, LOGITS.length, MOST);
    const row = rowOf(LOGITS, sampler.top);
    return Array.from({ length: 40 }, () => sampler.next(row)).join();
  };
  assert.equal(draw(7), draw(7));
  assert.notEqual(draw(7), draw(8));
  assert.notEqual(draw(undefined), draw(undefined));
});

Deno.test("Sampler.push() forgets what is further back than the window", () => {
  const sampler = new Sampler(
    { presencePenalty: 9, penaltyWindow: 3 },
    12,
    MOST,
  );
  const past: number[] = [];
  for (let i = 0; i < 60; i++) {
    const row = rowOf(LOGITS, sampler.top);
    const want = plain({ presencePenalty: 9, penaltyWindow: 3 }, LOGITS, past);
    const got = sampler.next(row);
    assert.equal(want[got], 1, `after ${past}`);
    sampler.push(got);
    past.push(got);
  }
});

Deno.test("Sampler makes the same choices from all logits as from the sorted-out ones", () => {
  const logits = Array.from(
    { length: 3000 },
    // Ties, and a tail that min-p cuts.
    (_, i) => Math.round(Math.sin(i * 7) * 90) / 10,
  );
  for (
    const options of [
      { temperature: 1, topK: 50, topP: 1, minP: 0 },
      { temperature: 1, topK: 50, topP: 0.9, minP: 0 },
      { temperature: 1, topK: 20, topP: 1, minP: 0.4 },
      { temperature: 2, topK: 30, topP: 0.99, minP: 0.1, presencePenalty: 3 },
      { temperature: 1, logitBias: { 7: 20, 8: 20, 9: -Infinity } },
      { repetitionPenalty: 1.5, frequencyPenalty: 0.5 },
      { presencePenalty: -2 },
    ]
  ) {
    const few = new Sampler({ ...options, seed: 5 }, 3000, MOST);
    const all = new Sampler({ ...options, seed: 5 }, 3000, 0);
    for (let i = 0; i < 50; i++) {
      assert.ok(few.top > 0 && all.top === 0);
      const token = few.next(rowOf(logits, few.top));
      assert.equal(all.next(rowOf(logits, 0)), token, JSON.stringify(options));
      few.push(token);
      all.push(token);
    }
  }
});

/** The shortest of a few runs, milliseconds. */
function fastest(run: () => void): number {
  let least = Infinity;
  for (let i = 0; i < 5; i++) {
    const started = performance.now();
    run();
    least = Math.min(least, performance.now() - started);
  }
  return least;
}

Deno.test("Sampler.next() looks at a whole vocabulary in less time than sorting it takes", () => {
  const vocab = 100_000;
  const row: LogitsRow = {
    logits: Float32Array.from({ length: vocab }, (_, i) => Math.sin(i) * 8),
    topIds: new Int32Array(MOST),
    topLogits: new Float32Array(MOST),
  };
  const sort = fastest(() => [...row.logits].sort((a, b) => b - a));
  for (
    const options of [
      { temperature: 1, topK: 200, presencePenalty: 1, penaltyWindow: 4096 },
      { temperature: 1, topK: 0 },
      { temperature: 1, ...OPEN, topP: 0.95 },
      { temperature: 0, presencePenalty: 1, penaltyWindow: 4096 },
    ]
  ) {
    const sampler = new Sampler({ ...options, seed: 1 }, vocab, MOST);
    for (let i = 0; i < 4096; i++) sampler.push(i * 3);
    assert.equal(sampler.top, 0);
    const ms = fastest(() => sampler.push(sampler.next(row)));
    assert.ok(ms < sort, `${ms} ms, ${sort} for ${JSON.stringify(options)}`);
  }
});

Deno.test("Sampler.next() is -1 where no logit is a finite number", () => {
  const bad = [[NaN, NaN], [-Infinity, NaN], [-Infinity, -Infinity]];
  const ways: SamplingOptions[] = [{}, { temperature: 1 }, {
    logitBias: { 1: 1 },
  }];
  for (const logits of bad) {
    for (const options of ways) {
      const all = new Sampler(options, 2, 0);
      assert.equal(all.next(rowOf(logits, 0)), -1);
      const few = new Sampler({ ...options, topK: 1 }, 2, MOST);
      const row = rowOf(logits, few.top);
      row.topIds.fill(-1);
      assert.equal(few.next(row), -1);
    }
  }
  for (const options of ways) {
    const sampler = new Sampler(options, 3, 0);
    assert.equal(sampler.next(rowOf([NaN, 2, -Infinity], 0)), 1);
  }
});

Deno.test("Sampler refuses options out of bounds, and names them", () => {
  const bad: [SamplingOptions, RegExp][] = [
    [{ temperature: NaN }, /"temperature" NaN: a number from 0 to 100/],
    [{ temperature: -0.1 }, /"temperature" -0.1/],
    [{ temperature: Infinity }, /"temperature" Infinity/],
    [{ topK: 1.5 }, /"topK" 1.5: a whole number/],
    [{ topK: -1 }, /"topK" -1/],
    [{ topP: 1.1 }, /"topP" 1.1/],
    [{ topP: NaN }, /"topP" NaN/],
    [{ minP: -1 }, /"minP" -1/],
    [{ repetitionPenalty: 0 }, /"repetitionPenalty" 0/],
    [{ presencePenalty: Infinity }, /"presencePenalty" Infinity/],
    [{ frequencyPenalty: NaN }, /"frequencyPenalty" NaN/],
    [{ penaltyWindow: 0 }, /"penaltyWindow" 0/],
    [{ seed: 0.5 }, /"seed" 0.5/],
    [{ seed: -1 }, /"seed" -1/],
    [
      { logitBias: { 12: 1 } },
      /"logitBias" for token "12": ids go from 0 to 11/,
    ],
    [{ logitBias: { [-1]: 1 } }, /"logitBias" for token "-1"/],
    [{ logitBias: { 0.5: 1 } }, /"logitBias" for token "0.5"/],
    [{ logitBias: { 1: NaN } }, /"logitBias" NaN for token "1"/],
    [{ logitBias: { 1: Infinity } }, /"logitBias" Infinity for token "1"/],
    [
      { temperature: "1" as unknown as number },
      /"temperature" 1: a number/,
    ],
  ];
  for (const [options, message] of bad) {
    assert.throws(() => new Sampler(options, 12, MOST), (error: Error) => {
      assert.match(error.message, message);
      return error instanceof RangeError;
    });
  }
});

Deno.test("Sampler.nextOf() chooses among allowed tokens as if there were no others", () => {
  const masks = [[3], [0, 2, 4, 9], [1, 5, 8, 10], [0, 1, 2, 3, 6, 7, 11]];
  const vocab = LOGITS.length, rounds = 2000;
  for (const [options, past = []] of CASES) {
    for (const ids of masks) {
      const bits = new Uint32Array(1);
      for (const id of ids) bits[0]! |= 1 << id;
      const forms: Mask[] = [
        {
          count: ids.length,
          ids: Int32Array.from(ids),
          bits: undefined,
          reach: 0,
        },
        { count: ids.length, ids: undefined, bits, reach: 0 },
      ];
      const want = plainOf(options, LOGITS, past, ids);
      if (want.some(Number.isNaN)) continue;
      for (const mask of forms) {
        for (const most of [4, vocab]) {
          const sampler = new Sampler({ ...options, seed: 5 }, vocab, most);
          for (const token of past) sampler.push(token);
          const counts = new Array<number>(vocab).fill(0);
          for (let i = 0; i < rounds; i++) {
            counts[sampler.nextOf(rowOf(LOGITS, most), mask)]!++;
          }
          counts.forEach((n, id) => {
            const what = `${JSON.stringify(options)} ${ids} ${id}`;
            if (want[id] === 0) assert.equal(n, 0, what);
            assert.ok(Math.abs(n / rounds - want[id]!) < 0.05, what);
          });
        }
      }
    }
  }
});

Deno.test("Sampler.nextOf() keeps to the mask where a bias forbids all of it", () => {
  const logitBias = { 1: -Infinity, 3: -Infinity };
  const mask = {
    count: 2,
    ids: Int32Array.of(1, 3),
    bits: undefined,
    reach: 0,
  };
  for (const temperature of [0, 1]) {
    const sampler = new Sampler({ temperature, logitBias, seed: 1 }, 12, MOST);
    assert.equal([1, 3].includes(sampler.nextOf(rowOf(LOGITS, 4), mask)), true);
    const none = LOGITS.map(() => NaN);
    assert.equal(sampler.nextOf(rowOf(none, 4), mask), -1);
  }
});
