import assert from "node:assert/strict";
import type { TensorInfo } from "../core/model.ts";
import { randomModel } from "../core/testing/random_model.ts";
import { quantisedSpec } from "./quantise_at_load.ts";

const { spec } = randomModel({
  hidden: 32,
  layers: [{ ffn: 64 }, { ffn: 40 }],
});

/** Names of tensors by what they are rounded to. */
function rounded(tensors: ReadonlyMap<string, TensorInfo>): object {
  const names: Record<string, string[]> = {};
  for (const { name, as } of tensors.values()) {
    if (as !== undefined) (names[as] ??= []).push(name);
  }
  return names;
}

Deno.test("quantisedSpec() rounds matrices of whole blocks, embedding and output to 8 bits", () => {
  const parts = ["q", "k", "v", "attnOut", "gate", "up"];
  assert.deepEqual(rounded(quantisedSpec(spec, "q4_0").tensors), {
    Q8_0: ["embedding", "output"],
    // Rows of 40 are no whole blocks.
    Q4_0: [0, 1].flatMap((layer) =>
      [...parts, ...layer === 0 ? ["down"] : []].map((part) =>
        `${layer}.${part}`
      )
    ),
  });
});

Deno.test("quantisedSpec() leaves what has fewer bits already", () => {
  const tensors = new Map(
    [...spec.tensors].map(([name, info]) =>
      [name, {
        ...info,
        type: name.endsWith("q") ? "BF16" as const : "Q5_0" as const,
      }] as const
    ),
  );
  assert.deepEqual(
    rounded(quantisedSpec({ ...spec, tensors }, "q8_0").tensors),
    { Q8_0: ["0.q", "1.q"] },
  );
});

Deno.test("quantisedSpec() names another model, the same one where nothing changes", () => {
  const of = (id: string) =>
    ["q8_0", "q4_0"].map((to) =>
      quantisedSpec({ ...spec, id }, to as "q8_0").id
    );
  const ids = [...of("a"), ...of("b"), "a", "b"];
  assert.equal(new Set(ids).size, 6);
  assert.deepEqual(of("a"), ids.slice(0, 2));
  assert.equal(quantisedSpec(spec, undefined), spec);
  const whole = quantisedSpec(spec, "q4_0");
  const tensors = new Map(
    [...whole.tensors].map(([name, { as: _, ...info }]) =>
      [name, { ...info, type: "Q4_0" as const }] as const
    ),
  );
  const held = { ...spec, tensors };
  assert.equal(quantisedSpec(held, "q4_0"), held);
});
