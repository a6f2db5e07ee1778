import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import {
  PAGE,
  parseSegmentName,
  segmentName,
  slotFormat,
  slotPages,
} from "./slot.ts";
import { bytesOf } from "./testing/local_store.ts";

const format = slotFormat(crc32);
const KEY = "0123456789abcdef".repeat(4);
const PRINT = "fedcba9876543210".repeat(4);

function sealed(length: number): { head: Uint8Array; data: Uint8Array } {
  const data = bytesOf(1, length);
  const head = new Uint8Array(format.headBytes(length)).fill(7);
  format.seal(head, data, KEY, PRINT);
  return { head, data };
}

Deno.test("slotFormat() of any length: head and pages fit the slot", () => {
  const most = 1000 * PAGE;
  for (
    const length of [1, 95, 4096, 4097, most - 1, most, most + 1, 9_000_000]
  ) {
    const pages = slotPages(length);
    assert.ok(format.headBytes(length) + length <= pages * PAGE);
    assert.ok(format.headBytes(length) + length > (pages - 1) * PAGE);
    const { head, data } = sealed(length);
    assert.equal(format.matches(head, length, KEY, PRINT), true);
    assert.equal(format.whole(head, crc32(data)), true);
    assert.equal(format.pagesWhole(head, 0, data), true);
    const last = Math.floor((length - 1) / PAGE);
    const end = data.subarray(last * PAGE);
    assert.equal(format.pagesWhole(head, last, end), true);
    assert.equal(format.pagesWhole(head, last + 1, end), false);
  }
});

Deno.test("slotFormat() knows a head by its length, key, plan and every bit", () => {
  const { head } = sealed(10_000);
  assert.equal(format.matches(head, 10_001, KEY, PRINT), false);
  assert.equal(format.matches(head, 10_000, PRINT, PRINT), false);
  assert.equal(format.matches(head, 10_000, KEY, KEY), false);
  for (let bit = 0; bit < head.length * 8; bit += bit < 2000 ? 1 : 97) {
    head[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(format.matches(head, 10_000, KEY, PRINT), false, `bit ${bit}`);
    head[bit >> 3]! ^= 1 << (bit & 7);
  }
});

Deno.test("slotFormat() sees any bit of the data, in the whole and in its page", () => {
  const { head, data } = sealed(10_000);
  for (let bit = 0; bit < data.length * 8; bit += 1009) {
    data[bit >> 3]! ^= 1 << (bit & 7);
    const page = Math.floor((bit >> 3) / PAGE);
    const part = data.subarray(page * PAGE, (page + 1) * PAGE);
    assert.equal(format.whole(head, crc32(data)), false);
    assert.equal(format.pagesWhole(head, page, part), false);
    const others = [0, 1, 2].filter((p) => p !== page);
    for (const p of others) {
      const other = data.subarray(p * PAGE, (p + 1) * PAGE);
      assert.equal(format.pagesWhole(head, p, other), true);
    }
    data[bit >> 3]! ^= 1 << (bit & 7);
  }
});

Deno.test("parseSegmentName() takes what segmentName() gives, and nothing else", () => {
  assert.deepEqual(parseSegmentName(segmentName(12, 104)), {
    number: 12,
    pages: 104,
  });
  assert.deepEqual(parseSegmentName("0-2.seg"), { number: 0, pages: 2 });
  for (
    const name of [
      "0-1.seg",
      "01-4.seg",
      "-4.seg",
      "1-4.seg.new",
      "a1-4.seg",
      "1-4",
    ]
  ) {
    assert.equal(parseSegmentName(name), undefined, name);
  }
});
