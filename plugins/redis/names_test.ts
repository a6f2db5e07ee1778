import assert from "node:assert/strict";
import { contentPrefix, saltName, swapPrefix } from "./names.ts";

Deno.test("contentPrefix() tells models and tenants apart and shows no salt", () => {
  const of = (fingerprint: string, salt: string) =>
    contentPrefix("quire", { fingerprint, salt });
  assert.equal(of("f00d", "ada"), `quire:f00d:${saltName("ada")}:`);
  const all = ["", "ada", "bob", "f00d"].flatMap((salt) =>
    ["f00d", "beef", "a:b", "a*"].map((model) => of(model, salt))
  );
  assert.equal(new Set(all).size, all.length);
  for (const name of all) {
    assert.match(name, /^quire:[\w.-]+:[0-9a-f]{32}:$/);
    assert.ok(!/ada|bob/.test(name), name);
  }
});

Deno.test("swapPrefix() is another one each time", () => {
  assert.match(swapPrefix("quire"), /^quire:swap:[0-9a-f-]{36}:$/);
  assert.notEqual(swapPrefix("quire"), swapPrefix("quire"));
});
