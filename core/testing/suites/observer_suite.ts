/**
 * What every observer keeps.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { CacheEvent, Observer } from "../../slots.ts";
import type { SeqId } from "../../types.ts";
import type { Plugin } from "../../plugin.ts";
import { indexPlugin, layoutPlugin, windowPlugin } from "../fake_plan.ts";
import { schedulerDriver } from "../scheduler_driver.ts";
import { block } from "./index_suite.ts";
import { type Law, type Make, register } from "./suite.ts";

const seq = 1 as SeqId;

/** One event of each type, kept from change. */
const EVENTS: readonly CacheEvent[] = [
  ...(["seal", "release", "evict", "copy"] as const).map((type) => ({
    type,
    block: block(3),
  })),
  { type: "fork", seq, from: 2 as SeqId },
  { type: "preempt", id: "r1" },
  {
    type: "miss",
    seq,
    miss: { reason: "differs", position: 9, block: 2, group: 0 },
  },
  { type: "restore", block: block(3), by: "r" },
  { type: "move", block: block(3), from: "device", to: "disk" },
  { type: "hit", seq, tokens: 16 },
].map((e) => Object.freeze(e) as CacheEvent);

/** What a small run gives, watched or not. */
async function run(plugins: readonly Plugin[]): Promise<unknown> {
  const d = await schedulerDriver([
    layoutPlugin(2),
    indexPlugin(),
    windowPlugin(7, 2, (l) => l.layer === 1),
    ...plugins,
  ], { budgetBytes: 24 * 16, rows: 8 });
  for (let i = 0; i < 9; i++) {
    const prompt = Array.from({ length: 4 + i }, (_, p) => p % 5);
    d.scheduler.add({ id: `r${i}`, prompt, maxTokens: 6 });
  }
  d.drain();
  const { tokens, ...stat } = d.cache.stat();
  return [[...d.finished], stat, tokens, d.plan.fingerprint];
}

/** The laws of the `observe` slot. */
export const observerLaws: readonly Law<Observer>[] = [
  {
    says: "takes every kind of event, and returns at once",
    check: async (make) => {
      const o = await make();
      for (const e of EVENTS) {
        const returned: unknown = o.event(e);
        assert.ok(!(returned instanceof Promise), `waits for "${e.type}"`);
      }
    },
  },
  {
    says: "takes events in any order, any number of times",
    check: async (make) => {
      const o = await make();
      for (const e of EVENTS.toReversed()) {
        for (let i = 0; i < 50; i++) o.event(e);
      }
    },
  },
  {
    says: "changes neither tokens nor figures of a run",
    check: async (make) => {
      const subject = await make();
      const errors: unknown[] = [];
      const watch: Plugin = {
        name: "subject",
        setup: (host) =>
          host.provide("observe", {
            event(e) {
              try {
                subject.event(e);
              } catch (error) {
                errors.push(error);
              }
            },
          }),
      };
      assert.deepEqual(await run([watch]), await run([]));
      assert.deepEqual(errors, []);
    },
  },
];

/** Registers the laws of an observer as tests. */
export function observerSuite(name: string, make: Make<Observer>): void {
  register(name, observerLaws, make);
}
