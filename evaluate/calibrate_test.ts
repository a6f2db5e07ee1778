import assert from "node:assert/strict";
import { provided } from "../core/testing/suites/suite.ts";
import type { Plugin } from "../core/plugin.ts";
import type { Engine } from "../engine/engine.ts";
import { load } from "../engine/load.ts";
import type { LoadOptions } from "../engine/options.ts";
import { VALUE } from "../models/gguf/value_types.ts";
import { TINY_CONTEXT, tinyChat } from "../models/testing/tiny_chat.ts";
import { tinyLlama } from "../models/testing/tiny_llama.ts";
import { withFile } from "../models/testing/files.ts";
import { kvAuto } from "../plugins/kv_auto.ts";
import { kvFp4 } from "../plugins/kv_fp4.ts";
import { calibrate } from "./calibrate.ts";
import { KeyRecorder } from "./key_recorder.ts";

const TEXT = "The robin sings in the rain. The fox sleeps under the old hill. "
  .repeat(80);

/** Long enough for a chunk. */
const MODEL = tinyLlama({
  "llama.context_length": ["llama.context_length", VALUE.U32, 1024],
});

function opener(path: string): (options: LoadOptions) => Promise<Engine> {
  return (options) => load(path, { threads: 1, ...options });
}

Deno.test("calibrate() measures every layer, and engines take what it found", () =>
  withFile(MODEL, async (path) => {
    const told: [string, number, number][] = [], ran: string[] = [];
    const made = await calibrate({
      open: (options) => {
        const names = options.plugins!.map((p) => p.name).join(" + ");
        ran.push(`${options.precision}, ${options.context}: ${names}`);
        return opener(path)(options);
      },
      text: TEXT,
      tokens: 600,
      onProgress: (...part) => told.push(part),
    });
    await using engine = await load(path, {
      threads: 1,
      plugins: [kvAuto({ calibration: made, divergence: 1 })],
    });
    const { plan, spec } = engine;
    assert.equal(made.model, plan.model.id);
    // Whole blocks, in one run: beyond the chunks that losses are measured on.
    assert.equal(made.tokens, 576);
    const { kvHeads, headDim } = spec.layers[0]!;
    assert.deepEqual(
      made.centre.map((c) => c.length),
      spec.layers.map(() => kvHeads * headDim),
    );
    assert.equal(made.losses!.int4.length, spec.layers.length);
    assert.ok(made.losses!.int4.every(({ k, v }) => k >= 0 && v >= 0));
    assert.ok(made.losses!.int4.some(({ k, v }) => k + v > 0));
    assert.deepEqual(ran, [
      "undefined, undefined: paged-attention + key-recorder",
      "exact, 512: paged-attention",
      "exact, 512: paged-attention + kv-cache int8h/int8",
      "exact, 512: paged-attention + kv-cache int4c/f16 layers 0",
      "exact, 512: paged-attention + kv-cache f16/int4h layers 0",
    ]);
    assert.deepEqual(told, [
      ...Array.from({ length: 9 }, (_, i) => ["middle of K", 64 * i + 64, 576]),
      ...[1, 2, 3, 4].map((done) => ["losses", done, 4]),
    ]);
    assert.deepEqual(made.losses!.values, [kvHeads * headDim]);
    assert.equal(plan.groups[0]!.codec.id, "int4c/int4h");
  }));

Deno.test("calibrate() takes the whole text, as far as the context goes", () =>
  withFile(MODEL, async (path) => {
    const open = opener(path), losses = false;
    assert.equal(
      (await calibrate({ open, text: TEXT, losses })).tokens,
      1024,
    );
    const most = { open, text: TEXT, losses, tokens: 1e9 };
    assert.equal((await calibrate(most)).tokens, 1024);
  }));

