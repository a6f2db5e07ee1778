import assert from "node:assert/strict";
import type { CachePlan } from "../core/plan.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { formatOf, parseCandidates } from "./candidates.ts";

Deno.test("parseCandidates() reads one format, one for K and one for V, and none", async () => {
  const all = await parseCandidates("none, int8,int8/int4,fp4");
  assert.deepEqual(all.map((c) => c.name), [
    "none",
    "int8",
    "int8/int4",
    "fp4",
  ]);
  assert.deepEqual(all.map((c) => c.plugins.length), [1, 2, 2, 2]);
  assert.match(all[2]!.plugins[1]!.name, /^kv-cache int8h\/int4/);
  const base = [pagedAttention({ blockTokens: 32 })];
  const [none, int8] = await parseCandidates("none,int8", base);
  assert.deepEqual(none!.plugins, base);
  assert.equal(int8!.plugins[0], base[0]);
});

Deno.test("parseCandidates() asks its caller for codecs where he has some", async () => {
  const asked: string[][] = [];
  const [none, auto, both] = await parseCandidates(
    "none,auto,a/b",
    [],
    (...formats) => {
      asked.push(formats);
      return Promise.resolve({ name: formats.join(" "), setup() {} });
    },
  );
  assert.deepEqual(asked, [["auto", "auto"], ["a", "b"]]);
  assert.deepEqual(none!.plugins, []);
  assert.equal(auto!.plugins[0]!.name, "auto auto");
  assert.equal(both!.plugins[0]!.name, "a b");
});

Deno.test("parseCandidates() refuses what is no list of formats", async () => {
  const bad: [string, RegExp][] = [
    ["", /candidate ""/],
    ["int8,", /candidate ""/],
    ["int8/", /candidate "int8\/"/],
    ["/int8", /candidate "\/int8"/],
    ["int8/int8/int8", /candidate "int8\/int8\/int8"/],
    ["int3", /keep K as "int3"/],
    ["int8/none", /keep V as "none"/],
    ["int8, int8", /"int8" twice/],
  ];
  for (const [list, why] of bad) {
    await assert.rejects(
      () => parseCandidates(list),
      (e: Error) => e instanceof RangeError && why.test(e.message),
    );
  }
});

Deno.test("formatOf() names one format, or layers where there are several", () => {
  const plan = (...groups: [string, number[]][]) =>
    ({
      rawFormat: "f16",
      groups: groups.map(([id, layers]) => ({ codec: { id }, layers })),
    }) as unknown as CachePlan;
  assert.equal(formatOf(plan(["raw", [0, 1]])), "f16");
  assert.equal(formatOf(plan(["int8", [0, 2]], ["int8", [1, 3]])), "int8");
  assert.equal(
    formatOf(plan(["int8", [0, 4]], ["raw", [1, 3]], ["int8", [5]])),
    "int8 layers 0, 4-5, f16 layers 1, 3",
  );
});
