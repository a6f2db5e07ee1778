import assert from "node:assert/strict";
import {
  byOwner,
  formatBytes,
  formatCount,
  type Memory,
  memoryTable,
  statisticsLine,
  table,
} from "./statistics.ts";

const MIB = 1 << 20;

const MEMORY: Memory = {
  lines: [
    line("kv", "group 0", 0, 2 * MIB),
    line("kv", "group 1", MIB, MIB),
    line("weights", "model", 90 * MIB, 90 * MIB),
  ],
  tiers: { device: { used: 91 * MIB, peak: 93 * MIB, capacity: 1 << 30 } },
};

function line(
  owner: "kv" | "weights",
  component: string,
  bytes: number,
  peak: number,
): Memory["lines"][number] {
  return { tier: "device", owner, component, bytes, peak };
}

const USAGE = {
  promptTokens: 20,
  cachedTokens: 0,
  miss: undefined,
  completionTokens: 1,
  ttftMs: 41.4,
  decodeMs: 0,
  promptPerSecond: 483.09,
  tokensPerSecond: 0,
};

Deno.test("formatBytes() takes the largest unit below 1024", () => {
  assert.equal(formatBytes(0), "0 B");
  assert.equal(formatBytes(1023), "1023 B");
  assert.equal(formatBytes(1024), "1.0 KiB");
  assert.equal(formatBytes(1536), "1.5 KiB");
  assert.equal(formatBytes(MIB - 1), "1.0 MiB");
  assert.equal(formatBytes(2 ** 60), "1048576.0 TiB");
});

Deno.test("formatCount() takes the largest unit there is one of", () => {
  assert.equal(formatCount(0), "0");
  assert.equal(formatCount(999), "999");
  assert.equal(formatCount(999_950), "1.0 M");
  assert.equal(formatCount(134_515_008), "134.5 M");
  assert.equal(formatCount(7e12), "7000.0 G");
});

Deno.test("byOwner() sums lines, the largest first", () => {
  assert.deepEqual(byOwner(MEMORY), [
    { owner: "weights", bytes: 90 * MIB, peak: 90 * MIB },
    { owner: "kv", bytes: MIB, peak: 3 * MIB },
  ]);
});

Deno.test("statisticsLine() says tokens, rates, first token and memory by owner", () => {
  assert.equal(
    statisticsLine(USAGE, MEMORY),
    "prompt 20 tokens, 483.1/s · first token after 41 ms · answer 1 token" +
      " · memory: weights 90.0 MiB, kv 3.0 MiB",
  );
  assert.match(
    statisticsLine(
      { ...USAGE, cachedTokens: 8, ttftMs: 12_340, tokensPerSecond: 99 },
      MEMORY,
    ),
    /20 tokens \(8 cached\).* after 12\.3 s .*answer 1 token, 99\.0\/s/,
  );
});

Deno.test("memoryTable() has every line and the total of each tier", () => {
  const lines = memoryTable(MEMORY).split("\n");
  assert.equal(lines.length, 1 + 3 + 1);
  assert.match(lines[1]!, /^device\/kv +group 0 +0 B +2\.0 MiB$/);
  assert.match(
    lines[4]!,
    /^device +all, of 1\.0 GiB +91\.0 MiB +93\.0 MiB$/,
  );
});

Deno.test("table() sets columns to the left, then to the right", () => {
  assert.equal(
    table([["a", "b"], ["long", "10"]], 1),
    "a      b\nlong  10",
  );
});
