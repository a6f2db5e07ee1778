import assert from "node:assert/strict";
import { Ledger, type LedgerLine } from "./ledger.ts";

function line(
  owner: LedgerLine["owner"],
  bytes: number,
  peak = bytes,
): LedgerLine {
  return { tier: "device", owner, component: "x", bytes, peak };
}

Deno.test("Ledger.lines() joins lines of one component and sorts them", () => {
  const ledger = new Ledger();
  ledger.register(() => [line("weights", 5), line("kv", 3)]);
  const leave = ledger.register(() => [line("kv", 4)]);
  assert.deepEqual(ledger.lines(), [line("kv", 7), line("weights", 5)]);
  leave();
  assert.deepEqual(ledger.lines()[0], line("kv", 3, 7));
  assert.deepEqual(ledger.total("device"), { used: 8, peak: 12, capacity: 8 });
  assert.equal(ledger.total("disk").used, 0);
});

Deno.test("Ledger.check() compares with what a tier holds", () => {
  const ledger = new Ledger();
  let used = 8;
  ledger.register(() => [line("weights", 8)]);
  ledger.meter("device", () => ({ used, capacity: 10 }));
  ledger.check();
  used = 9;
  assert.throws(() => ledger.check(), /add up to 8 bytes, it holds 9 of 10/);
  ledger.register(() => [line("activations", 3)]);
  used = 11;
  assert.throws(() => ledger.check(), /holds 11 of 10/);
});

Deno.test("Ledger.check() refuses lines that cannot be", () => {
  for (const bad of [line("kv", -1), line("kv", NaN), line("kv", -5, 2)]) {
    const ledger = new Ledger();
    ledger.register(() => [bad]);
    assert.throws(() => ledger.check(), /Cannot balance/);
  }
});
