import assert from "node:assert/strict";
import type { SlabLayout } from "../core/backend.ts";
import { compilePlan } from "../core/plan.ts";
import { PlanError } from "../core/plugin.ts";
import type { AttendKernel } from "../core/slots.ts";
import { FakeBackend } from "../core/testing/fake_backend.ts";
import { fakeModel } from "../core/testing/fake_plan.ts";
import { layoutSuite } from "../core/testing/suites/layout_suite.ts";
import { provided } from "../core/testing/suites/suite.ts";
import {
  pagedAttention,
  type PagedAttentionOptions,
} from "./paged_attention.ts";

layoutSuite(
  "pagedAttention()",
  () => provided(pagedAttention(), "layout"),
);
layoutSuite(
  "pagedAttention({ blockTokens: 3 })",
  () => provided(pagedAttention({ blockTokens: 3 }), "layout"),
);

/** A backend whose only kernel takes some block sizes. */
class PickyBackend extends FakeBackend {
  override readonly kernels: never[];
  readonly slab: ((shape: unknown) => SlabLayout) | undefined = undefined;

  constructor(takes: (tokens: number) => boolean, layer = -1) {
    super();
    const kernel: AttendKernel = {
      id: "picky",
      backend: this.id,
      supports: (_format, at, tokens) =>
        takes(tokens) && at.layer !== layer
          ? { ok: true, cost: 1 }
          : { ok: false, why: `blocks of ${tokens} do not fit its lanes` },
    };
    this.kernels = [kernel as never];
  }
}

async function blocks(
  options: PagedAttentionOptions,
  backend: FakeBackend,
): Promise<number> {
  const plugins = [pagedAttention(options)];
  const { plan } = await compilePlan({ model: fakeModel(3), backend, plugins });
  assert.equal(plan.groups.length, 1);
  return plan.groups[0]!.shape.tokens;
}

Deno.test("pagedAttention() makes blocks of 16, where nobody minds", async () => {
  assert.equal(await blocks({}, new FakeBackend()), 16);
  assert.equal(await blocks({}, new PickyBackend(() => true)), 16);
});

Deno.test("pagedAttention() takes the next size that a kernel takes", async () => {
  for (
    const [takes, size] of [
      [(n: number) => n % 32 === 0, 32],
      [(n: number) => n % 64 === 0, 64],
      [(n: number) => n === 256, 256],
      [(n: number) => n <= 8, 8],
      [(n: number) => n === 8 || n === 128, 128],
    ] as const
  ) assert.equal(await blocks({}, new PickyBackend(takes)), size);
});

Deno.test("pagedAttention() takes a size that is given, and no other", async () => {
  for (const blockTokens of [1, 2, 3, 48, 16]) {
    assert.equal(await blocks({ blockTokens }, new FakeBackend()), blockTokens);
  }
  const even = new PickyBackend((n) => n % 32 === 0);
  assert.equal(await blocks({ blockTokens: 96 }, even), 96);
});

Deno.test("pagedAttention() of a size that no kernel takes is refused with the kernel's reason", async () => {
  for (const blockTokens of [16, 24]) {
    await assert.rejects(
      () => blocks({ blockTokens }, new PickyBackend((n) => n % 32 === 0)),
      (e: unknown) => {
        assert.ok(e instanceof PlanError);
        assert.equal(e.conflicts.length, 1);
        const { code, slot, plugins, message } = e.conflicts[0]!;
        assert.deepEqual([code, slot], ["kernel", "kernel"]);
        assert.deepEqual(plugins, ["paged-attention"]);
        assert.match(message, new RegExp(`${blockTokens} tokens per block`));
        assert.match(
          message,
          new RegExp(`"picky" declined .*blocks of ${blockTokens} do not fit`),
        );
        return true;
      },
    );
  }
});

Deno.test("pagedAttention() is refused where no size is taken, for one layer too", async () => {
  const never = new PickyBackend(() => false);
  await assert.rejects(() => blocks({}, never), /blocks of 16 do not fit/);
  const third = new PickyBackend(() => true, 2);
  await assert.rejects(() => blocks({}, third), PlanError);
});

Deno.test("pagedAttention() refuses sizes that are none", async () => {
  for (const blockTokens of [0, -1, 1.5, NaN, 1 << 17]) {
    await assert.rejects(
      () => blocks({ blockTokens }, new FakeBackend()),
      (e: unknown) =>
        e instanceof PlanError && e.conflicts[0]!.code === "value" &&
        e.message.includes(`blocks of ${blockTokens} tokens`),
    );
  }
});
