import assert from "node:assert/strict";
import { gate, gelu, silu } from "./gate.ts";

function near(actual: number, wanted: number): void {
  assert.ok(Math.abs(actual - wanted) < 1e-12, `${actual}, wanted ${wanted}`);
}

Deno.test("silu() at known points and at the ends", () => {
  near(silu(0), 0);
  near(silu(1), 0.7310585786300049);
  near(silu(-2), -0.2384058440442351);
  assert.equal(silu(1000), 1000);
  assert.equal(silu(-1000) + 0, 0);
});

Deno.test("gelu() is the tanh form, not the erf form", () => {
  near(gelu(1), 0.8411919906082768);
  near(gelu(-0.5), -0.15428599017485606);
  // The erf form gives 0.8413447460685429 at 1.
  assert.ok(Math.abs(gelu(1) - 0.8413447460685429) > 1e-4);
  assert.equal(gelu(1000), 1000);
  assert.equal(gelu(-1000) + 0, 0);
});

Deno.test("gate() multiplies the activated gates into the other branch", () => {
  for (const [name, f] of [["silu", silu], ["gelu", gelu]] as const) {
    const gates = new Float32Array([1, -2, 0]);
    gate(gates, new Float32Array([3, 0.5, 9]), name);
    const want = [f(1) * 3, f(-2) * 0.5, 0];
    assert.deepEqual(gates, new Float32Array(want));
  }
});
