import assert from "node:assert/strict";
import { guard } from "./guard.ts";
import { PluginError } from "./plugin.ts";

class Counter {
  #n = 1;
  readonly id = "counter";
  get size(): number {
    return this.#n;
  }
  add(n: number): number {
    if (n < 0) throw new Error("no room");
    return this.#n += n;
  }
  late(): Promise<number> {
    return Promise.reject(new Error("too late"));
  }
}

Deno.test("guard() does what its value does, private fields included", () => {
  const counter = new Counter();
  const g = guard(counter, "mine", "index");
  assert.equal(g.add(2), 3);
  assert.equal(counter.size, 3);
  assert.deepEqual([g.size, g.id], [3, "counter"]);
  assert.ok(!("other" in g), "optional methods stay absent");
});

Deno.test("guard() names the plugin, the slot and the method of what is thrown", async () => {
  const g = guard(new Counter(), "mine", "index");
  const named = (why: string) => (e: unknown) => {
    assert.ok(e instanceof PluginError);
    assert.deepEqual([e.plugin, e.slot], ["mine", "index"]);
    assert.match(e.message, new RegExp(`"mine".*"index".*${why}`));
    assert.ok(e.cause instanceof Error);
    return true;
  };
  assert.throws(() => g.add(-1), named('"add": no room'));
  await assert.rejects(g.late(), named('"late": too late'));
});

Deno.test("guard() leaves the name of the plugin that failed first", () => {
  const inner = guard(new Counter(), "inner", "tier");
  const outer = guard({ run: () => inner.add(-1) }, "outer", "evict");
  assert.throws(
    () => outer.run(),
    (e) => e instanceof PluginError && e.plugin === "inner",
  );
});

Deno.test("guard() names what a generator or a getter throws later", () => {
  const g = guard(
    {
      *victims(): Iterable<number> {
        yield 1;
        throw new Error("boom");
      },
      get size(): number {
        throw new Error("no size");
      },
      get same(): number {
        return 4;
      },
    },
    "mine",
    "evict",
  );
  const seen: number[] = [];
  assert.throws(
    () => {
      for (const v of g.victims()) seen.push(v);
    },
    (e) =>
      e instanceof PluginError && /"mine".*"victims": boom/.test(e.message),
  );
  assert.deepEqual(seen, [1]);
  assert.throws(() => g.size, PluginError);
  assert.equal(g.same, 4);
});
