import assert from "node:assert/strict";
import { logSoftmax, topIds } from "../../core/testing/compare.ts";
import {
  checkTiny,
  measureTiny,
  missesOf,
  type TinyFigures,
  type TinyFixture,
  tinyModels,
} from "./tiny_fixtures.ts";

const VOCAB = 9;

/** Logits that depend on nothing but the id, so the fixture can be made here. */
function rowOf(id: number): number[] {
  return Array.from({ length: VOCAB }, (_, i) => 3 * Math.sin(id * 7 + i * 2));
}

function logits(ids: readonly number[]): Promise<Float32Array> {
  return Promise.resolve(Float32Array.from(ids.flatMap(rowOf)));
}

function fixture(): TinyFixture {
  const tokens = [3, 1, 4];
  const greedy = { tokens: [] as number[], margins: [0, 0], logprobs: [0, 0] };
  let id = tokens.at(-1)!;
  for (let i = 0; i < 2; i++) {
    const row = logSoftmax(rowOf(id));
    const [best, next] = topIds(row, 2) as [number, number];
    greedy.tokens.push(best);
    greedy.margins[i] = row[best]! - row[next]!;
    greedy.logprobs[i] = row[best]!;
    id = best;
  }
  const rows = tokens.map((t) => logSoftmax(rowOf(t)));
  const top5_ids = rows.map((row) => topIds(row, 5));
  return {
    name: "made-up",
    path: "/nowhere",
    architecture: "llama",
    sequences: [{
      name: "s3",
      tokens,
      top5_ids,
      top5_logprobs: rows.map((row, i) => top5_ids[i]!.map((id) => row[id]!)),
      last_logits: rowOf(tokens.at(-1)!),
      greedy,
    }],
  };
}

/** Adds `by` to one logit of one row. */
function spoiled(row: number, id: number, by: number): typeof logits {
  return async (ids) => {
    const all = await logits(ids);
    all[row * VOCAB + id]! += by;
    return all;
  };
}

Deno.test("checkTiny() passes the reference at every level", async () => {
  for (const level of ["float32", "half_kv", "int8", "int8_experts"] as const) {
    const figures = await checkTiny(fixture(), level, logits);
    assert.ok(figures.last < 1e-6 && figures.top5 < 1e-6);
    assert.equal(figures.reordered, 0);
  }
});

Deno.test("checkTiny() names the fixture, the level and every miss", async () => {
  const winner = fixture().sequences[0]!.greedy.tokens[0]!;
  await assert.rejects(
    () => checkTiny(fixture(), "float32", spoiled(2, winner, -9)),
    (error: Error) => {
      assert.match(error.message, /"made-up" misses level "float32"/);
      for (const figure of ["last", "top5", "greedy", "greedyDiffers"]) {
        assert.ok(error.message.includes(`"${figure}" is`), error.message);
      }
      return true;
    },
  );
});

Deno.test("missesOf() sees small changes at float32 and lets them pass at half_kv and int8", async () => {
  for (const row of [0, 1, 2]) {
    const best = fixture().sequences[0]!.top5_ids[row]![0]!;
    const figures = await measureTiny(fixture(), spoiled(row, best, 0.01));
    assert.notDeepEqual(missesOf(figures, "float32"), []);
    assert.deepEqual(missesOf(figures, "half_kv"), []);
    assert.deepEqual(missesOf(figures, "int8"), []);
  }
  const figures = await measureTiny(fixture(), spoiled(0, 0, 9));
  assert.notDeepEqual(missesOf(figures, "half_kv"), []);
  assert.notDeepEqual(missesOf(figures, "int8"), []);
});

Deno.test("missesOf() lets nothing that is NaN pass", async () => {
  const figures = await measureTiny(fixture(), spoiled(2, 0, NaN));
  for (const level of ["float32", "half_kv", "int8", "int8_experts"] as const) {
    assert.notDeepEqual(missesOf(figures, level), []);
  }
  const broken: TinyFigures = { ...figures, top5: NaN };
  assert.ok(missesOf(broken, "half_kv").some((m) => m.includes('"top5"')));
});

Deno.test("measureTiny() refuses another number of logits", async () => {
  await assert.rejects(
    () => measureTiny(fixture(), () => Promise.resolve(new Float32Array(9))),
    /"made-up": 9 logits came, wanted 5 rows of 9/,
  );
});

Deno.test("measureTiny() excuses positions where another expert was nearly chosen", async () => {
  const [sequence] = fixture().sequences;
  const winner = sequence!.top5_ids[0]![0]!;
  const at = async (router_margins?: readonly number[]) => {
    const one = { ...sequence!, ...router_margins && { router_margins } };
    const given = { ...fixture(), sequences: [one] };
    return (await measureTiny(given, spoiled(0, winner, -9))).calm;
  };
  const rest = sequence!.top5_ids.slice(1).map(() => 1);
  assert.ok(await at() > 0.1);
  assert.ok(await at([1, ...rest]) > 0.1);
  assert.ok(await at([0.1, ...rest]) < 1e-6);
});

Deno.test({
  name: "tinyModels() names every model of the folder",
  ignore: tinyModels().length === 0,
  fn: () => assert.equal(tinyModels().length, 32),
});
