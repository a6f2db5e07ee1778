import assert from "node:assert/strict";
import type { GenRequest } from "../core/scheduler_types.ts";
import type { Admission } from "../core/slots.ts";
import { dice } from "../core/testing/cache_driver.ts";
import { fakeGenerate } from "../core/testing/fake_backend.ts";
import {
  type SchedulerDriver,
  schedulerDriver,
} from "../core/testing/scheduler_driver.ts";
import { admissionSuite } from "../core/testing/suites/admission_suite.ts";
import { provided } from "../core/testing/suites/suite.ts";
import { fairShare } from "./fair_share.ts";
import { pagedAttention } from "./paged_attention.ts";

admissionSuite("fairShare()", () => provided(fairShare(), "admission"));
admissionSuite(
  "fairShare({ weights })",
  () => provided(fairShare({ weights: { a: 4, b: 0.5 } }), "admission"),
);

/** What a tenant asks for: how many requests wait, and how large they are. */
interface Demand {
  readonly queue: number;
  readonly prompt?: number;
  readonly most?: number;
  /** The steps in which it asks, default all. */
  readonly when?: (step: number) => boolean;
}

type Rows = Record<string, number>;

/** Tenants who always want more, on one scheduler; counts the rows each gets. */
class Contention {
  readonly d: SchedulerDriver;
  readonly #demand: Readonly<Record<string, Demand>>;
  readonly #roll = dice(7);
  readonly #owners = new Map<string, string>();
  readonly #live: Rows = {};
  readonly #requests = new Map<string, GenRequest>();
  #step = 0;

  constructor(d: SchedulerDriver, demand: Readonly<Record<string, Demand>>) {
    this.d = d;
    this.#demand = demand;
  }

