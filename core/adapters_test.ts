import assert from "node:assert/strict";
import {
  type Adapter,
  type AdapterBatch,
  adapterSet,
  anyonesSalt,
  fillAdapters,
  saltOf,
  tenantOf,
} from "./adapters.ts";

const LOADED: readonly Adapter[] = ["x", "y"].map((id) => ({
  name: id,
  id,
  modules: new Map(),
}));

const set = (...scales: number[]) =>
  adapterSet(LOADED, Float32Array.from(scales));

Deno.test("adapterSet() has a key of the adapters used and their scales", () => {
  assert.equal(set(0, 0), undefined);
  assert.equal(set(0, 0.5)!.key, set(0, 0.5)!.key);
  const keys = [set(1, 0), set(0, 1), set(1, 1), set(1, 0.5), set(-1, 0)];
  assert.equal(new Set(keys.map((s) => s!.key)).size, keys.length);
});

Deno.test("saltOf() is the tenant without adapters, and one salt for each pair else", () => {
  assert.equal(saltOf({}), "");
  assert.equal(saltOf({ tenant: "a" }), "a");
  const adapters = set(1, 0)!;
  // What would be another's salt, were it taken as it is.
  const hostile = [
    saltOf({ adapters }),
    saltOf({ adapters, tenant: "a" }),
    "\0",
    "\0\0",
    "\0\0\0a",
  ];
  const tenants = ["", "a", "\0a", ...hostile];
  const salts = tenants.flatMap((tenant) =>
    [undefined, adapters, set(0, 1)].map((adapters) => {
      const salt = saltOf({ tenant, adapters });
      assert.equal(tenantOf(salt), tenant);
      assert.equal(anyonesSalt(salt), saltOf({ adapters }));
      return salt;
    })
  );
  assert.equal(new Set(salts).size, salts.length);
});

Deno.test("fillAdapters() writes every sequence of a step in which one has adapters", () => {
  const batch: AdapterBatch = {
    count: 2,
    scales: new Float32Array(8).fill(9),
    active: false,
  };
  const step = (...sets: ReturnType<typeof set>[]) => {
    batch.active = false;
    sets.forEach((s, i) => fillAdapters(i, s, batch));
    return [batch.active, ...batch.scales.subarray(0, 2 * sets.length)];
  };
  assert.deepEqual(step(undefined, undefined), [false, 9, 9, 9, 9]);
  assert.deepEqual(
    step(undefined, set(0, 0.5), undefined, set(1, 2)),
    [true, 0, 0, 0, 0.5, 0, 0, 1, 2],
  );
  assert.throws(
    () => fillAdapters(0, set(1, 0), undefined),
    /the backend has 0/,
  );
});
