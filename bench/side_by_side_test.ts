import assert from "node:assert/strict";
import type { SpeedCase } from "../evaluate/speed_rows.ts";
import type { Contestant, Sample, Setting } from "./contest.ts";
import {
  chooseSettings,
  type Entry,
  type RunNote,
  sideBySide,
} from "./side_by_side.ts";

type Figures = Sample["figures"];

/** Someone whose runs give what `answer` says, and the log of all runs. */
function contestant(
  name: Contestant["name"],
  ids: readonly string[],
  log: string[],
  answer: (setting: string, cases: readonly SpeedCase[]) => Figures,
): Contestant {
  return {
    name,
    settings: ids.map((id) => ({ id, threads: 1, args: [] })),
    probe: (c) => c,
    can: () => true,
    run({ id }, cases) {
      log.push(`${name}/${id}: ${cases.join(",")}`);
      return Promise.resolve().then(() => ({ figures: answer(id, cases) }));
    },
  };
}

Deno.test("sideBySide() runs everyone in turn, by the setting chosen first", async () => {
  const log: string[] = [];
  const fast: Record<string, Figures> = {
    a: { decode: 10, prefill32: 50 },
    b: { decode: 20, prefill32: 40 },
  };
  const standing = await sideBySide([
    {
      contestant: contestant("quire", ["x"], log, () => ({ decode: 100 })),
      cases: ["decode", "prefill32"],
    },
    {
      contestant: contestant(
        "nlc",
        ["a", "b"],
        log,
        (id, cases) =>
          Object.fromEntries(
            cases.map((c) => [c, fast[id]![c as "decode"]!]),
          ),
      ),
      cases: ["decode", "prefill32"],
    },
  ], { rounds: 2 });
  const round = [
    "quire/x: decode,prefill32",
    "nlc/b: decode",
    "nlc/a: prefill32",
  ];
  assert.deepEqual(log, [
    "nlc/a: decode,prefill32",
    "nlc/b: decode,prefill32",
    ...round,
    ...round,
  ]);
  assert.deepEqual(standing.get("nlc"), {
    prefill32: {
      setting: "a",
      median: 50,
      min: 50,
      max: 50,
      n: 2,
      values: [50, 50],
    },
    decode: {
      setting: "b",
      median: 20,
      min: 20,
      max: 20,
      n: 2,
      values: [20, 20],
    },
  });
});

Deno.test("sideBySide() keeps every round's value and its median, not the choosing run's", async () => {
  const given = [999, 1, 2, 9];
  const standing = await sideBySide([{
    contestant: contestant("nlc", ["a", "b"], [], (id) => ({
      decode: id === "b" ? 0.5 : given.shift()!,
    })),
    cases: ["decode"],
  }], { rounds: 3 });
  const { median, min, max, values } = standing.get("nlc")!.decode!;
  assert.deepEqual({ median, min, max }, { median: 2, min: 1, max: 9 });
  assert.deepEqual(values, [1, 2, 9]);
});

Deno.test("sideBySide() measures memory in the first round only", async () => {
  const log: string[] = [];
  await sideBySide([{
    contestant: contestant("quire", ["x"], log, () => ({})),
    cases: ["memory", "decode"],
  }, {
    contestant: contestant("nlc", ["x"], log, () => ({})),
    cases: ["memory"],
  }], { rounds: 2 });
  assert.deepEqual(log, [
    "quire/x: memory,decode",
    "nlc/x: memory",
    "quire/x: decode",
  ]);
});

Deno.test("sideBySide() goes on without a peer's run that failed, and says so", async () => {
  const notes: RunNote[] = [];
  let calls = 0;
  const standing = await sideBySide([{
    contestant: contestant("wllama", ["a"], [], () => {
      if (++calls === 2) throw new Error("the browser died");
      return { decode: calls };
    }),
    cases: ["decode"],
  }], { rounds: 3, onRun: (note) => notes.push(note) });
  assert.deepEqual(standing.get("wllama")!.decode!.values, [1, 3]);
  const ended = notes.filter((n) => n.took !== undefined);
  assert.deepEqual(ended.map((n) => n.error), [
    undefined,
    "the browser died",
    undefined,
  ]);
});

Deno.test("sideBySide() does not go on without Quire", async () => {
  const quire = contestant("quire", ["x"], [], () => {
    throw new Error("no such model");
  });
  await assert.rejects(
    sideBySide([{ contestant: quire, cases: ["decode"] }], { rounds: 1 }),
    /no such model/,
  );
});

Deno.test("sideBySide() tells how it stands after each round", async () => {
  const counts: number[] = [];
  await sideBySide([{
    contestant: contestant("quire", ["x"], [], () => ({ decode: 5 })),
    cases: ["decode"],
  }], {
    rounds: 3,
    onRound: (now) => counts.push(now.get("quire")!.decode!.n),
  });
  assert.deepEqual(counts, [1, 2, 3]);
});

function chosen(
  cases: readonly SpeedCase[],
  samples: Record<string, Figures>,
): Record<string, SpeedCase[]> {
  const ids = Object.keys(samples);
  const who = contestant("nlc", ids, [], () => ({}));
  const entry: Entry = { contestant: who, cases };
  const of = new Map<Setting, Sample>(
    who.settings.map((s) => [s, { figures: samples[s.id]! }]),
  );
  return Object.fromEntries(
    [...chooseSettings(entry, of)].map(([s, list]) => [s.id, list]),
  );
}

Deno.test("chooseSettings() takes the largest rate and the least memory", () => {
  assert.deepEqual(
    chosen(["decode", "memory"], {
      a: { decode: 9, memory: 100 },
      b: { decode: 10, memory: 200 },
    }),
    { b: ["decode"], a: ["memory"] },
  );
});

Deno.test("chooseSettings() lets a load come with what runs anyway", () => {
  const samples = {
    a: { decode: 9, load: 1, memory: 1 },
    b: { decode: 10, load: 2, memory: 2 },
  };
  assert.deepEqual(chosen(["load", "decode"], samples), {
    b: ["decode", "load"],
  });
  assert.deepEqual(chosen(["load"], samples), { a: ["load"] });
  assert.deepEqual(chosen(["load", "memory"], samples), {
    a: ["memory", "load"],
  });
});

Deno.test("chooseSettings() falls back to the first setting where none was tried", () => {
  assert.deepEqual(chosen(["decode"], { a: {}, b: {} }), { a: ["decode"] });
});
