/**
 * Fairness among tenants: whoever was served least is next.
 *
 * Each tenant has a counter of the rows computed for it. A tenant that comes back
 * after a pause starts from the least counter among those that are there, so that
 * it can neither save up nor be punished for the past. Method: Sheng et al.,
 * "Fairness in Serving Large Language Models", OSDI 2024.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";
import type { GenRequest } from "../core/scheduler_types.ts";
import type { Admission } from "../core/slots.ts";

/** Settings of `fairShare()`. */
export interface FairShareOptions {
  /** Tenants that get more (above 1) or less than others. Default 1 each. */
  readonly weights?: Readonly<Record<string, number>>;
}

/**
 * Divides the machine among tenants by their weights. Within a tenant, and before
 * fairness counts, higher priority goes first, then who came first.
 *
 * ```ts ignore
 * await load("smollm2", {
 *   plugins: [pagedAttention(), prefixCache(), fairShare({ weights: { paid: 4 } })],
 * });
 * ```
 *
 * @throws {RangeError} for a weight that is not above 0.
 */
export function fairShare({ weights = {} }: FairShareOptions = {}): Plugin {
  for (const [tenant, weight] of Object.entries(weights)) {
    if (weight > 0 && weight < Infinity) continue;
    throw new RangeError(
      `Cannot share fairly with weight ${weight} of tenant "${tenant}": a number above 0 is wanted`,
    );
  }
  return {
    name: "fair-share",
    setup: (host) =>
      host.provide(
        "admission",
        new FairAdmission(new Map(Object.entries(weights))),
      ),
  };
}

/** How many requests are put in order; more are not admitted in one step. */
const AHEAD = 64;

class FairAdmission implements Admission {
  readonly #weights: ReadonlyMap<string, number>;
  /** Rows served, divided by weight, of tenants that are there. */
  readonly #served = new Map<string, number>();
  /** The counter of who was served last: where newcomers start. */
  #level = 0;

  constructor(weights: ReadonlyMap<string, number>) {
    this.#weights = weights;
  }

  order(waiting: readonly GenRequest[]): readonly GenRequest[] {
    this.#join(waiting);
    // What a request takes counts at once, or a tenant's whole queue would go first.
    const ahead = new Map(this.#served);
    const left = waiting.map((request) => request);
    const out: GenRequest[] = [];
    while (left.length > 0 && out.length < AHEAD) {
      let best = 0;
      for (let i = 1; i < left.length; i++) {
        if (this.#before(left[i]!, left[best]!, ahead)) best = i;
      }
      const [request] = left.splice(best, 1);
      const tenant = tenantOf(request!);
      ahead.set(tenant, ahead.get(tenant)! + this.#cost(request!));
      out.push(request!);
    }
    return out;
  }

  victim(running: readonly GenRequest[]): GenRequest {
    let worst = running[0]!;
    for (const r of running) {
      const p = r.priority ?? 0, q = worst.priority ?? 0;
      const more = this.#of(r) >= this.#of(worst);
      if (p < q || (p === q && more)) worst = r;
    }
    return worst;
  }

  served(request: GenRequest, rows: number): void {
    const tenant = tenantOf(request);
    const before = this.#served.get(tenant) ?? this.#level;
    this.#served.set(tenant, before + rows / this.#weight(tenant));
    this.#level = Math.max(this.#level, before);
  }

  /** Tenants that have been away start where the least of the present ones is. */
  #join(waiting: readonly GenRequest[]): void {
    const present = new Set(waiting.map(tenantOf));
    let least = Infinity;
    for (const tenant of present) {
      least = Math.min(least, this.#served.get(tenant) ?? Infinity);
    }
    if (least === Infinity) least = this.#level;
    for (const tenant of present) {
      if (!this.#served.has(tenant)) this.#served.set(tenant, least);
    }
    for (const tenant of this.#served.keys()) {
      if (!present.has(tenant) && this.#served.get(tenant)! <= least) {
        this.#served.delete(tenant);
      }
    }
  }

  #before(
    a: GenRequest,
    b: GenRequest,
    ahead: ReadonlyMap<string, number>,
  ): boolean {
    const p = a.priority ?? 0, q = b.priority ?? 0;
    if (p !== q) return p > q;
    return ahead.get(tenantOf(a))! < ahead.get(tenantOf(b))!;
  }

  #cost({ prompt, tenant = "" }: GenRequest): number {
    return prompt.length / this.#weight(tenant);
  }

  #weight(tenant: string): number {
    return this.#weights.get(tenant) ?? 1;
  }

  #of(request: GenRequest): number {
    return this.#served.get(tenantOf(request)) ?? this.#level;
  }
}

function tenantOf({ tenant = "" }: GenRequest): string {
  return tenant;
}
