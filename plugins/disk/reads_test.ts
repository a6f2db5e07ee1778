import assert from "node:assert/strict";
import type { Hand } from "./hand.ts";
import type { ReadRequest } from "./io_types.ts";
import { Reads } from "./reads.ts";

/** A hand that fills what is read with a byte when it is told to. */
function slowHand(byte: number): Hand & { go(): void; asked: number } {
  const waiting: (() => void)[] = [];
  const memories = new Map<number, SharedArrayBuffer>();
  const hand = {
    asked: 0,
    go: () => waiting.splice(0).forEach((answer) => answer()),
    ask: (request: unknown) => {
      const { jobs, shared } = request as ReadRequest;
      for (const { id, memory } of shared.fresh) memories.set(id, memory);
      hand.asked += jobs.length;
      return new Promise<never>((resolve) =>
        waiting.push(() => {
          for (const { memory, at, bytes } of jobs) {
            new Uint8Array(memories.get(memory)!, at, bytes).fill(byte);
          }
          for (const id of shared.stale) memories.delete(id);
          resolve(new Uint8Array(jobs.length).fill(1) as never);
        })
      );
    },
    close: () => Promise.resolve(),
  };
  return hand;
}

const PLACE = {
  segment: "0-2.seg",
  number: 0,
  pages: 2,
  slot: 0,
  length: 100,
  key: "",
  print: "",
  from: 0,
  bytes: 100,
};

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

Deno.test("Reads divides what is asked at once among its hands", async () => {
  const hands = [slowHand(1), slowHand(2)];
  const reads = new Reads(hands, 5000);
  const outs = Array.from({ length: 10 }, () => new Uint8Array(100));
  const all = Promise.all(outs.map((out) => reads.read(PLACE, out)));
  await settle();
  assert.ok(hands.every((h) => h.asked >= 3), "both have work");
  for (let i = 0; i < 10; i++) {
    hands.forEach((h) => h.go());
    await settle();
  }
  assert.deepEqual(await all, outs.map(() => "ok"));
  assert.ok(outs.every((o) => o.every((x) => x === o[0] && x > 0)));
});

Deno.test("Reads loses what comes too late, and never writes to it then", async () => {
  const hands = [slowHand(1)];
  const reads = new Reads(hands, 20);
  const out = new Uint8Array(100);
  const shared = new Uint8Array(new SharedArrayBuffer(100));
  const straight = reads.read({ ...PLACE }, shared);
  assert.equal(await reads.read(PLACE, out), "lost");
  // Nobody is left who could read: no waiting.
  assert.equal(await reads.read(PLACE, out), "lost");
  hands[0]!.go();
  await settle();
  assert.equal(out.every((x) => x === 0), true);
  // What goes straight to its place is waited for.
  assert.equal(await straight, "ok");
  assert.equal(shared.every((x) => x === 1), true);
  const again = reads.read(PLACE, out);
  await settle();
  hands[0]!.go();
  assert.equal(await again, "ok");
});

Deno.test("Reads goes on with those hands that answer", async () => {
  const hands = [slowHand(1), slowHand(2)];
  const reads = new Reads(hands, 20);
  const out = new Uint8Array(100);
  assert.equal(await reads.read(PLACE, out), "lost");
  const [late, other] = hands[0]!.asked > 0 ? hands : hands.toReversed();
  const second = reads.read(PLACE, out);
  await settle();
  assert.equal(other!.asked, 1);
  other!.go();
  assert.equal(await second, "ok");
  late!.go();
  await settle();
});

Deno.test("Reads goes straight to more memories than a worker remembers", async () => {
  const hand = slowHand(3);
  const reads = new Reads([hand], 5000);
  const outs = Array.from(
    { length: 200 },
    () => new Uint8Array(new SharedArrayBuffer(100)),
  );
  for (let round = 0; round < 2; round++) {
    const all = Promise.all(outs.map((out) => reads.read(PLACE, out)));
    for (let i = 0; i < 10; i++) {
      await settle();
      hand.go();
    }
    assert.deepEqual(await all, outs.map(() => "ok"));
    assert.ok(outs.every((out) => out.every((x) => x === 3)));
    outs.forEach((out) => out.fill(0));
  }
});
