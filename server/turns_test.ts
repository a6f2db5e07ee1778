import assert from "node:assert/strict";
import { Turns } from "./turns.ts";

Deno.test("Turns does pieces in order, and pauses when they took a while", async () => {
  const order: string[] = [];
  let clock = 0;
  const turns = new Turns(() => {
    order.push("pause");
    return Promise.resolve();
  }, () => clock);
  const piece = (name: string, ms: number) =>
    turns.run(() => {
      order.push(name);
      clock += ms;
      return name;
    });
  const all = ["a", "b", "c", "d"].map((name) => piece(name, 3));
  assert.deepEqual(await Promise.all(all), ["a", "b", "c", "d"]);
  assert.deepEqual(order, ["a", "b", "pause", "c", "d"]);
});

Deno.test("Turns goes on after a piece that failed", async () => {
  const turns = new Turns();
  const failed = turns.run(() => {
    throw new RangeError("no");
  });
  const next = turns.run(() => 1);
  await assert.rejects(failed, RangeError);
  assert.equal(await next, 1);
});
