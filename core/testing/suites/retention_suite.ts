/**
 * What every retention keeps.
 *
 * @module
 */
import assert from "node:assert/strict";
import { intersect } from "../../ranges.ts";
import { startAndSink } from "../../sight.ts";
import type { Retention } from "../../slots.ts";
import type { TokenRange } from "../../types.ts";
import { type Law, type Make, register } from "./suite.ts";

/** All queries near the start, and some far from it with those before them. */
function* queries(): Iterable<number> {
  for (let q = 0; q < 3000; q++) yield q;
  for (let power = 1 << 12; power <= 1 << 20; power *= 2) {
    for (let q = power - 2; q < power + 3; q++) yield q;
  }
}

/** The laws of the `retention` slot. */
export const retentionLaws: readonly Law<Retention>[] = [
  {
    says: "lets a query see itself, and nothing later",
    check: async (make) => {
      const r = await make();
      for (const q of queries()) {
        const seen = r.visible(q);
        assert.equal(Math.max(...seen.map((x) => x.end)), q + 1, `query ${q}`);
        assert.ok(seen.some((x) => x.start <= q && q < x.end), `query ${q}`);
        for (const { start, end } of seen) {
          assert.ok(Number.isInteger(start) && Number.isInteger(end));
          assert.ok(start >= 0 && start <= end, `query ${q}`);
        }
      }
    },
  },
  {
    says: "has a form that can be run: a start and what is recent",
    check: async (make) => {
      const r = await make();
      // Throws on any other form.
      for (const q of queries()) startAndSink([r], q);
    },
  },
  {
    says: "brings no position back that was out of sight",
    check: async (make) => {
      const r = await make();
      // From neighbours the law follows for every distance.
      for (const q of queries()) {
        if (q === 0) continue;
        const again = intersect(r.visible(q), [{ start: 0, end: q }]);
        assertWithin(again, r.visible(q - 1), q);
      }
      for (const q of [100, 777, 5000, 1 << 17]) {
        for (const earlier of [q >> 1, q - 63, q - 10, 1]) {
          const again = intersect(r.visible(q), [{ start: 0, end: earlier }]);
          assertWithin(again, r.visible(earlier), q);
        }
      }
    },
  },
  {
    says: "answers alike, in whatever order it is asked",
    check: async (make) => {
      const r = await make(), other = await make();
      const asked = [900, 3, 0, 1 << 16, 44];
      const first = asked.map((q) => ranges(r.visible(q)));
      for (let q = 1000; q > 0; q -= 7) other.visible(q);
      const again = asked.toReversed().map((q) => ranges(r.visible(q)));
      assert.deepEqual(first, again.toReversed());
      assert.deepEqual(first, asked.map((q) => ranges(other.visible(q))));
      assert.equal(r.id, other.id);
    },
  },
  {
    says: "has a reach that is a position, where it has one",
    check: async (make) => {
      const { id, reach } = await make();
      assert.ok(id.length > 0);
      if (reach === undefined) return;
      assert.ok(Number.isInteger(reach) && reach > 0, `reach ${reach}`);
    },
  },
];

/** Registers the laws of a retention as tests. */
export function retentionSuite(name: string, make: Make<Retention>): void {
  register(name, retentionLaws, make);
}

function assertWithin(
  inner: readonly TokenRange[],
  outer: readonly TokenRange[],
  query: number,
): void {
  const size = (list: readonly TokenRange[]) =>
    list.reduce((sum, r) => sum + r.end - r.start, 0);
  assert.equal(
    size(intersect(joined(inner), joined(outer))),
    size(joined(inner)),
    `query ${query} sees again what was out of sight`,
  );
}

/** Ascending, and touching or overlapping ranges are one. */
function joined(list: readonly TokenRange[]): TokenRange[] {
  const out: { start: number; end: number }[] = [];
  for (const r of list.toSorted((a, b) => a.start - b.start)) {
    const last = out.at(-1);
    if (last && r.start <= last.end) last.end = Math.max(last.end, r.end);
    else out.push({ ...r });
  }
  return out;
}

function ranges(list: readonly TokenRange[]): string {
  return joined(list).map((r) => `${r.start}-${r.end}`).join(" ");
}
