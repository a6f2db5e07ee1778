import assert from "node:assert/strict";
import { Remaining } from "./remaining.ts";
import { FakeHost } from "./testing/fake_host.ts";

Deno.test("Remaining.tell() foretells from what is done, for each kind of work anew", () => {
  const host = new FakeHost({ terminal: { err: true } });
  const remaining = new Remaining(host);
  const told = (ms: number, ...[what, done]: [string, number]): string => {
    host.time = ms;
    host.stderr = "";
    remaining.tell(what, done, 4);
    return host.stderr;
  };
  assert.equal(told(2000, "bytes", 1), "\rbytes: 1 of 4, 6 s left\x1b[K");
  assert.equal(told(4000, "bytes", 4), "\rbytes: 4 of 4, 0 s left\x1b[K");
  // 100 s since the end of the other, three times that to come.
  assert.equal(told(104_000, "keys", 1), "\rkeys: 1 of 4, 5 min left\x1b[K");
  host.stderr = "";
  remaining.clear();
  remaining.clear();
  assert.equal(host.stderr, "\r\x1b[K");
});

Deno.test("Remaining.tell() fits the columns of a terminal", () => {
  const host = new FakeHost({ terminal: { err: true }, columns: 12 });
  new Remaining(host).tell("a long name of work", 1, 2);
  assert.equal(host.stderr, "\ra long name\x1b[K");
});

Deno.test("Remaining.tell() has a line every ten seconds and at the end elsewhere", () => {
  const host = new FakeHost();
  const remaining = new Remaining(host);
  for (let done = 1; done <= 6; done++) {
    host.time = done * 4000;
    remaining.tell("keys", done, 6);
  }
  remaining.clear();
  assert.equal(
    host.stderr,
    "keys: 3 of 6, 12 s left\nkeys: 6 of 6, 0 s left\n",
  );
});
