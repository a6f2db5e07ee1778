import assert from "node:assert/strict";
import { random } from "../../core/testing/random_model.ts";
import type { Losses } from "./calibration.ts";
import { chooseFormats, type LayerChoice } from "./choose.ts";

function someLosses(layers: number, seed: number): Losses {
  const next = random(seed);
  const int4 = Array.from({ length: layers }, () => ({
    k: Math.abs(next()) ** 3 * 1e-2,
    v: Math.abs(next()) ** 3 * 1e-3,
  }));
  const values = int4.map((_, layer) => layer % 2 === 0 ? 128 : 64);
  return { int4, int8: 2e-4, values };
}

const BITS = { raw: 16, int8: 8.25, int4: 4.5 };

/** Bits and loss of a choice, by the definitions. */
function worth(
  choice: readonly LayerChoice[],
  { int4, int8, values }: Losses,
): { bits: number; loss: number } {
  const all = int4.reduce((sum, { k, v }) => sum + k + v, 0);
  let bits = 0, loss = 0;
  for (const [i, { k, v }] of choice.entries()) {
    bits += values[i]! * (BITS[k] + BITS[v]);
    for (const side of ["k", "v"] as const) {
      const own = int4[i]![side], format = choice[i]![side];
      loss += format === "int4"
        ? own
        : format === "int8"
        ? int8 * own / all
        : 0;
    }
  }
  return { bits, loss };
}

const OPTIONS: readonly LayerChoice[] = [
  ...(["int8", "int4"] as const).flatMap((k) =>
    (["int8", "int4"] as const).map((v) => ({ k, v }))
  ),
  { k: "raw", v: "raw" },
];

function* every(layers: number): Iterable<LayerChoice[]> {
  if (layers === 0) return yield [];
  for (const rest of every(layers - 1)) {
    for (const option of OPTIONS) yield [...rest, option];
  }
}

Deno.test("chooseFormats() finds what trying everything finds", () => {
  for (let seed = 1; seed <= 12; seed++) {
    const losses = someLosses(4, seed);
    for (const divergence of [0, 1e-4, 5e-4, 3e-3, 1]) {
      const { layers, predicted } = chooseFormats(losses, divergence);
      const found = worth(layers, losses);
      assert.ok(Math.abs(found.loss - predicted) < 1e-12);
      assert.ok(predicted <= divergence * (1 + 1e-9));
      // Steps are rounded up: a choice that only just fits may be left out.
      let least = Infinity;
      for (const choice of every(4)) {
        const { bits, loss } = worth(choice, losses);
        if (loss <= divergence * 0.995) least = Math.min(least, bits);
      }
      assert.ok(found.bits <= least, `${seed}: ${found.bits} over ${least}`);
    }
  }
});

Deno.test("chooseFormats() takes no more bytes for a larger divergence", () => {
  const losses = someLosses(30, 3);
  let before = Infinity;
  for (const divergence of [0, 1e-5, 1e-4, 1e-3, 2e-3, 5e-3, 2e-2, 1]) {
    const { layers } = chooseFormats(losses, divergence);
    const { bits } = worth(layers, losses);
    assert.ok(bits <= before, `${divergence}`);
    before = bits;
  }
  assert.equal(before, 30 * 1.5 * 64 * 9);
});

Deno.test("chooseFormats() leaves all as it is for a divergence of 0, unless it costs nothing", () => {
  const losses = someLosses(3, 5);
  const raw = { k: "raw", v: "raw" };
  assert.deepEqual(chooseFormats(losses, 0).layers, [raw, raw, raw]);
  const free = {
    int8: 0,
    int4: [{ k: 0, v: 0 }, { k: 1, v: 0 }],
    values: [64, 64],
  };
  assert.deepEqual(chooseFormats(free, 0).layers, [
    { k: "int4", v: "int4" },
    { k: "int8", v: "int4" },
  ]);
});
