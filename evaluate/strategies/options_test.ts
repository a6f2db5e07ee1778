import assert from "node:assert/strict";
import { STRATEGIES, strategyOptions, USAGE } from "./options.ts";

Deno.test("strategyOptions() without options has the defaults that --help tells", () => {
  const { data, ...options } = strategyOptions(["waste", "prefix"]);
  assert.deepEqual(options, {
    names: ["waste", "prefix"],
    json: false,
    model: "smollm2",
    threads: undefined,
    rounds: 5,
    requests: undefined,
    held: undefined,
    chunks: undefined,
    load: 1,
    stepMs: 6,
    rowMs: 1,
    wait: 60,
  });
  assert.match(data, /shared.data$/);
  for (const name of Object.keys(STRATEGIES)) assert.ok(USAGE.includes(name));
});

Deno.test("strategyOptions() reads every option", () => {
  const given =
    "replay --json --model m.gguf --threads 1 --rounds 2 --data d --requests 8 --held 2.5 --chunks 32,64 --load 0.5 --step-ms 3 --row-ms 0.5 --wait 0 --redis redis://h:7000";
  assert.deepEqual(strategyOptions(given.split(" ")), {
    names: ["replay"],
    json: true,
    model: "m.gguf",
    threads: 1,
    rounds: 2,
    data: "d",
    requests: 8,
    held: 2.5,
    chunks: [32, 64],
    load: 0.5,
    stepMs: 3,
    rowMs: 0.5,
    wait: 0,
    redis: "redis://h:7000",
  });
});

Deno.test("strategyOptions() says which names, options and numbers are possible", () => {
  const bad: [string, RegExp][] = [
    ["", /Cannot run "": waste, paging, kv, prefix/],
    ["waste nothing", /Cannot run "nothing": waste/],
    ["toString", /Cannot run "toString"/],
    ["waste --what", /Cannot use option "--what"/],
    ["waste --rounds 0", /--rounds "0": a number above 0/],
    ["waste --rounds 1.5", /--rounds "1.5": a whole number/],
    ["waste --held", /--held "": a number above 0/],
    ["waste --load x", /--load "x"/],
    ["waste --wait -1", /--wait/],
    ["tiers --redis localhost", /Cannot use Redis/],
    ["tiers --redis", /Cannot use Redis/],
    ["waste --chunks 256,", /--chunks "256,": whole numbers/],
  ];
  for (const [line, message] of bad) {
    const args = line.split(" ").filter((arg) => arg !== "");
    assert.throws(() => strategyOptions(args), message, line);
  }
});
