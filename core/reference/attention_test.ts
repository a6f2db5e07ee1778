import assert from "node:assert/strict";
import { rawFloats } from "../defaults.ts";
import type { BlockShape } from "../types.ts";
import { append, attend, type LayerBlocks, type Visible } from "./attention.ts";

function noise(length: number, seed: number): Float32Array {
  return Float32Array.from(
    { length },
    (_, i) => Math.sin((i + 1) * (seed + 1.3) * 12.9898) * 2,
  );
}

/** A memory of scattered blocks, the rest of it poison. */
function memoryOf(shape: BlockShape, blocks: number): LayerBlocks {
  const floats = rawFloats(shape);
  const memory = new Float32Array(floats * (blocks + 1)).fill(NaN);
  const table = Uint32Array.from(
    { length: blocks },
    (_, i) => (1 + (i * 5 + 2) % blocks) * floats * 4,
  );
  return { memory, table, shape, layerInBlock: shape.layers - 1 };
}

/** Attention written down once more, over plain lists. */
function dense(
  keys: Float32Array[],
  values: Float32Array[],
  q: Float32Array,
  headDim: number,
  scale: number,
  sees: (p: number) => boolean,
): number[] {
  const kvHeads = keys[0]!.length / headDim;
  const qHeads = q.length / headDim;
  const out: number[] = [];
  for (let h = 0; h < qHeads; h++) {
    const kv = Math.floor(h * kvHeads / qHeads);
    const scores = keys.map((k, p) => {
      if (!sees(p)) return -Infinity;
      let dot = 0;
      for (let d = 0; d < headDim; d++) {
        dot += q[h * headDim + d]! * k[kv * headDim + d]!;
      }
      return dot * scale;
    });
    const max = Math.max(...scores);
    const e = scores.map((s) => Math.exp(s - max));
    const total = e.reduce((a, b) => a + b);
    for (let d = 0; d < headDim; d++) {
      out.push(
        e.reduce((a, w, p) => a + w * values[p]![kv * headDim + d]!, 0) / total,
      );
    }
  }
  return out;
}

for (
  const [name, qHeads, kvHeads] of [["MHA", 2, 2], ["GQA", 6, 2], [
    "MQA",
    3,
    1,
  ]] as const
) {
  Deno.test(`attend() equals the dense form: ${name}, every window and sink`, () => {
    const headDim = 8;
    for (const tokens of [1, 3, 8]) {
      const shape = { tokens, layers: 2, kvHeads, headDim };
      const length = 11;
      // Only whole strides of 5 blocks scatter without a clash.
      const blocks = memoryOf(shape, Math.ceil(length / tokens) + 2);
      const keys: Float32Array[] = [];
      const values: Float32Array[] = [];
      for (let p = 0; p < length; p++) {
        keys.push(noise(kvHeads * headDim, p));
        values.push(noise(kvHeads * headDim, p + 50));
        append(blocks, p, keys[p]!, values[p]!);
      }
      const q = noise(qHeads * headDim, 99);
      const out = new Float32Array(q.length);
      for (const position of [0, 4, 10]) {
        for (const start of [0, Math.min(2, position), position]) {
          for (const sink of [0, 1, 3, 20]) {
            attend(blocks, { position, start, sink }, q, 0.3, out);
            const want = dense(
              keys,
              values,
              q,
              headDim,
              0.3,
              (p) => p <= position && (p >= start || p < sink),
            );
            for (let i = 0; i < out.length; i++) {
              assert.ok(Math.abs(out[i]! - want[i]!) < 1e-6);
            }
          }
        }
      }
    }
  });
}

const shape = { tokens: 4, layers: 1, kvHeads: 1, headDim: 2 };

Deno.test("attend() scores positions below the sink with its other query", () => {
  const headDim = 8, q = noise(2 * headDim, 99), sinkQ = noise(2 * headDim, 98);
  const blocks = memoryOf({ tokens: 4, layers: 1, kvHeads: 1, headDim }, 4);
  const keys: Float32Array[] = [], values: Float32Array[] = [];
  for (let p = 0; p < 12; p++) {
    keys.push(noise(headDim, p));
    values.push(noise(headDim, p + 50));
    append(blocks, p, keys[p]!, values[p]!);
  }
  const out = new Float32Array(q.length);
  attend(blocks, { position: 11, start: 6, sink: 3 }, q, 0.3, out, sinkQ);
  for (let head = 0; head < 2; head++) {
    const of = (x: Float32Array): number[] => [
      ...x.subarray(head * headDim, (head + 1) * headDim),
    ];
    // One query of two parts, each of which meets the keys of its positions only.
    const none = Array<number>(headDim).fill(0);
    const want = dense(
      keys.map((k, p) =>
        Float32Array.from(p < 3 ? [...k, ...none] : [...none, ...k])
      ),
      values.map((v) => Float32Array.from([...v, ...none])),
      Float32Array.from([...of(sinkQ), ...of(q)]),
      2 * headDim,
      0.3,
      (p) => p < 3 || p >= 6,
    );
    of(out).forEach((x, d) => assert.ok(Math.abs(x - want[d]!) < 1e-6));
  }
});

