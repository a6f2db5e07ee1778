import assert from "node:assert/strict";
import { assertSpyCalls, spy, stub } from "@std/testing/mock";

Deno.test("spy() keeps what went in and what came out", () => {
  const half = spy((n: number) => {
    if (n % 2 === 1) throw new RangeError("odd");
    return n / 2;
  });
  assert.equal(half(4), 2);
  assert.throws(() => half(3), RangeError);
  assertSpyCalls(half, 2);
  assert.deepEqual(half.calls[0], { args: [4], returned: 2 });
  assert.ok(half.calls[1]?.error instanceof RangeError);
  assert.throws(() => assertSpyCalls(half, 1));
});

Deno.test("stub() replaces a method until it is restored", () => {
  class Lamp {
    on(): string {
      return "on";
    }
  }
  const lamp = new Lamp();
  {
    using on = stub(lamp, "on", () => "stubbed");
    assert.equal(lamp.on(), "stubbed");
    assertSpyCalls(on, 1);
  }
  assert.equal(lamp.on(), "on");
  assert.ok(!Object.hasOwn(lamp, "on"));
});
