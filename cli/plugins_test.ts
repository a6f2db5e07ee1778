import assert from "node:assert/strict";
import { UsageError } from "./host.ts";
import { pluginsOf } from "./plugins.ts";

Deno.test("pluginsOf() leaves the default where nothing is asked for", () => {
  assert.equal(pluginsOf({}), undefined);
});

Deno.test("pluginsOf() adds what is asked for to the default plugins", () => {
  const names = (o: Parameters<typeof pluginsOf>[0]) =>
    pluginsOf(o)!.map((p) => p.name);
  assert.deepEqual(names({ window: 100, sinks: 4 }), [
    "paged-attention",
    "prefix-cache",
    "sliding-window-100-4",
  ]);
  assert.deepEqual(
    names({
      lookup: true,
      offload: "1MiB",
      disk: "cache",
      redis: "redis://host",
      blockTokens: 32,
    }),
    [
      "paged-attention",
      "prefix-cache",
      "prompt-lookup",
      "cpu-offload",
      "disk-offload",
      "redis-offload",
    ],
  );
  assert.deepEqual(names({ checkpoint: 2 }), [
    "paged-attention",
    "prefix-cache",
    "checkpointing",
  ]);
});

Deno.test("pluginsOf() streams weights where asked to", () => {
  for (const weights of ["disk", "host"] as const) {
    for (const more of [{}, { resident: 3 }]) {
      const [, , plugin] = pluginsOf({ weights, ...more })!;
      assert.equal(plugin!.name, "weight-offload");
    }
  }
});

Deno.test("pluginsOf() refuses what a plugin refuses, as a usage error", () => {
  for (
    const [options, message] of [
      [{ window: 0 }, /"window" 0/],
      [{ window: 3, sinks: 4 }, /"sinks" 4/],
      [{ sinks: 4 }, /"--window" is wanted too/],
      [{ resident: 4 }, /"--weights" is wanted too/],
      [{ weights: "disk", resident: -1 }, /"resident" -1/],
      [{ experts: 8 }, /"--experts" alone/],
      [{ weights: "disk", experts: 0 }, /"experts" 0/],
      [{ offload: "much" }, /"much"/],
      [{ disk: "" }, /folder ""/],
      [{ disk: "cache", diskBytes: "3" }, /"bytes" 3/],
      [{ diskBytes: "1GiB" }, /"--disk" is wanted too/],
      [{ checkpoint: 0 }, /"every" 0/],
      [
        { redis: "http://ada:sesame@host" },
        /^Cannot use Redis at "http:\/\/host": [^@]*scheme/,
      ],
    ] as const
  ) {
    assert.throws(
      () => pluginsOf(options),
      (e) => e instanceof UsageError && message.test(e.message),
    );
  }
});
