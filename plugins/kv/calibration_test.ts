import assert from "node:assert/strict";
import {
  type Calibration,
  checkCalibration,
  formatCalibration,
  type Losses,
  parseCalibration,
} from "./calibration.ts";
import { normal } from "./testing/part_suite.ts";

const MADE: Calibration = {
  model: "abc",
  tokens: 4096,
  centre: [normal(64), new Float32Array(0), normal(32, 2)],
};

const LOSSES: Losses = {
  int4: [{ k: 0.1, v: 0 }, { k: 1e-30, v: 1 / 3 }, { k: 2, v: 3 }],
  int8: 1e-4,
  values: [64, 8, 32],
};

const SHAPE = {
  id: "abc",
  layers: [[2, 32], [1, 8], [4, 8]].map(([kvHeads, headDim], layer) => ({
    layer,
    qHeads: 4,
    kvHeads: kvHeads!,
    headDim: headDim!,
  })),
};

Deno.test("parseCalibration() gives back what formatCalibration() wrote, bit by bit", () => {
  const text = formatCalibration({
    ...MADE,
    // A view into something larger, and numbers that decimals lose.
    centre: [normal(66).subarray(1, 65), ...MADE.centre.slice(1)],
  });
  const back = parseCalibration(text);
  assert.deepEqual(back, {
    ...MADE,
    centre: [normal(66).slice(1, 65), ...MADE.centre.slice(1)],
  });
  assert.match(text, /^\{"kind":"quire-calibration","version":1,/);
});

Deno.test("parseCalibration() gives back losses as they were", () => {
  const made = { ...MADE, losses: LOSSES };
  assert.deepEqual(parseCalibration(formatCalibration(made)), made);
  assert.ok(!("losses" in parseCalibration(formatCalibration(MADE))));
});

Deno.test("formatCalibration() writes nothing that cannot be read", () => {
  const cases: readonly Partial<Calibration>[] = [
    { losses: { ...LOSSES, int8: NaN } },
    { losses: { ...LOSSES, int8: Infinity } },
    { centre: [new Float32Array([NaN])] },
    { tokens: 0 },
    { model: "" },
  ];
  for (const change of cases) {
    assert.throws(
      () => formatCalibration({ ...MADE, ...change }),
      {
        name: "TypeError",
        message: /^Cannot read calibration "to be written"/,
      },
    );
  }
});

Deno.test("parseCalibration() refuses losses that are none", () => {
  const good = JSON.parse(formatCalibration({ ...MADE, losses: LOSSES }));
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [null, /"losses" are not those of layers: null/],
    [[], /"losses" are not those of layers: \[\]/],
    [{ ...LOSSES, int8: -1 }, /"losses" are not those/],
    [{ ...LOSSES, int8: null }, /"losses" are not those/],
    [{ ...LOSSES, int4: 3 }, /"losses" are not those/],
    [{ ...LOSSES, int4: [null, {}, {}] }, /"losses" of layer 0 are null/],
    [
      { ...LOSSES, int4: [LOSSES.int4[0], { k: 1, v: "2" }, LOSSES.int4[2]] },
      /"losses" of layer 1 are \{"k":1,"v":"2"\}/,
    ],
    [{ ...LOSSES, values: undefined }, /"losses" are not those/],
    [{ ...LOSSES, values: [64, 8] }, /so many values in each of 3 layers/],
    [{ ...LOSSES, values: [64, 0, 32] }, /so many values/],
    [{ ...LOSSES, values: [64, 1.5, 32] }, /so many values/],
  ];
  for (const [losses, wanted] of cases) {
    assert.throws(
      () => parseCalibration(JSON.stringify({ ...good, losses }), "x.json"),
      (e: unknown) => e instanceof TypeError && wanted.test(e.message),
      `${wanted}`,
    );
  }
  // JSON has no NaN and no Infinity; a number too large becomes one.
  const text = JSON.stringify({ ...good, losses: LOSSES });
  assert.throws(
    () => parseCalibration(text.replace('"int8":0.0001', '"int8":1e999')),
    /"losses" are not those/,
  );
});

Deno.test("parseCalibration() reads f32, lower byte first", () => {
  const text = JSON.stringify({
    kind: "quire-calibration",
    version: 1,
    model: "m",
    tokens: 1,
    centre: ["AACAPwAAIMA="],
  });
  assert.deepEqual([...parseCalibration(text).centre[0]!], [1, -2.5]);
});

