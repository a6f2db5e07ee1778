import assert from "node:assert/strict";
import { ModelError } from "../core/errors.ts";
import { openGguf } from "./gguf.ts";
import { fixtureTest, withFile } from "./testing/files.ts";
import { tinyLlama } from "./testing/tiny_llama.ts";
import { readTensor } from "./weights.ts";

Deno.test("readTensor() reads rows in order", async () => {
  await withFile(tinyLlama(), async (path) => {
    const values = await readTensor(
      await openGguf(path),
      "blk.0.ffn_up.weight",
    );
    assert.equal(values.length, 32 * 32);
    for (const [i, value] of values.entries()) {
      assert.equal(value, Math.fround(Math.sin(i)));
    }
  });
});

Deno.test("readTensor() names a tensor that is missing", async () => {
  await withFile(tinyLlama(), async (path) => {
    const file = await openGguf(path);
    await assert.rejects(readTensor(file, "nope"), /tensor "nope" is missing/);
  });
});

Deno.test("readTensor() notices a file that became shorter", async () => {
  await withFile(tinyLlama(), async (path) => {
    const file = await openGguf(path);
    await Deno.truncate(path, file.files[0]!.bytes - 4);
    await assert.rejects(
      readTensor(file, "blk.0.ffn_down.weight"),
      (error: Error) =>
        error instanceof ModelError && /got 4092/.test(error.message),
    );
  });
});

/** Files that hold the same weights, and how far from the first each may be. */
const FAMILIES: readonly (readonly [string, number, number])[][] = [
  [
    ["f16", 0, 0],
    ["bf16", 5e-4, 3e-3],
    ["q8_0", 2e-3, 8e-3],
    ["q5_1", 0.01, 0.05],
    ["q5_0", 0.01, 0.05],
    ["q4_1", 0.03, 0.1],
    ["q4_0", 0.03, 0.12],
    ["iq4_nl", 0.03, 0.1],
  ],
  [
    ["q6_k", 0, 0],
    ["q5_k", 0.01, 0.05],
    ["q4_k", 0.03, 0.1],
    ["q3_k", 0.06, 0.25],
    ["q2_k", 0.15, 0.5],
  ],
];

for (const family of FAMILIES) {
  const first = family[0]![0];
  for (const [type, least, most] of family) {
    fixtureTest(
      `readTensor() ${type} is as far from ${first} as its bits allow`,
      `tiny/dev/llama-gqa-${type}.gguf`,
      async (url) => {
        const base = new URL(`llama-gqa-${first}.gguf`, url);
        const name = "blk.0.ffn_gate.weight";
        const wanted = await readTensor(await openGguf(base.pathname), name);
        const actual = await readTensor(await openGguf(url.pathname), name);
        assert.equal(actual.length, wanted.length);
        let error = 0, size = 0;
        for (const [i, w] of wanted.entries()) {
          error += (w - actual[i]!) ** 2;
          size += w ** 2;
        }
        const relative = Math.sqrt(error / size);
        assert.ok(
          relative >= least && relative <= most,
          `${relative}, wanted ${least} to ${most}`,
        );
      },
    );
  }
}
