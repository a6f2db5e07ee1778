/**
 * What every layout keeps.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Plugin } from "../../plugin.ts";
import type { Layout } from "../../slots.ts";
import { fakePlan } from "../fake_plan.ts";
import { type Law, type Make, register } from "./suite.ts";

/** Most positions in a block. */
const MOST = 1 << 16;

/** The laws of the `layout` slot. */
export const layoutLaws: readonly Law<Layout>[] = [
  {
    says: "has a name",
    check: async (make) => assert.ok((await make()).id.length > 0),
  },
  {
    says: "has whole blocks, alternatives included",
    check: async (make) => {
      const { blockTokens, alternatives = [], multipleOf = 1 } = await make();
      assert.ok(Number.isInteger(multipleOf) && multipleOf >= 1);
      assertBlock(blockTokens, multipleOf);
      for (const size of alternatives) {
        assert.ok(Number.isInteger(size) && size >= 1 && size <= MOST);
      }
      const all = [blockTokens, ...alternatives];
      assert.equal(new Set(all).size, all.length, "a size stands there twice");
    },
  },
  {
    says: "is the same every time",
    check: async (make) => {
      const a = await make(), b = await make();
      assert.deepEqual(
        [a.id, a.blockTokens, a.multipleOf, a.alternatives],
        [b.id, b.blockTokens, b.multipleOf, b.alternatives],
      );
    },
  },
  {
    says: "gives a plan its block size",
    check: async (make) => {
      const layout = await make();
      const plugin: Plugin = {
        name: "subject",
        setup: (host) => host.provide("layout", layout),
      };
      const { plan } = await fakePlan([plugin], { layers: 3 });
      assert.equal(plan.groups.length, 1);
      const { shape, layout: chosen } = plan.groups[0]!;
      assert.equal(shape.tokens, layout.blockTokens);
      assert.equal(chosen.id, layout.id);
    },
  },
];

/** Registers the laws of a layout as tests. */
export function layoutSuite(name: string, make: Make<Layout>): void {
  register(name, layoutLaws, make);
}

function assertBlock(size: number, multipleOf: number): void {
  assert.ok(
    Number.isInteger(size) && size >= 1 && size <= MOST,
    `blocks of ${size} positions`,
  );
  assert.equal(size % multipleOf, 0, `${size} is no multiple of ${multipleOf}`);
}
