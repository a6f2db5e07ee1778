import assert from "node:assert/strict";
import { calibrationPath, readCalibration, writeCalibration } from "../mod.ts";
import { VALUE } from "../models/gguf/value_types.ts";
import { withFile } from "../models/testing/files.ts";
import { tinyChat } from "../models/testing/tiny_chat.ts";
import { tinyLlama } from "../models/testing/tiny_llama.ts";
import { kvChoice } from "./kv.ts";
import { main } from "./main.ts";
import { FakeHost } from "./testing/fake_host.ts";
import { quire } from "./testing/tiny_model.ts";

Deno.test("kvChoice() reads both, one, and neither", () => {
  assert.equal(kvChoice({}), undefined);
  assert.deepEqual(kvChoice({ kv: "int8" }), { k: "int8", v: "int8" });
  assert.deepEqual(kvChoice({ kv: "int8", kvV: "int4" }), {
    k: "int8",
    v: "int4",
  });
  assert.deepEqual(kvChoice({ kvK: "int8" }), { k: "int8", v: "f16" });
  assert.deepEqual(kvChoice({ kv: "auto", divergence: 0.01 }), { auto: 0.01 });
  assert.throws(() => kvChoice({ divergence: 1 }), /without "--kv auto"/);
  assert.throws(
    () => kvChoice({ kv: "int8", divergence: 1 }),
    /without "--kv auto"/,
  );
  assert.throws(() => kvChoice({ kv: "auto", kvK: "int8" }), /it chooses both/);
});

Deno.test("--kv shows in the plan, and is refused where it cannot be", async () => {
  const coded = await quire(["inspect", "MODEL", "--kv", "int8"]);
  assert.equal(coded.status, 0, coded.host.stderr);
  assert.match(coded.host.stdout, /"int8h\/int8" sealed, fused/);
  const auto = await quire(["run", "hello", "-m", "MODEL", "--kv", "auto"]);
  assert.equal(auto.status, 1);
  assert.match(auto.host.stderr, /quire calibrate .* --text FILE/);
  const odd = await quire(["inspect", "MODEL", "--kv", "int5"]);
  assert.equal(odd.status, 2);
  assert.match(odd.host.stderr, /"--kv" with "int5": "int8" or "int4"/);
});

/** A command line on a model that stays where it is. */
async function said(
  ...args: string[]
): Promise<{ status: number; out: string; err: string }> {
  const host = new FakeHost();
  const status = await main(args, host);
  return { status, out: host.stdout, err: host.stderr };
}

Deno.test("calibrate writes beside the model, and --kv auto takes it", async () => {
  const text = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(text, "The robin sings in the rain. ".repeat(40));
    await withFile(tinyChat(), async (path) => {
      const args = ["calibrate", path, "--text", text, "--threads", "1"];
      const made = await said(...args);
      assert.equal(made.status, 0, made.err);
      assert.match(
        made.out,
        /\.gguf\.kv\.json: 256 tokens, INT8 .*, INT4 by l/,
      );
      assert.match(made.err, /^middle of K: 256 of 256, 0 s left$/m);
      assert.match(made.err, /^losses: 4 of 4, 0 s left$/m);
      const { losses, centre } = await readCalibration(path);
      assert.equal(centre[0]!.length, 16);
      const auto = ["inspect", path, "--kv", "auto"];
      const loose = await said(...auto, "--divergence", "10");
      assert.match(loose.out, /"kv-auto 10, predicted [\d.e-]+"/);
      assert.match(loose.out, /"int4c\/int4h" sealed, fused/);
      const strict = await said(...auto, "--divergence", `${losses!.int8 / 9}`);
      assert.match(strict.out, /nothing coded keeps to it"/);
      assert.match(strict.out, /full blocks stay as they are/);
      const run = ["run", path, "once", "--max-tokens", "2", "--kv", "auto"];
      assert.equal((await said(...run)).status, 0);
      const twice = await said(...args, "--json", "--tokens", "99");
      assert.deepEqual(JSON.parse(twice.out), {
        file: calibrationPath(path),
        tokens: 64,
        losses,
      });
    });
  } finally {
    await Deno.remove(text);
  }
});

const HEADS = "llama.attention.head_count";

/** One head of 32, which FP4 takes. */
const WIDE = tinyLlama({ [HEADS]: [HEADS, VALUE.U32, 1] }, {
  "blk.0.attn_k.weight": [32, 32],
  "blk.0.attn_v.weight": [32, 32],
});

Deno.test("--kv fp4 takes the middle of K where there is one, and does without", async () => {
  await withFile(WIDE, async (path) => {
    const args = ["inspect", path, "--kv", "fp4"];
    const plain = await said(...args);
    assert.equal(plain.status, 0, plain.err);
    assert.match(plain.out, /"kv-cache nvfp4h"/);
    const { plan } = JSON.parse((await said(...args, "--json")).out);
    const model = /for model "(\w+)"/.exec(plan)![1]!;
    const made = { model, tokens: 64, centre: [new Float32Array(32)] };
    await writeCalibration(path, made);
    const centred = await said(...args);
    assert.equal(centred.status, 0, centred.err);
    assert.match(centred.out, /"kv-cache nvfp4h keep 1 centred"/);
    const v = await said("inspect", path, "--kv-v", "fp4");
    assert.match(v.out, /"kv-cache f16\/nvfp4h"/);
    await writeCalibration(path, { ...made, model: "others" });
    const others = await said(...args);
    assert.equal(others.status, 1);
    assert.match(others.err, /of model "others": the model here is "\w+"/);
    assert.equal(others.err.trimEnd().split("\n").length, 1);
  });
});

Deno.test("--kv says in one line what is wrong with a calibration", async () => {
  await withFile(WIDE, async (path) => {
    const file = calibrationPath(path);
    for (const kv of ["auto", "fp4"]) {
      await Deno.writeTextFile(file, '{"kind":"quire-cal');
      const { status, err } = await said("inspect", path, "--kv", kv);
      assert.equal(status, 1);
      assert.match(
        err,
        /^Cannot use model .*it is no JSON; run "quire cal.*\n$/,
      );
    }
    await writeCalibration(path, { model: "m", tokens: 1, centre: [] });
    const { status, err } = await said("inspect", path, "--kv", "auto");
    assert.equal(status, 1);
    assert.match(err, /^Cannot use model .*no losses to choose by.*\n$/);
    const odd = await said("run", path, "x", "--kv", "auto", "--divergence=-1");
    assert.equal(odd.status, 1);
  });
});

Deno.test("calibrate refuses what it cannot measure on", async () => {
  const text = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(text, "Too short.");
    const few = await quire(["calibrate", "MODEL", "--text", text]);
    assert.equal(few.status, 1);
    assert.match(few.host.stderr, /^Cannot cut a text of 10 tokens into.*\n$/);
    const zero = ["calibrate", "MODEL", "--text", text, "--tokens", "0"];
    assert.equal((await quire(zero)).status, 2);
    const none = await quire(["calibrate", "MODEL"]);
    assert.equal(none.status, 2);
    assert.match(none.host.stderr, /without a text: "--text FILE"/);
    const short = await quire(["calibrate", "MODEL", "--text", `${text}.no`]);
    assert.equal(short.status, 2);
    assert.match(short.host.stderr, /there is no such file/);
  } finally {
    await Deno.remove(text);
  }
});