Deno.test("parseCalibration() of anything else names the file and what is wrong", () => {
  const good = JSON.parse(formatCalibration(MADE));
  const number = (x: number) =>
    new Uint8Array(new Float32Array([0, x]).buffer).toBase64();
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [{ ...good, version: 2 }, /version 1 is wanted, not 2: calibrate again/],
    [{ ...good, version: undefined }, /version 1 is wanted, not nothing/],
    [{ ...good, kind: "other" }, /"kind" "quire-calibration" is wanted/],
    [{ ...good, model: "" }, /"model" is to be the id of a model, not ""/],
    [{ ...good, model: 7 }, /"model" .* not 7/],
    [{ ...good, tokens: 0 }, /"tokens" is to be a whole number above 0, not 0/],
    [{ ...good, tokens: 1.5 }, /"tokens" .* not 1.5/],
    [{ ...good, tokens: "9" }, /"tokens" .* not "9"/],
    [{ ...good, centre: "AAAA" }, /"centre" is to be a list, not "AAAA"/],
    [{ ...good, centre: ["", "*"] }, /"centre" of layer 1 is no base64/],
    [{ ...good, centre: [null] }, /"centre" of layer 0 is no base64/],
    [{ ...good, centre: ["AAAA"] }, /"centre" of layer 0 has 3 bytes/],
    [{ ...good, centre: ["", number(NaN)] }, /layer 1 has NaN/],
    [{ ...good, centre: [number(Infinity)] }, /layer 0 has Infinity/],
    [{ ...good, centre: [number(-70000)] }, /layer 0 has -70000/],
    [[], /an object is wanted, not \[\]/],
    [null, /an object is wanted, not null/],
    [{ ...good, kind: "\x9b2J\u202e" }, /wanted, not "\uFFFD2J\uFFFD"/],
  ];
  for (const [value, wanted] of cases) {
    assert.throws(
      () => parseCalibration(JSON.stringify(value), "x.json"),
      (e: unknown) =>
        e instanceof TypeError &&
        e.message.startsWith('Cannot read calibration "x.json": ') &&
        wanted.test(e.message),
      `${wanted}`,
    );
  }
  assert.throws(
    () => parseCalibration("{", "y.json"),
    /"y.json": it is no JSON/,
  );
  const deep = "[".repeat(200_000) + "]".repeat(200_000);
  assert.throws(
    () => parseCalibration(`{"kind":${deep}}`, "y.json"),
    /"y.json": .* wanted, not (something nested too deep|\[\[)/,
  );
});

Deno.test("checkCalibration() takes the model's own, and layers that are left alone", () => {
  checkCalibration(MADE, SHAPE);
  checkCalibration({ ...MADE, losses: LOSSES }, SHAPE);
  checkCalibration(parseCalibration(formatCalibration(MADE)), SHAPE);
});

Deno.test("checkCalibration() of another model, other layers or no numbers says what to do", () => {
  const cases: readonly (readonly [Partial<Calibration>, RegExp])[] = [
    [{ model: "def" }, /of model "def": the model here is "abc", calibrate/],
    [{ centre: MADE.centre.slice(1) }, /it has 2 layers, not 3, calibrate/],
    [
      { centre: MADE.centre.toReversed() },
      /it has 32 values in layer 0, not 2 heads of 32/,
    ],
    [
      { centre: [...MADE.centre.slice(0, 2), new Float32Array(32).fill(NaN)] },
      /it has NaN in layer 2/,
    ],
    [
      { centre: [new Float32Array(64).fill(1e9), ...MADE.centre.slice(1)] },
      /it has 1000000000 in layer 0/,
    ],
    [
      { losses: { ...LOSSES, int4: LOSSES.int4.slice(1) } },
      /it has losses of 2 layers, not 3, calibrate/,
    ],
    [
      { losses: { ...LOSSES, values: [64, 8, 64] } },
      /losses of 64 values in layer 2, not of 4 heads of 8/,
    ],
  ];
  for (const [change, wanted] of cases) {
    assert.throws(
      () => checkCalibration({ ...MADE, ...change }, SHAPE),
      (e: unknown) => e instanceof TypeError && wanted.test(e.message),
      `${wanted}`,
    );
  }
});
