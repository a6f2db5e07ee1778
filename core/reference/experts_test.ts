import assert from "node:assert/strict";
import { expertsOf, route, type Taken } from "./experts.ts";
import { randomModel } from "../testing/random_model.ts";

const near = (taken: readonly Taken[], wanted: readonly [number, number][]) => {
  assert.deepEqual(taken.map((t) => t.expert), wanted.map(([e]) => e));
  taken.forEach(({ weight }, i) => {
    assert.ok(Math.abs(weight - wanted[i]![1]) < 1e-12, `${i}: ${weight}`);
  });
};

Deno.test("route() takes the largest scores, ties by lower number, and weighs them", () => {
  const scores = [1, 3, 1, 3, 2].map((x) => Math.log(x));
  near(route(scores, { used: 1, normalised: true }), [[1, 1]]);
  near(route(scores, { used: 4, normalised: false }), [
    [1, 3 / 10],
    [3, 3 / 10],
    [4, 2 / 10],
    [0, 1 / 10],
  ]);
  near(route(scores, { used: 4, normalised: true }), [
    [1, 3 / 9],
    [3, 3 / 9],
    [4, 2 / 9],
    [0, 1 / 9],
  ]);
  near(route([1000, 0, 1000], { used: 2, normalised: false }), [
    [0, 0.5],
    [2, 0.5],
  ]);
});

Deno.test("expertsOf() sums what a row's experts give beside the MLP, each by its weight", () => {
  const { spec } = randomModel({
    hidden: 2,
    layers: [{ experts: { count: 3, used: 2, shared: 8 } }],
  });
  const { experts, mlp } = spec.layers[0]!;
  const weights: Record<string, Float32Array> = {
    // Scores of the row (1, 2): 0, ln 3 and 0.
    "0.router": Float32Array.of(0, 0, Math.log(3), 0, 0, 0),
    // Of the shared expert: ln 4, a weight of 4/5.
    "0.sharedGate": Float32Array.of(0, Math.log(2)),
  };
  const y = Float32Array.of(1, 2), give = [1, 10, 100, 1000, 10_000];
  const mlps = [...experts!.each, experts!.shared!.mlp, mlp!];
  expertsOf(
    {
      spec,
      weight: (name) => weights[name]!,
      activations: { part: new Float32Array(4), scores: new Float32Array(8) },
    },
    experts!,
    mlp,
    (one, x, out) =>
      out.set(Array.from(x, (value) => value * give[mlps.indexOf(one)]!)),
    y,
  );
  // 0.75 of expert 1, 0.25 of expert 0, 0.8 of the shared one, and the MLP.
  const sum = 7.5 + 0.25 + 800 + 10_000;
  assert.ok(Math.abs(y[0]! - sum) < 1e-2 && Math.abs(y[1]! - 2 * sum) < 2e-2);
});
