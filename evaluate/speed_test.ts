import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { measureSpeed, type SpeedFigures, speedTable } from "./speed.ts";
import { FIGURES, ROWS } from "./speed_rows.ts";

const TINY = fileURLToPath(
  new URL(
    "../../shared/fixtures/tiny/dev/llama-gqa-q4_0.gguf",
    import.meta.url,
  ),
);
const ignore = !existsSync(TINY);
const why = ignore ? " (ignored: ../shared/fixtures is not there)" : "";

function checkFigures({ figures }: SpeedFigures): void {
  for (const [name, figure] of Object.entries(figures)) {
    const { median, min, max, n, unit } = figure;
    assert.ok(min > 0 && min <= median && median <= max, name);
    assert.ok(Number.isFinite(max) && n > 0, name);
    assert.equal(unit, ROWS[name as keyof typeof ROWS].unit);
  }
}

Deno.test({
  name: `measureSpeed() gives every figure a small context has room for${why}`,
  ignore,
  fn: async () => {
    const seen: string[] = [];
    const speed = await measureSpeed(TINY, {
      reps: 2,
      threads: 1,
      onCase: (name) => seen.push(name),
    });
    checkFigures(speed);
    // The tiny models were trained for 512 tokens.
    assert.equal(speed.context, 512);
    const long = ["prefill512", "decode1000", "decode4000"];
    assert.deepEqual(Object.keys(speed.notes), long);
    assert.match(speed.notes.decode1000!, /needs 1193 tokens.* 512/);
    assert.deepEqual(
      Object.keys(speed.figures),
      FIGURES.filter((name) => !long.includes(name)),
    );
    assert.equal(seen.length, 8);
    const { load, firstToken, loadAndFirstToken, decode, memory } =
      speed.figures;
    assert.equal(decode!.n, 2);
    assert.equal(memory!.n, 1);
    assert.ok(loadAndFirstToken!.min >= load!.min + firstToken!.min - 1e-6);
    // The file has 80 KB; no process of Deno's stays under 16 MiB.
    assert.ok(memory!.median > 2 ** 24, `${memory!.median}`);
    const { weights, activations, kv, workspace } = speed.owners!;
    for (const bytes of [weights, activations, kv, workspace]) {
      assert.ok(bytes > 0 && bytes < memory!.median);
    }
    assert.deepEqual(JSON.parse(JSON.stringify(speed)), speed);
  },
});

Deno.test({
  name: `measureSpeed() runs the cases asked for and no others${why}`,
  ignore,
  fn: async () => {
    const seen: string[] = [];
    const speed = await measureSpeed(TINY, {
      cases: ["batch4", "prefill32"],
      reps: 1,
      threads: 2,
      context: 128,
      onCase: (name) => seen.push(name),
    });
    checkFigures(speed);
    assert.deepEqual(seen, ["prefill32", "batch4"]);
    assert.deepEqual(Object.keys(speed.figures), [
      "prefill32",
      "batch4",
      "batch4Decoding",
    ]);
    assert.equal(speed.threads, 2);
    assert.equal(speed.owners, undefined);
    assert.deepEqual(speed.notes, {});
  },
});

Deno.test("measureSpeed() refuses repetitions that are no whole number above 0", async () => {
  for (const reps of [0, -1, 1.5, NaN]) {
    await assert.rejects(measureSpeed("smollm2", { reps }), /"reps"/);
  }
});

Deno.test("measureSpeed() says that a model is unknown before it measures", async () => {
  await assert.rejects(measureSpeed("no-such-model"), /"no-such-model"/);
});

Deno.test("speedTable() has a line for each figure, owner and note", () => {
  const figure = { median: 123.4, min: 9.96, max: 2000, n: 3 };
  const MIB = 2 ** 20;
  const text = speedTable({
    model: "m.gguf",
    threads: 2,
    context: 4096,
    reps: 3,
    figures: {
      decode: { unit: "tokens/s", ...figure },
      memory: {
        unit: "bytes",
        median: 90 * MIB,
        min: 80 * MIB,
        max: 100 * MIB,
        n: 3,
      },
    },
    owners: { weights: 50 * MIB, activations: 0, kv: MIB, workspace: 0 },
    notes: { decode4000: "needs more" },
  });
  const lines = text.split("\n");
  assert.match(lines[0]!, /^m\.gguf: 2 threads, context 4096, 3 repetitions$/);
  assert.match(text, /^decode, empty context +123 +10\.0 +2000 +tokens\/s$/m);
  assert.match(text, /^peak resident memory +90\.0 +80\.0 +100 +MiB$/m);
  assert.match(text, /^ +of it weights +50\.0 +MiB$/m);
  assert.match(text, /^decode4000: needs more$/m);
  assert.equal(lines.length, 9);
});
