import assert from "node:assert/strict";
import { barLine, Progress } from "./progress.ts";
import { FakeHost } from "./testing/fake_host.ts";

const MIB = 1 << 20;

function at(done: number, total: number | undefined = 8 * MIB) {
  return { stage: "load" as const, what: "m.gguf", done, total };
}

Deno.test("Progress.report() draws in a terminal and takes the bar away", () => {
  const host = new FakeHost({ terminal: { err: true }, columns: 60 });
  const progress = new Progress(host);
  progress.report(at(0));
  assert.equal(host.stderr, "");
  host.time = 200;
  progress.report(at(4 * MIB));
  assert.equal(
    host.stderr,
    `\rm.gguf [${"#".repeat(15)}${"-".repeat(15)}] 50 % of 8.0 MiB\x1b[K`,
  );
  host.stderr = "";
  host.time = 210;
  progress.report(at(5 * MIB));
  assert.equal(host.stderr, "", "drawn again too soon");
  progress.end();
  assert.equal(host.stderr, "\r\x1b[K");
  progress.end();
  assert.equal(host.stderr, "\r\x1b[K", "taken away twice");
});

Deno.test("Progress.report() says nothing of short work where nobody watches", () => {
  const host = new FakeHost();
  const progress = new Progress(host);
  for (host.time = 0; host.time < 1000; host.time += 100) {
    progress.report(at(host.time * 100));
  }
  progress.end();
  assert.equal(host.stderr, "");
});

Deno.test("Progress.report() has one line for each quarter of long work", () => {
  const host = new FakeHost();
  const progress = new Progress(host);
  for (let i = 0; i <= 16; i++, host.time += 500) {
    progress.report(at(i * MIB / 2));
  }
  progress.end();
  assert.equal(
    host.stderr,
    [12, 25, 50, 75, 100].map((n) => `m.gguf: ${n} % of 8.0 MiB\n`).join(""),
  );
});

Deno.test("Progress.report() begins anew with other work", () => {
  const host = new FakeHost();
  const progress = new Progress(host);
  progress.report(at(0));
  host.time = 5000;
  progress.report({ ...at(0), stage: "pull" });
  assert.equal(host.stderr, "");
});

Deno.test("barLine() fits its columns, without a bar where it must", () => {
  for (const columns of [10, 20, 40, 80, 200]) {
    for (const total of [undefined, 0, 8 * MIB]) {
      for (const done of [0, 3 * MIB, 9 * MIB]) {
        assert.ok(barLine(at(done, total), columns).length <= columns);
      }
    }
  }
  assert.equal(
    barLine({ ...at(MIB), total: undefined }, 80),
    "m.gguf  1.0 MiB",
  );
  assert.ok(!barLine(at(MIB), 30).includes("["));
});
