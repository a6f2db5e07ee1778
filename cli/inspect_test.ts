import assert from "node:assert/strict";
import { ModelError } from "../core/errors.ts";
import { load } from "../mod.ts";
import { modelSpec } from "../models/arch/mod.ts";
import { openGguf } from "../models/gguf.ts";
import { VALUE } from "../models/gguf/value_types.ts";
import { fixtureTest, withFile } from "../models/testing/files.ts";
import type { WrittenFile } from "../models/testing/gguf_writer.ts";
import { deeper, tinyLlama } from "../models/testing/tiny_llama.ts";
import { inspectFile, type Inspection } from "./inspection/inspect_file.ts";
import { fitOf } from "./inspection/fit.ts";
import { templateFacts } from "./inspection/template.ts";
import { main } from "./main.ts";
import { FakeHost, type FakeSettings } from "./testing/fake_host.ts";
import { quire } from "./testing/tiny_model.ts";

/** `inspect --json` of a file, and what it said besides. */
async function inspected(
  path: string,
  args: readonly string[] = [],
  settings: FakeSettings = {},
): Promise<{ status: number; said: Inspection; host: FakeHost }> {
  const host = new FakeHost(settings);
  const status = await main(["inspect", path, "--json", ...args], host);
  return { status, said: JSON.parse(host.stdout), host };
}

const inspectedFile = (file: WrittenFile, ...rest: string[]) =>
  withFile(file, (path) => inspected(path, rest));

Deno.test("inspect shows K and V of a token in every format, or why not", async () => {
  const { status, host } = await quire(["inspect", "MODEL", "--json"]);
  assert.equal(status, 0);
  const { kv } = JSON.parse(host.stdout) as Inspection;
  const bytes = Object.fromEntries(kv.map((s) => [`${s.k}/${s.v}`, s]));
  assert.equal(bytes["f16/f16"]!.bytesPerToken, 64);
  assert.ok(bytes["int8/int8"]!.bytesPerToken! < 40);
  // One scale of 16 values, which is all a head has.
  assert.equal(bytes["mxfp4/mxfp4"]!.bytesPerToken, null);
  assert.match(bytes["mxfp4/mxfp4"]!.note!, /multiple of 32/);
});

