import assert from "node:assert/strict";
import { HostMemory } from "./memory.ts";

Deno.test("HostMemory.write(), read() and copy() move bytes of spans", () => {
  const memory = new HostMemory(1024, 64);
  const a = memory.alloc(3)!;
  const b = memory.alloc(3)!;
  memory.write(a, new Uint8Array([1, 2, 3]));
  memory.copy(a, b);
  const out = new Uint8Array(3);
  memory.read(b, out);
  assert.deepEqual(out, new Uint8Array([1, 2, 3]));
  memory.write(b, new Uint8Array([9]));
  memory.read(b, out);
  assert.deepEqual(out, new Uint8Array([9, 2, 3]));
  memory.check();
});

Deno.test("HostMemory.alloc() never hands out offset 0 and runs out as a value", () => {
  const memory = new HostMemory(256, 64);
  const spans = [memory.alloc(64), memory.alloc(64), memory.alloc(64)];
  assert.deepEqual(spans.map((s) => s?.offset), [64, 128, 192]);
  assert.equal(memory.alloc(1), undefined);
  memory.free(spans[1]!);
  assert.equal(memory.alloc(64)?.offset, 128);
  assert.throws(() => memory.free({ offset: 0, bytes: 64 }), TypeError);
});

Deno.test("HostMemory refuses to pass the end of a span", () => {
  const memory = new HostMemory(1024, 64);
  const short = memory.alloc(2)!;
  const long = memory.alloc(4)!;
  const four = new Uint8Array(4);
  assert.throws(() => memory.write(short, four), /4 bytes of a span of 2/);
  assert.throws(() => memory.read(short, four), RangeError);
  assert.throws(() => memory.copy(long, short), RangeError);
});

Deno.test("HostMemory.slide() takes the bytes along, over themselves too", () => {
  const memory = new HostMemory(1024, 64);
  const gap = memory.alloc(64)!, long = memory.alloc(200)!;
  const bytes = Uint8Array.from({ length: 200 }, (_, i) => i + 1);
  memory.write(long, bytes);
  assert.deepEqual(memory.slide(long), long);
  memory.free(gap);
  const now = memory.slide(long);
  assert.deepEqual(now, { offset: 64, bytes: 200 });
  const out = new Uint8Array(200);
  memory.read(now, out);
  assert.deepEqual(out, bytes);
  memory.check();
  memory.free(now);
  assert.equal(memory.stat().used, 0);
});
