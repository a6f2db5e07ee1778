/**
 * What every admission keeps.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { GenRequest } from "../../scheduler_types.ts";
import type { Admission } from "../../slots.ts";
import { dice } from "../cache_driver.ts";
import type { Plugin } from "../../plugin.ts";
import { schedulerDriver } from "../scheduler_driver.ts";
import { fakeGenerate } from "../fake_backend.ts";
import { layoutPlugin } from "../fake_plan.ts";
import { type Law, type Make, register } from "./suite.ts";

function request(i: number, roll: (n: number) => number): GenRequest {
  return {
    id: `r${i}`,
    prompt: Array.from({ length: 1 + roll(20) }, () => roll(90)),
    maxTokens: 1 + roll(8),
    priority: roll(3) - 1,
    tenant: ["", "a", "b"][roll(3)]!,
  };
}

function requests(count: number, seed: number): readonly GenRequest[] {
  const roll = dice(seed);
  return Object.freeze(
    Array.from({ length: count }, (_, i) => request(i, roll)),
  );
}

/** The laws of the `admission` slot. */
export const admissionLaws: readonly Law<Admission>[] = [
  {
    says: "orders some of those who wait, none twice",
    check: async (make) => {
      const { cache } = await schedulerDriver([]);
      for (const count of [0, 1, 2, 7, 40, 200]) {
        const a = await make();
        const waiting = requests(count, count + 1);
        for (let round = 0; round < 3; round++) {
          const out = a.order(waiting, cache.stat());
          assert.equal(
            new Set(out).size,
            out.length,
            "somebody is there twice",
          );
          for (const r of out) assert.ok(waiting.includes(r), "a stranger");
          if (round < out.length) a.served?.(out[round]!, 5);
        }
      }
    },
  },
  {
    says: "leaves the list of those who wait as it is",
    check: async (make) => {
      const { cache } = await schedulerDriver([]);
      const a = await make();
      const waiting = [...requests(30, 5)];
      const before = [...waiting];
      a.order(waiting, cache.stat());
      a.victim(waiting);
      assert.deepEqual(waiting, before);
    },
  },
  {
    says: "chooses the one who gives way among those who run",
    check: async (make) => {
      for (const count of [1, 2, 3, 17]) {
        const a = await make();
        const running = requests(count, count);
        assert.ok(running.includes(a.victim(running)));
        for (const r of running) a.served?.(r, r.prompt.length);
        assert.ok(running.includes(a.victim(running)));
      }
    },
  },
  {
    says: "lets everybody have a turn",
    check: async (make) => {
      const { cache } = await schedulerDriver([]);
      const a = await make();
      let waiting = requests(60, 3);
      for (let left = waiting.length; left > 0; left--) {
        const next = a.order(waiting, cache.stat())[0];
        assert.ok(next, `${left} wait and none is let in`);
        a.served?.(next, next.prompt.length);
        waiting = waiting.filter((r) => r !== next);
      }
    },
  },
  {
    says: "changes no token, and everything comes to its end in little memory",
    check: async (make) => {
      const admission = await make();
      const plugin: Plugin = {
        name: "subject",
        setup: (host) => host.provide("admission", admission),
      };
      const d = await schedulerDriver([layoutPlugin(2), plugin], {
        budgetBytes: 18 * 32,
        rows: 8,
        seqs: 4,
      });
      const all = requests(25, 9);
      for (const r of all) d.scheduler.add(r);
      d.drain();
      for (const { id, prompt, maxTokens } of all) {
        const wanted = fakeGenerate(d.plan, prompt, maxTokens);
        assert.deepEqual(d.finished.get(id)?.tokens, wanted, `"${id}"`);
      }
    },
  },
];

/** Registers the laws of an admission as tests. */
export function admissionSuite(name: string, make: Make<Admission>): void {
  register(name, admissionLaws, make);
}