Deno.test("calibrate() of a model with a small context cuts smaller chunks", () =>
  withFile(tinyChat(), async (path) => {
    const made = await calibrate({ open: opener(path), text: TEXT });
    assert.equal(made.tokens, TINY_CONTEXT);
    const { int4, int8 } = made.losses!;
    assert.ok(int8 > 0 && int8 < int4[0]!.k + int4[0]!.v);
  }));

Deno.test("calibrate() without losses is one run, and refuses a text that is too short", () =>
  withFile(MODEL, async (path) => {
    const open = opener(path);
    const made = await calibrate({ open, text: TEXT, losses: false });
    assert.equal(made.losses, undefined);
    for (const tokens of [1, 63]) {
      await assert.rejects(
        () => calibrate({ open, text: TEXT, losses: false, tokens }),
        { name: "RangeError", message: /in \d+ tokens: 64 are wanted/ },
      );
    }
    await assert.rejects(
      () => calibrate({ open, text: "short" }),
      { name: "RangeError", message: /chunks of 512/ },
    );
    await assert.rejects(
      () =>
        load(path, { plugins: [kvFp4({ centre: { ...made, model: "x" } })] }),
      /of model "x"/,
    );
  }));

Deno.test("calibrate() ends with the signal's reason and leaves no engine open", () =>
  withFile(MODEL, async (path) => {
    for (const stop of ["middle of K", "losses"]) {
      const controller = new AbortController();
      let opened = 0, closed = 0;
      const counter: Plugin = {
        name: "counter",
        setup(host) {
          opened++;
          host.onClose(() => void closed++);
        },
      };
      await assert.rejects(
        () =>
          calibrate({
            open: (options) =>
              opener(path)({
                ...options,
                plugins: [...options.plugins!, counter],
              }),
            text: TEXT,
            onProgress: (what) => {
              if (what === stop) controller.abort(new Error("enough"));
            },
            signal: controller.signal,
          }),
        /enough/,
      );
      assert.equal(opened, stop === "losses" ? 3 : 1);
      assert.equal(closed, opened);
    }
  }));

Deno.test("KeyRecorder takes the mean of what hardly turns, and 0 of the rest", async () => {
  const told: number[] = [];
  const recorder = new KeyRecorder((count) => told.push(count));
  const shape = {
    tokens: 4,
    layers: 2,
    kvHeads: 2,
    headDim: 3,
    layerIds: [1, 5],
  };
  // [layer][token][k|v][head][dim]: dim 0 is far from 0, dim 1 turns, dim 2 is 0.
  const raw = Float32Array.from({ length: 2 * 4 * 2 * 2 * 3 }, (_, i) => {
    const d = i % 3, head = Math.floor(i / 3) % 2;
    const v = Math.floor(i / 6) % 2, t = Math.floor(i / 12) % 4;
    const layer = Math.floor(i / 48);
    if (v === 1) return 99;
    if (d === 0) return 10 * (head + 1) + layer + (t % 2 === 0 ? 1 : -1);
    return d === 1 ? (t % 2 === 0 ? 3 : -2) : 0;
  });
  // What is too large counts as codecs count it, here a quarter of the energy.
  raw[2] = Infinity;
  const codec = await provided(recorder.plugin(), "codec");
  const out = new Uint8Array(codec.bytes(shape));
  codec.seal(shape, raw, out);
  const back = new Float32Array(raw.length);
  codec.open(shape, out, back);
  assert.deepEqual(back, raw);
  const centres = recorder.centres(7);
  assert.deepEqual([...centres[1]!], [10, 0, 0, 20, 0, 0]);
  assert.deepEqual([...centres[5]!], [11, 0, 0, 21, 0, 0]);
  assert.equal(centres[0]!.length, 0);
  assert.deepEqual(told, []);
  codec.seal({ ...shape, layerIds: [0, 2] }, raw, out);
  codec.seal({ ...shape, layerIds: [0, 2] }, raw, out);
  assert.deepEqual(told, [4, 8]);
});
