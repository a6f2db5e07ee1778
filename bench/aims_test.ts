import assert from "node:assert/strict";
import { FIGURES } from "../evaluate/speed_rows.ts";
import { catalog } from "../models/catalog.ts";
import {
  type Aim,
  aimCases,
  AIMS,
  aimsFor,
  judge,
  verdictLine,
} from "./aims.ts";

const RATE: Aim = {
  figure: "decode",
  against: "wllama",
  figures: ["decode"],
  factor: 6,
};
const TIME: Aim = {
  figure: "loadAndFirstToken",
  against: "wllama",
  figures: ["load"],
  factor: 0.5,
};
const BATCH: Aim = {
  figure: "batch8",
  against: "nlc",
  figures: ["batch4", "batch8"],
  factor: 1.5,
};

/** Medians by "contestant/figure". */
const from = (medians: Record<string, number>) => (name: string, f: string) =>
  medians[`${name}/${f}`];

Deno.test("AIMS name figures, models of the catalogue and factors above 0", () => {
  for (const { figure, figures, model, factor } of AIMS) {
    for (const name of [figure, ...figures]) assert.ok(FIGURES.includes(name));
    assert.ok(model === undefined || catalog.has(model));
    assert.ok(factor > 0);
  }
});

Deno.test("aimsFor() gives a model its own aims and those of all", () => {
  const at = (model: string | undefined) =>
    aimsFor(model).filter((a) => a.figure === "decode1000")
      .map((a) => a.against);
  assert.deepEqual(at("smollm2"), ["native"]);
  assert.deepEqual(at("gemma3-270m"), ["nlc"]);
  assert.deepEqual(at(undefined), []);
  assert.ok(aimsFor(undefined).length > 0);
});

Deno.test("aimCases() asks a peer for what it is compared by, Quire for both sides", () => {
  const aims = [RATE, TIME, BATCH, { ...BATCH, against: "quire" } as Aim];
  assert.deepEqual([...aimCases("wllama", aims)], ["decode", "load"]);
  assert.deepEqual([...aimCases("nlc", aims)], ["batch4", "batch8"]);
  assert.deepEqual([...aimCases("quire", aims)], [
    "decode",
    "load",
    "batch8",
    "batch4",
  ]);
  assert.deepEqual([...aimCases("native", aims)], []);
});

Deno.test("judge() meets a rate at its factor and misses it below", () => {
  const met = (own: number) =>
    judge([RATE], from({ "quire/decode": own, "wllama/decode": 20 }))[0]!;
  assert.deepEqual(met(120), { aim: RATE, ratio: 6, met: true });
  assert.equal(met(119).met, false);
});

Deno.test("judge() wants times at most, across rows", () => {
  const met = (own: number) =>
    judge(
      [TIME],
      from({ "quire/loadAndFirstToken": own, "wllama/load": 1600 }),
    )[0]!.met;
  assert.equal(met(800), true);
  assert.equal(met(801), false);
});

Deno.test("judge() compares with the best of several figures", () => {
  const medians = { "quire/batch8": 180, "nlc/batch4": 150, "nlc/batch8": 90 };
  assert.deepEqual(judge([BATCH], from(medians))[0], {
    aim: BATCH,
    ratio: 1.2,
    met: false,
  });
});

Deno.test("judge() has no verdict where a side was not run", () => {
  for (const medians of [{ "quire/decode": 1 }, { "wllama/decode": 1 }, {}]) {
    assert.equal(judge([RATE], from(medians))[0]!.met, undefined);
  }
});

Deno.test("verdictLine() says what was wanted and what was reached", () => {
  assert.equal(
    verdictLine({ aim: RATE, ratio: 7.254, met: true }),
    "met      decode, empty context: at least 6× wllama, 7.25× reached",
  );
  assert.equal(
    verdictLine({ aim: { ...TIME, stretch: true }, ratio: 0.6, met: false }),
    "MISSED   load plus first token: at most 0.5× wllama (load, cached model), 0.60× reached (stretch)",
  );
  assert.match(
    verdictLine({ aim: BATCH, ratio: undefined, met: undefined }),
    /^not run {2}8 requests together: .*\(4 requests together or 8 requests together\)$/,
  );
});
