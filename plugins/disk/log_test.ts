import assert from "node:assert/strict";
import {
  isLog,
  logHead,
  type LogRecord,
  logRecord,
  RECORD,
  replay,
} from "./log.ts";

function key(i: number): string {
  return i.toString(16).padStart(64, "0");
}

function log(records: readonly LogRecord[]): Uint8Array {
  const bytes = new Uint8Array(RECORD * (records.length + 1));
  bytes.set(logHead());
  records.forEach((r, i) => bytes.set(logRecord(r), RECORD * (i + 1)));
  return bytes;
}

const RECORDS: LogRecord[] = Array.from({ length: 20 }, (_, i) => ({
  key: key(i * 7919),
  place: i % 3 === 0
    ? undefined
    : { segment: i, pages: 2 + i, slot: i * 2, length: 4_000_000_000 + i },
}));

Deno.test("replay() gives the records that were written", () => {
  const bytes = log(RECORDS);
  assert.equal(isLog(bytes), true);
  assert.deepEqual(replay(bytes), { end: bytes.length, records: RECORDS });
});

Deno.test("replay() cuts what is torn at the end, wherever", () => {
  const bytes = log(RECORDS);
  for (let length = RECORD; length <= bytes.length; length += 13) {
    const { end, records } = replay(bytes.subarray(0, length));
    const whole = Math.floor(length / RECORD);
    assert.equal(end, whole * RECORD);
    assert.deepEqual(records, RECORDS.slice(0, whole - 1));
  }
});

Deno.test("replay() leaves out what is not whole, any bit of it", () => {
  for (let bit = 0; bit < RECORD * 8; bit += 3) {
    const bytes = log(RECORDS.slice(0, 3));
    bytes[RECORD * 2 + (bit >> 3)]! ^= 1 << (bit & 7);
    assert.deepEqual(replay(bytes).records, [RECORDS[0], RECORDS[2]]);
  }
});

Deno.test("isLog() refuses any bit of another head, and what is too short", () => {
  assert.equal(isLog(logHead().subarray(1)), false);
  for (let bit = 0; bit < RECORD * 8; bit++) {
    const head = logHead();
    head[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(isLog(head), false, `bit ${bit}`);
  }
});

Deno.test("logHead() is another each time, so that a new log is told from the old", () => {
  assert.notDeepEqual(logHead(), logHead());
});