  /** Rows that each tenant got in so many steps. */
  run(steps: number): Rows {
    const rows: Rows = {};
    for (const t of Object.keys(this.#demand)) rows[t] = 0;
    for (const end = this.#step + steps; this.#step < end; this.#step++) {
      this.#ask();
      const plan = this.d.scheduler.step()!;
      for (let i = 0; i < plan.count; i++) {
        const e = plan.entries[i]!;
        rows[e.request.tenant!]! += e.rows;
      }
      this.d.run(plan);
      for (const f of this.d.scheduler.done(plan)) {
        this.#live[this.#owners.get(f.id)!]!--;
        const { prompt, maxTokens } = this.#requests.get(f.id)!;
        const wanted = fakeGenerate(this.d.plan, prompt, maxTokens);
        assert.deepEqual(f.tokens, wanted);
      }
    }
    return rows;
  }

  #ask(): void {
    for (const [tenant, demand] of Object.entries(this.#demand)) {
      const { queue, prompt = 20, most = 12, when } = demand;
      if (when?.(this.#step) === false) continue;
      while ((this.#live[tenant] ?? 0) < queue) {
        this.#live[tenant] = (this.#live[tenant] ?? 0) + 1;
        const id = `${tenant}${this.#owners.size}`;
        this.#owners.set(id, tenant);
        const request = {
          id,
          tenant,
          prompt: Array.from(
            { length: 1 + this.#roll(prompt) },
            () => this.#roll(90),
          ),
          maxTokens: 1 + this.#roll(most),
        };
        this.#requests.set(id, request);
        this.d.scheduler.add(request);
      }
    }
  }
}

async function contention(
  demand: Readonly<Record<string, Demand>>,
  weights: Readonly<Record<string, number>> = {},
  sizes: { seqs?: number; budgetBytes?: number } = {},
): Promise<Contention> {
  const plugins = [pagedAttention({ blockTokens: 4 }), fairShare({ weights })];
  const d = await schedulerDriver(plugins, {
    bytes: 1 << 18,
    rows: 32,
    seqs: 6,
    ...sizes,
  });
  return new Contention(d, demand);
}

/** Every tenant has its part of all rows, within 10 % of it. */
function assertShares(rows: Rows, parts: Rows): void {
  const all = Object.values(rows).reduce((a, b) => a + b, 0);
  const whole = Object.values(parts).reduce((a, b) => a + b, 0);
  for (const [tenant, part] of Object.entries(parts)) {
    const share = rows[tenant]! / all;
    const wanted = part / whole;
    assert.ok(
      Math.abs(share / wanted - 1) < 0.1,
      `"${tenant}" got ${share.toFixed(3)}, wanted ${wanted.toFixed(3)}`,
    );
  }
}

const DEEP: Demand = { queue: 12 };

Deno.test("fairShare() divides the rows by weight, whatever was asked", async () => {
  const weights = { a: 4, b: 2 };
  const demand = { a: DEEP, b: DEEP, c: DEEP };
  assertShares((await contention(demand, weights)).run(1500), {
    a: 4,
    b: 2,
    c: 1,
  });
  const tight = { budgetBytes: 40 * 64 };
  assertShares((await contention(demand, weights, tight)).run(1500), {
    a: 4,
    b: 2,
    c: 1,
  });
});

Deno.test("fairShare() counts rows, not requests: long prompts, long answers and both are alike", async () => {
  const c = await contention({
    prompts: { queue: 12, prompt: 60, most: 2 },
    answers: { queue: 12, prompt: 2, most: 40 },
    both: DEEP,
  });
  assertShares(c.run(1500), { prompts: 1, answers: 1, both: 1 });
});

Deno.test("fairShare() gives no more to who asks for more", async () => {
  const c = await contention({ flood: { queue: 200 }, b: DEEP });
  assertShares(c.run(1000), { flood: 1, b: 1 });
});

Deno.test("fairShare() gives what one does not use to the others", async () => {
  const c = await contention({
    busy: DEEP,
    // One short request at a time.
    calm: { queue: 1, prompt: 3, most: 3 },
  });
  const { busy, calm } = c.run(800);
  assert.ok(busy! > 4 * calm!, `${busy} and ${calm} rows`);
  assert.ok(calm! > 800, `${calm} rows: it waits`);
});

Deno.test("fairShare() lets a newcomer neither starve nor catch up on the time before", async () => {
  const c = await contention({
    a: DEEP,
    b: DEEP,
    late: { ...DEEP, when: (step) => step >= 1000 },
  });
  assertShares(c.run(1000), { a: 1, b: 1 });
  // From the beginning and for good it has its part.
  for (const steps of [200, 200, 1000]) {
    assertShares(c.run(steps), { a: 1, b: 1, late: 1 });
  }
});

Deno.test("fairShare() lets a tenant who was away come back like a newcomer", async () => {
  const c = await contention({
    a: DEEP,
    fitful: { ...DEEP, when: (step) => step < 300 || step >= 900 },
  });
  assertShares(c.run(300), { a: 1, fitful: 1 });
  const alone = c.run(600);
  assert.ok(alone.a! > 8 * alone.fitful!);
  for (const steps of [200, 800]) {
    assertShares(c.run(steps), { a: 1, fitful: 1 });
  }
});

function request(
  id: string,
  tenant: string,
  more: Partial<GenRequest> = {},
): GenRequest {
  return { id, tenant, prompt: [1, 2, 3, 4], maxTokens: 4, ...more };
}

async function admission(
  weights: Readonly<Record<string, number>> = {},
): Promise<(waiting: readonly GenRequest[]) => string[]> {
  const a = await provided(fairShare({ weights }), "admission");
  const stat = (await schedulerDriver([])).cache.stat();
  return (waiting) => a.order(waiting, stat).map((r) => r.id);
}

Deno.test("fairShare() lets tenants take turns, each in the order of arrival", async () => {
  const order = await admission({ b: 2 });
  const waiting = [
    request("a1", "a"),
    request("a2", "a"),
    request("a3", "a"),
    request("b1", "b"),
    request("b2", "b"),
    request("b3", "b"),
    request("b4", "b"),
  ];
  assert.deepEqual(order(waiting), ["a1", "b1", "b2", "a2", "b3", "b4", "a3"]);
});

Deno.test("fairShare() lets priority go before fairness", async () => {
  const order = await admission();
  const waiting = [
    request("a1", "a"),
    request("b1", "b"),
    request("a2", "a", { priority: 1 }),
    request("a3", "a", { priority: 1 }),
    request("b2", "b", { priority: -1 }),
  ];
  assert.deepEqual(order(waiting), ["a2", "a3", "b1", "a1", "b2"]);
});

Deno.test("fairShare() lets the tenant who was served most give way, of its requests the newest", async () => {
  const a: Admission = await provided(
    fairShare({ weights: { b: 10 } }),
    "admission",
  );
  const running = [
    request("a1", "a"),
    request("a2", "a"),
    request("b1", "b"),
  ];
  a.served!(running[0]!, 10);
  a.served!(running[2]!, 50);
  assert.equal(a.victim(running).id, "a2", "10 rows are more than 50 / 10");
  a.served!(running[2]!, 60);
  assert.equal(a.victim(running).id, "b1");
  const urgent = [...running.slice(0, 2), { ...running[2]!, priority: 1 }];
  assert.equal(a.victim(urgent).id, "a2");
});

Deno.test("fairShare() refuses weights that are not above 0", () => {
  for (const weight of [0, -1, NaN, Infinity]) {
    assert.throws(
      () => fairShare({ weights: { good: 1, bad: weight } }),
      (e: unknown) =>
        e instanceof RangeError &&
        e.message.includes(`weight ${weight} of tenant "bad"`),
    );
  }
});
