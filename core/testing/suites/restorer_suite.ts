/**
 * What every restorer keeps.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Restorer } from "../../slots.ts";
import { type Law, type Make, register } from "./suite.ts";

/** What a restorer is tested with. */
export interface RestorerWorld {
  /** Values of a block. */
  readonly values: number;
  /** How many such blocks it has room for, 2 or more. */
  readonly holds: number;
}

/** Rows that no other seed gives; some of them are no numbers. */
function rows(seed: number, length: number): Float32Array {
  const out = Float32Array.from(
    { length },
    (_, i) => Math.fround(seed + i / 8),
  );
  out[seed % length] = NaN;
  return out;
}

function bits(values: Float32Array | undefined): readonly number[] {
  assert.ok(values, "what was kept is not there");
  const { buffer, byteOffset, length } = values;
  return [...new Uint32Array(buffer, byteOffset, length)];
}

/** The laws of the `restore` slot, for restorers that have boundaries. */
export function restorerLaws(world: RestorerWorld): readonly Law<Restorer>[] {
  const make1 = (seed: number) => rows(seed, world.values);
  return [
    {
      says: "has a name, layers in order and a bound",
      check: async (make) => {
        const { id, boundaries, used, capacity } = await make();
        assert.ok(id.length > 0);
        boundaries.forEach((b, i) =>
          assert.ok(b > (boundaries[i - 1] ?? 0), `boundaries ${boundaries}`)
        );
        assert.ok(capacity > 0 && capacity < Infinity, `capacity ${capacity}`);
        assert.equal(used, 0);
      },
    },
    {
      says: "gives back what it was given, to the bit, as often as it is asked",
      check: async (make) => {
        const r = await make();
        for (let i = 0; i < world.holds; i++) r.keep(`k${i}`, make1(i));
        assert.equal(r.used, world.holds * world.values * 4);
        for (const i of [0, 1, 0, world.holds - 1, 1]) {
          assert.equal(r.has(`k${i}`), true);
          assert.deepEqual(bits(r.get(`k${i}`)), bits(make1(i)));
        }
      },
    },
    {
      says: "says no to what it has not seen",
      check: async (make) => {
        const r = await make();
        r.keep("k", make1(1));
        assert.equal(r.has("k2"), false);
        assert.equal(r.get("k2"), undefined);
        assert.equal(r.has(""), false);
      },
    },
    {
      says: "leaves what it has as it is",
      check: async (make) => {
        const r = await make();
        r.keep("k", make1(1));
        const { used } = r;
        r.keep("k", make1(2));
        assert.equal(r.used, used);
        assert.deepEqual(bits(r.get("k")), bits(make1(1)));
      },
    },
    {
      says: "stays within its bound, and forgets what was used longest ago",
      check: async (make) => {
        const r = await make();
        for (let i = 0; i < world.holds; i++) r.keep(`k${i}`, make1(i));
        r.get("k0");
        for (let i = world.holds; i < 2 * world.holds - 1; i++) {
          r.keep(`k${i}`, make1(i));
          assert.ok(r.used <= r.capacity, `${r.used} of ${r.capacity}`);
        }
        assert.equal(r.has("k0"), true);
        assert.equal(r.has("k1"), false);
        assert.deepEqual(bits(r.get("k0")), bits(make1(0)));
      },
    },
    {
      says:
        "does not keep what is larger than its bound, nor lose others to it",
      check: async (make) => {
        const r = await make();
        r.keep("k", make1(1));
        const { used } = r;
        r.keep("large", rows(2, world.values * (world.holds + 1)));
        assert.equal(r.has("large"), false);
        assert.equal(r.used, used);
        assert.equal(r.has("k"), true);
      },
    },
    {
      says: "does not give back what has changed by a bit",
      check: async (make) => {
        const r = await make();
        for (const at of [0, world.values - 1, world.values >> 1]) {
          const given = make1(at);
          r.keep(`k${at}`, given);
          // One bit of what it took for its own.
          new Uint32Array(given.buffer)[at]! ^= 1 << (at % 32);
          assert.equal(r.get(`k${at}`), undefined);
          assert.equal(r.has(`k${at}`), false, "has what it does not give");
        }
        assert.equal(r.used, 0);
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
