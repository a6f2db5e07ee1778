import assert from "node:assert/strict";
import { schedulerDriver } from "../../core/testing/scheduler_driver.ts";
import { indexPlugin, layoutPlugin } from "../../core/testing/fake_plan.ts";
import { saved, StepMeter } from "./step_meter.ts";

Deno.test("StepMeter looks once a step, at uses and at blocks without idle ones", async () => {
  const meter = new StepMeter();
  const driver = await schedulerDriver([layoutPlugin(4), meter.plugin]);
  meter.watch(driver);
  const prompt = [1, 2, 3, 4, 5, 6];
  driver.scheduler.add({ id: "a", prompt, maxTokens: 3 });
  driver.scheduler.add({ id: "b", prompt, maxTokens: 3, sharesWith: "a" });
  const steps = driver.drain();
  const looks = meter.take();
  assert.equal(looks.length, steps);
  // The first block of the prompt is shared, the second is each one's own.
  assert.ok(looks.some((l) => l.alone === 4 && l.shared === 3));
  assert.equal(meter.take().length, 0);
});

Deno.test("StepMeter leaves idle blocks out: nobody shares them", async () => {
  const meter = new StepMeter();
  const plugins = [layoutPlugin(4), indexPlugin(), meter.plugin];
  const driver = await schedulerDriver(plugins);
  meter.watch(driver);
  for (const id of ["a", "b"]) {
    const prompt = Array.from({ length: 9 }, (_, i) => i + id.charCodeAt(0));
    driver.scheduler.add({ id, prompt, maxTokens: 2 });
    driver.drain();
  }
  assert.ok(driver.cache.stat().blocks.idle > 2);
  for (const { alone, shared } of meter.take()) assert.equal(alone, shared);
});

Deno.test("saved() weighs looks by the blocks they saw", () => {
  const looks = [
    { alone: 12, shared: 9 },
    { alone: 4, shared: 1 },
    { alone: 0, shared: 0 },
  ];
  assert.equal(saved(looks), 6 / 16);
  assert.equal(saved([]), 0);
});
