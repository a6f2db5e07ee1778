/**
 * What every restorer keeps.
 *
 * @module
 */
import assert from "node:assert/strict";
import { rawFloats } from "../../defaults.ts";
import type { Input, Lost, Restorer } from "../../slots.ts";
import type { BlockShape } from "../../types.ts";
import { type Law, type Make, register } from "./suite.ts";

/** What a restorer is tested with. */
export interface RestorerWorld {
  readonly shape: BlockShape;
  /** Whether blocks that were never shown to `keep()` can be rebuilt too. */
  readonly fromTokens: boolean;
  /** What the executor gives `keep()` for a block. */
  input(at: Lost): ReadonlyMap<Input, Float32Array>;
  /** The K and V of a block. */
  truth(at: Lost): Float32Array;
  /** Most that a value may be off; 0 for equal bits. */
  readonly bound: number;
}

function lost(block: number, seed: number, tokens: number): Lost {
  const end = (block + 1) * tokens;
  return {
    tokens: Array.from({ length: end }, (_, i) => (i * 7 + seed) % 50),
    range: { start: block * tokens, end },
    layers: [0, 1],
  };
}

async function assertRestored(
  r: Restorer,
  at: Lost,
  world: RestorerWorld,
): Promise<void> {
  const length = rawFloats(world.shape);
  const around = new Float32Array(length + 32).fill(-99);
  const raw = around.subarray(16, 16 + length);
  const done = await r.restore(at, world.shape, raw);
  assert.equal(done, true, `block at ${at.range.start} is not rebuilt`);
  const wanted = world.truth(at);
  raw.forEach((x, i) => {
    assert.ok(Math.abs(x - wanted[i]!) <= world.bound, `value ${i}: ${x}`);
  });
  const edges = [...around.subarray(0, 16), ...around.subarray(-16)];
  assert.ok(edges.every((x) => x === -99), "wrote outside of the block");
}

/** The laws of the `restore` slot. */
export function restorerLaws(world: RestorerWorld): readonly Law<Restorer>[] {
  const { tokens } = world.shape;
  const keep = (r: Restorer, at: Lost) => r.keep?.(at, world.input(at));
  return [
    {
      says: "has a name and a cost",
      check: async (make) => {
        const { id, cost } = await make();
        assert.ok(id.length > 0);
        assert.ok(cost >= 0 && cost < Infinity, `cost ${cost}`);
      },
    },
    {
      says: "rebuilds what it was shown, as often as it is asked",
      check: async (make) => {
        const r = await make();
        const all = [0, 1, 2, 3].map((b) => lost(b, 1, tokens));
        for (const at of all) keep(r, at);
        for (const at of [...all, ...all.toReversed()]) {
          await assertRestored(r, at, world);
        }
      },
    },
    {
      says: "tells blocks apart by all tokens before them, and by their layers",
      check: async (make) => {
        const r = await make();
        const all = [
          lost(1, 1, tokens),
          lost(1, 2, tokens),
          { ...lost(1, 1, tokens), layers: [2] },
          {
            ...lost(1, 1, tokens),
            tokens: [49, ...lost(1, 1, tokens).tokens.slice(1)],
          },
        ];
        for (const at of all) keep(r, at);
        for (const at of all) await assertRestored(r, at, world);
      },
    },
    {
      says: "says no to what it has not seen, or rebuilds it rightly",
      check: async (make) => {
        const r = await make();
        keep(r, lost(0, 1, tokens));
        const at = lost(2, 9, tokens);
        if (world.fromTokens) {
          await assertRestored(r, at, world);
          return;
        }
        const raw = new Float32Array(rawFloats(world.shape));
        assert.equal(await r.restore(at, world.shape, raw), false);
      },
    },
    {
      says: "keeps copies: what it was shown may change",
      check: async (make) => {
        const r = await make();
        const at = lost(1, 4, tokens);
        const input = world.input(at);
        r.keep?.(at, input);
        for (const values of input.values()) values.fill(0);
        await assertRestored(r, at, world);
      },
    },
  ];
}

/** Registers the laws of a restorer as tests. */
export function restorerSuite(
  name: string,
  make: Make<Restorer>,
  world: RestorerWorld,
): void {
  register(name, restorerLaws(world), make);
}