Deno.test("inspect describes a model of an unknown architecture, and fails", async () => {
  const unknown = tinyLlama({
    "general.architecture": [
      "general.architecture",
      VALUE.STRING,
      "frob\x1b[2Jnicate",
    ],
    "general.license": ["general.license", VALUE.STRING, "mit"],
  });
  const { status, said, host } = await inspectedFile(unknown);
  assert.equal(status, 1);
  assert.equal(said.licence, "mit");
  assert.equal(said.vocabulary, 8);
  assert.equal(said.types[0]!.type, "F32");
  assert.equal(said.plan, null);
  assert.match(said.fit.says, /^no: the architecture "frob.*not supported/);
  assert.match(host.stderr, /^Cannot use model .*: the architecture .*\n$/);
  const plain = new FakeHost();
  await withFile(unknown, (path) => main(["inspect", path], plain));
  assert.match(plain.stdout, /^architecture +frob\\u001b\[2Jnicate$/m);
  assert.ok(!plain.stdout.includes("\x1b"));
});

Deno.test("inspect lists weights of types that are not read, with their bytes", async () => {
  const { entries = [], tensors = [] } = tinyLlama();
  const bytes = new Uint8Array(1024);
  const odd = tensors.map((t) =>
    t.name === "blk.0.attn_q.weight" ? { ...t, type: 24, bytes } : t
  );
  const { status, said } = await inspectedFile({ entries, tensors: odd });
  assert.equal(status, 1);
  const type = said.types.find((t) => t.type === "I8 (24)")!;
  assert.deepEqual(
    [type.tensors, type.parameters, type.bytes, type.memory],
    [1, 1024, 1024, null],
  );
  assert.equal(said.context, 64);
  assert.deepEqual(said.attention, [
    { layers: 1, heads: 2, kvHeads: 1, headDim: 16, window: null },
  ]);
  assert.match(
    said.fit.says,
    /"blk\.0\.attn_q\.weight" has type I8 \(24\)/,
  );
  await withFile(
    { entries, tensors: odd },
    async (path) => await assert.rejects(openGguf(path), ModelError),
  );
});

Deno.test("inspect shows what weights are rounded to on request", async () => {
  const args = ["inspect", "MODEL", "--json", "--quantize", "q8_0"];
  const { host } = await quire(args);
  const { types, fit } = JSON.parse(host.stdout) as Inspection;
  assert.deepEqual(types[0]!.memory, { bits: 8.5, note: "rounded to Q8_0" });
  const plain = await quire(["inspect", "MODEL", "--json"]);
  const whole = JSON.parse(plain.host.stdout) as Inspection;
  assert.ok(fit.bytes!.weights < whole.fit.bytes!.weights / 2);
});

Deno.test("inspect counts the parameters that compute one token", async () => {
  const four = tinyLlama({
    c: ["llama.expert_count", VALUE.U32, 4],
    u: ["llama.expert_used_count", VALUE.U32, 1],
  }, {
    "blk.0.ffn_gate.weight": undefined,
    "blk.0.ffn_up.weight": undefined,
    "blk.0.ffn_down.weight": undefined,
    "blk.0.ffn_gate_inp.weight": [32, 4],
    "blk.0.ffn_gate_exps.weight": [32, 32, 4],
    "blk.0.ffn_up_exps.weight": [32, 32, 4],
    "blk.0.ffn_down_exps.weight": [32, 32, 4],
  });
  const { said } = await inspectedFile(four);
  assert.deepEqual(said.experts, { count: 4, used: 1 });
  // Three of four experts, of three matrices each, rest.
  assert.equal(said.parameters - said.activeParameters, 3 * 3 * 32 * 32);
});

Deno.test("inspect draws windows, a sign for each layer", async () => {
  const { changes, shapes } = deeper(3, 64);
  const key = "llama.attention.sliding_window";
  const pattern = `${key}_pattern`;
  const windowed = {
    ...changes,
    [key]: [key, VALUE.U32, 8] as const,
    [pattern]: [pattern, VALUE.ARRAY, VALUE.BOOL, [1, 1, 0]] as const,
  };
  const { said } = await inspectedFile(tinyLlama(windowed, shapes));
  assert.deepEqual(said.windows, {
    drawing: "▁▁█",
    legend: "▁ sees 8, █ everything",
  });
  const [f16] = said.kv;
  assert.deepEqual([f16!.bytesPerToken, f16!.bytesBeyondWindows], [192, 64]);
  assert.equal(said.attention.length, 2);
});

Deno.test("inspect --template prints the chat template and nothing else", async () => {
  const { status, host } = await quire(["inspect", "MODEL", "--template"]);
  assert.equal(status, 0);
  assert.ok(host.stdout.startsWith("{% for m in messages %}"));
  const none = await quire(["inspect", "MODEL", "--template"], {
    template: false,
  });
  assert.equal(none.status, 1);
  assert.match(none.host.stderr, /it has no chat template/);
});

Deno.test("templateFacts() sees system turns and tools without running anything", () => {
  const loop = "{% for m in messages %}{{ m['role'] }}{% endfor %}";
  assert.deepEqual(templateFacts(loop), {
    characters: loop.length,
    system: "yes",
    tools: "no",
  });
  const picky =
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}";
  assert.equal(templateFacts(picky).system, "refused");
  const user = "{% for m in messages %}[user]{{ m.content }}{% endfor %}";
  assert.equal(templateFacts(user).system, "no");
  assert.equal(templateFacts("system tools {{ x }}").tools, "no");
  assert.equal(templateFacts("{%- if tools %}{% endif %}").tools, "yes");
});

/** A model of some layers that are larger than all else. */
function wide(): WrittenFile {
  const { changes, shapes } = deeper(8, 4096);
  const ffn = 4096, key = "llama.feed_forward_length";
  const wider = Object.entries(shapes).map(([name, dims]) => [
    name,
    name.includes("ffn_down")
      ? [ffn, 32]
      : /ffn_(up|gate)/.test(name)
      ? [32, ffn]
      : dims,
  ]);
  return tinyLlama(
    { ...changes, [key]: [key, VALUE.U32, ffn] },
    Object.fromEntries(wider),
  );
}

Deno.test("inspect says of every budget what load() does with it", async () => {
  await withFile(wide(), async (path) => {
    const file = await openGguf(path), spec = modelSpec(file);
    const answers = new Set<string>();
    for (let mib = 12; mib < 64; mib *= 1.25) {
      const budget = Math.round(mib * 2 ** 20), given = { budget, threads: 1 };
      const fit = await fitOf(file, spec, given, undefined);
      answers.add(`${fit.runs} ${fit.options.join(" ")}`);
      const loads = (options: typeof given & { plugins?: never }) =>
        load(path, options).then(
          async (engine) => {
            await engine[Symbol.asyncDispose]();
            return true;
          },
          () => false,
        );
      const alone = fit.runs && fit.options.length === 0;
      assert.equal(await loads(given), alone, `${budget}: ${fit.says}`);
      if (alone) continue;
      const host = new FakeHost();
      const options = [
        "--weights",
        "disk",
        "--threads",
        "1",
        "--max-tokens",
        "1",
      ];
      const args = ["run", path, "a", "--budget", `${budget}`, ...options];
      assert.equal(
        await main(args, host) === 0,
        fit.runs,
        `${budget}: ${fit.says}, ${host.stderr}`,
      );
    }
    assert.deepEqual([...answers].sort(), [
      "false ",
      "true ",
      "true --weights disk",
    ]);
  });
});

Deno.test("inspect holds a model against the memory that is free", async () => {
  await withFile(wide(), async (path) => {
    const free = (memory: number) =>
      inspected(path, ["--threads", "1"], { memory });
    const { status, said } = await free(2 ** 34);
    assert.equal(status, 0);
    assert.match(
      said.fit.says,
      /^yes: .* of the 4\.0 GiB that 32-bit addresses reach/,
    );
    assert.equal(said.fit.longest, 4096);
    const { weights, working, kv } = said.fit.bytes!;
    const less = await free(weights + working + kv - 1);
    assert.match(
      less.said.fit.says,
      /^yes, for up to \d+ tokens at once: .* are free/,
    );
    assert.ok(less.said.fit.longest! < 4096);
    const none = await free(1 << 20);
    assert.equal(none.status, 1);
    assert.match(none.said.fit.says, /^no: .* more than .* that are free/);
    assert.match(none.host.stderr, /^Cannot use model/);
  });
});

Deno.test("inspectFile() says what options a plan contradicts", async () => {
  await withFile(tinyLlama(), async (path) => {
    const file = await openGguf(path);
    const plugins = [{
      name: "odd",
      setup: () => {
        throw new Error("not today");
      },
    }];
    const said = await inspectFile("m", file, { load: { plugins } });
    assert.equal(said.fit.runs, false);
    assert.match(said.fit.says, /^no: .*not today/);
    assert.equal(said.plan, null);
    assert.equal(said.kv[0]!.bytesPerToken, 64);
  });
});

fixtureTest(
  "inspect says something of every tiny model, and of the memory its types take",
  "tiny/dev/index.json",
  async (index) => {
    const { models } = JSON.parse(await Deno.readTextFile(index));
    assert.ok(models.length > 30);
    for (const { model: file } of models) {
      const { said } = await inspected(new URL(file, index).pathname);
      assert.ok(said.parameters > 30_000, file);
      assert.ok(said.activeParameters <= said.parameters);
      assert.equal(
        said.activeParameters < said.parameters,
        said.experts !== null,
      );
      for (const { type, bits, memory } of said.types) {
        assert.ok(bits >= 2 && bits <= 32);
        // What is kept in lanes is never less than what it is made of.
        if (memory !== null) {
          assert.ok(memory.bits >= bits - 0.001, `${file} ${type}`);
        }
      }
      const types = said.types.reduce((sum, t) => sum + t.bytes, 0);
      assert.ok(types < said.bytes);
      if (said.fit.runs) {
        assert.ok(said.words.length > 2);
        assert.ok(said.rope.length > 0);
      }
    }
  },
);