Deno.test("attend() survives scores far beyond the exponential's range", () => {
  const blocks = memoryOf(shape, 1);
  append(blocks, 0, new Float32Array([1e4, 0]), new Float32Array([1, 2]));
  append(blocks, 1, new Float32Array([-1e4, 0]), new Float32Array([5, 6]));
  const out = new Float32Array(2);
  const q = new Float32Array([1e4, 0]);
  attend(blocks, { position: 1, start: 0, sink: 0 }, q, 1, out);
  assert.deepEqual(out, new Float32Array([1, 2]));
});

Deno.test("attend() touches no block outside what the row sees", () => {
  const blocks = memoryOf(shape, 4);
  const one = new Float32Array([1, 1]);
  for (let p = 0; p < 16; p++) append(blocks, p, one, one);
  blocks.table[1] = 0;
  const out = new Float32Array(2);
  attend(blocks, { position: 13, start: 8, sink: 4 }, one, 1, out);
  assert.deepEqual(out, one);
  assert.throws(
    () => attend(blocks, { position: 13, start: 7, sink: 4 }, one, 1, out),
    /position 7: block 1 of its sequence is at byte 0, which is no block/,
  );
});

Deno.test("append() refuses a released block, one beyond the table and one beyond the memory", () => {
  const blocks = memoryOf(shape, 2);
  const one = new Float32Array([1, 1]);
  assert.throws(() => append(blocks, 8, one, one), /block 2 .* no block/);
  for (const offset of [0, 6, 0xfffffffc]) {
    blocks.table[0] = offset;
    assert.throws(() => append(blocks, 0, one, one), RangeError);
  }
});

Deno.test("append() writes one position and nothing else", () => {
  const blocks = memoryOf({ ...shape, layers: 2, kvHeads: 2 }, 2);
  const before = blocks.memory.slice();
  append(blocks, 5, new Float32Array([1, 2, 3, 4]), new Float32Array(4));
  const changed = blocks.memory.filter((x, i) => !Object.is(x, before[i]));
  assert.deepEqual([...changed], [1, 2, 3, 4, 0, 0, 0, 0]);
});

Deno.test("attend() does not count a position twice where sink and window meet", () => {
  const blocks = memoryOf(shape, 2);
  for (let p = 0; p < 6; p++) {
    append(blocks, p, noise(2, p), new Float32Array([p, 1]));
  }
  const q = noise(2, 7);
  const whole = new Float32Array(2);
  attend(blocks, { position: 5, start: 0, sink: 0 }, q, 1, whole);
  for (const v of [[3, 5], [0, 6], [2, 2]] as const) {
    const seen: Visible = { position: 5, start: v[0], sink: v[1] };
    const out = new Float32Array(2);
    attend(blocks, seen, q, 1, out);
    assert.deepEqual(out, whole);
  }
});

Deno.test("attend() caps scores before it masks, those of sinks too", () => {
  const shape = { layers: 1, kvHeads: 1, headDim: 2, tokens: 4 };
  const blocks = memoryOf(shape, 2);
  // Scores 3, 1, 8 of what is seen, values 1, 10, 100.
  [[3, 1], [1, 10], [50, 5], [8, 100]].forEach(([k, v], p) =>
    append(blocks, p, Float32Array.of(k!, 0), Float32Array.of(v!, 0))
  );
  const q = Float32Array.of(1, 0), out = new Float32Array(2);
  const seen = { position: 3, start: 3, sink: 2 };
  attend(blocks, seen, q, 1, out, Float32Array.of(-1, 0), 2);
  const e = [-3, -1, 8].map((s) => Math.exp(2 * Math.tanh(s / 2)));
  const total = e[0]! + e[1]! + e[2]!;
  const want = (e[0]! + 10 * e[1]! + 100 * e[2]!) / total;
  assert.ok(Math.abs(out[0]! - want) < 1e-4, `${out[0]}, wanted ${want}`);
});
