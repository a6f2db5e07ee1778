import assert from "node:assert/strict";
import { main } from "./main.ts";
import { FakeHost } from "./testing/fake_host.ts";
import { type Outcome, quire } from "./testing/tiny_model.ts";

const TEXT =
  "The robin sings in the rain. The fox sleeps under the old hill. Nobody knows why. "
    .repeat(60);

/** `eval` of the tiny model over a text; `TEXT` and `OUT` stand for files. */
async function evaluated(
  args: readonly string[],
  settings = {},
  text = TEXT,
): Promise<Outcome & { readonly written: string | undefined }> {
  const folder = await Deno.makeTempDir({ prefix: "quire_eval_" });
  try {
    const path = `${folder}/text.txt`, out = `${folder}/out.json`;
    await Deno.writeTextFile(path, text);
    const all = args.map((a) => a === "TEXT" ? path : a === "OUT" ? out : a);
    const outcome = await quire(["eval", ...all], settings);
    const written = await Deno.readTextFile(out).catch(() => undefined);
    return { ...outcome, written };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const SMALL = [
  "MODEL",
  "--text",
  "TEXT",
  "--size",
  "64",
  "--chunks",
  "2",
  "--threads",
  "1",
];

Deno.test("eval prints a row for each candidate, and what is left on standard error", async () => {
  const args = [...SMALL, "--candidates", "none,int8,int8/int4", "--exact"];
  const { status, host } = await evaluated(args);
  assert.equal(status, 0, host.stderr);
  const lines = host.stdout.trimEnd().split("\n");
  assert.match(lines[0]!, /: 2 of \d+ chunks of 64 tokens, .*exact precision/);
  assert.match(lines[1]!, /^reference, all in f32: perplexity \d/);
  assert.match(
    lines[3]!,
    /^candidate +K\/V +B\/token +of f16 .*KLD +median +99 % +99\.9 % +same top, % +RMS Δp, %$/,
  );
  // 2 · 16 values in f32, and twice f16.
  assert.match(lines[4]!, /^none +f32 +128 +2\.000 .* 0\.000000 ± 0\.000000 /);
  assert.match(lines[4]!, / 100\.00 ± 0\.00 +0\.00 ± 0\.00$/);
  assert.match(lines[5]!, /^int8 +int8h\/int8 +/);
  assert.match(lines[6]!, /^int8\/int4 +int8h\/int4/);
  assert.equal(lines.length, 7);
  assert.match(host.stderr, /^K\/V bytes: 3 of 3, 0 s left$/m);
  assert.match(host.stderr, /^divergence: 8 of 8, 0 s left$/m);
});

Deno.test("eval --json prints all figures of all parts", async () => {
  // Larger than a block of int4.
  const size = ["--size", "160"], candidates = ["--candidates", "none,int4"];
  const args = [...SMALL, ...size, ...candidates, "--exact", "--json"];
  const more = ["--retrieval", "--lengths", "240", "--agreement"];
  // What a key takes at least, in a model whose tokens are bytes.
  const short = await evaluated([...args, ...more]);
  assert.equal(short.status, 1);
  assert.match(
    short.host.stderr,
    /Cannot hide a key in 240 tokens: \d+ are wanted/,
  );
  const { status, host } = await evaluated([...args, "--agreement"]);
  assert.equal(status, 0, host.stderr);
  const said = JSON.parse(host.stdout);
  assert.equal(said.precision, "exact");
  assert.equal(said.chunks, 2);
  assert.equal(said.f16PerToken, 64);
  const [none, int4] = said.candidates;
  assert.equal(none.name, "none");
  assert.equal(none.divergence.rows, 2 * 79);
  assert.equal(none.divergence.kld.max, 0);
  assert.deepEqual(none.divergence.ratio, { value: 1, error: 0 });
  assert.equal(none.agreement.never.value, 1);
  assert.equal(none.agreement.mean.value, 128);
  assert.ok(int4.divergence.kld.mean.value > 0);
  assert.ok(int4.kv.perToken > 0 && int4.kv.bytes > 0);
  assert.ok(int4.kvRatio < 0.7, `${int4.kvRatio}`);
});

Deno.test("eval --json FILE writes the figures and prints the table", async () => {
  for (
    const args of [[...SMALL, "--json", "OUT"], ["--json", "OUT", ...SMALL]]
  ) {
    const { status, host, written } = await evaluated([...args, "--alone"]);
    assert.equal(status, 0, host.stderr);
    const said = JSON.parse(written!);
    assert.equal(said.precision, "fast");
    assert.equal(said.reference, undefined);
    const [one] = said.candidates;
    assert.ok(one.perplexity.value > 1);
    assert.equal(one.kvRatio, 1);
    assert.ok(host.stdout.includes(one.perplexity.value.toFixed(3)));
    assert.doesNotMatch(host.stdout, /KLD/);
  }
});

Deno.test("eval measures the model as it runs with the other options", async () => {
  const args = [...SMALL, "--window", "16", "--json"];
  const { status, host } = await evaluated(args);
  assert.equal(status, 0, host.stderr);
  const { candidates, reference } = JSON.parse(host.stdout);
  assert.equal(candidates.length, 1);
  assert.equal(candidates[0].name, "f16");
  // The reference sees everything.
  assert.ok(candidates[0].divergence.kld.mean.value > 0);
  assert.notEqual(reference.perplexity.value, candidates[0].perplexity.value);
});

Deno.test("eval --kv is one candidate, named by what it keeps", async () => {
  const args = [...SMALL, "--kv-k", "int8", "--kv-v", "f16", "--json"];
  const { status, host } = await evaluated(args);
  assert.equal(status, 0, host.stderr);
  const { candidates } = JSON.parse(host.stdout);
  assert.equal(candidates.length, 1);
  assert.equal(candidates[0].name, candidates[0].format);
  assert.match(candidates[0].name, /^int8h\/f16$/);
});

Deno.test("eval --candidates auto wants a calibration", async () => {
  const args = [...SMALL, "--candidates", "none,auto"];
  const { status, host } = await evaluated(args);
  assert.equal(status, 1);
  assert.match(host.stderr, /calibrat/);
});

Deno.test("eval redraws one line in a terminal and takes it away", async () => {
  const settings = { terminal: { err: true } };
  const { host } = await evaluated([...SMALL, "--alone"], settings);
  // deno-lint-ignore no-control-regex
  assert.match(host.stderr, /\rperplexity: 1 of 2, \d+ s left\x1b\[K/);
  assert.ok(host.stderr.endsWith("\r\x1b[K"));
  assert.ok(!host.stderr.includes("\n"));
});

const misused: readonly (readonly [string[], RegExp])[] = [
  [["m"], /without a text: "--text FILE"/],
  [[], /"eval" on 0 models/],
  [["m", "out.json", "--text", "t"], /"eval" on 2 models/],
  [["m", "--text", "no/such.txt"], /read text "no\/such\.txt": there is no/],
  [["m", "--text", "t", "--chunks", "0"], /"--chunks" with "0"/],
  [["m", "--text", "t", "--size", "-4"], /"--size" with "-4"/],
  [["m", "--text", "t", "--candidates", "int9"], /keep K as "int9"/],
  [["m", "--text", "t", "--candidates", "int8/"], /candidate "int8\/"/],
  [["m", "--text", "t", "--candidates", "a/b/c"], /candidate "a\/b\/c"/],
  [["m", "--text", "t", "--candidates", "int8,int8"], /"int8" twice/],
  [
    ["m", "--text", "t", "--candidates", "int8", "--kv", "int4"],
    /"--kv" with "--candidates"/,
  ],
  [["m", "--text", "t", "--candidates", "auto/int8"], /keep K as "auto"/],
  [["m", "--text", "t", "--lengths", "512"], /"--lengths" alone/],
  [["m", "--text", "t", "--retrieval", "--lengths", "x"], /"--lengths" with/],
  [["m", "--text", "t", "--alone", "--agreement"], /"--alone" here/],
  [["m", "--text", "t", "--precision", "exact"], /option "--precision"/],
];

for (const [args, why] of misused) {
  Deno.test(`eval has status 2 for "${args.join(" ")}"`, async () => {
    const host = new FakeHost();
    assert.equal(await main(["eval", ...args], host), 2);
    assert.equal(host.stdout, "");
    assert.match(host.stderr, why);
    assert.equal(host.stderr.split("\n").length, 2, host.stderr);
  });
}

Deno.test("eval says in one line that a text is too short", async () => {
  const short = await evaluated(SMALL, {}, "Too short.");
  assert.equal(short.status, 1);
  assert.match(
    short.host.stderr,
    /^Cannot cut a text of 10 tokens into chunks of 64: .*\n$/,
  );
  const few = await evaluated(
    [...SMALL, "--agreement"],
    {},
    "So it is. ".repeat(20),
  );
  assert.equal(few.status, 1);
  assert.match(few.host.stderr, /^Cannot cut .* into 16 prompts of 32: .*\n$/);
  const none = await evaluated([...SMALL, "--retrieval"], {}, "x".repeat(99));
  assert.equal(none.status, 1);
  assert.match(none.host.stderr, /^Cannot hide a needle in a text of 99 char/);
});

Deno.test("eval says in one line that a head size does not suit a format", async () => {
  // Heads of 16 values; a scale of mxfp4 is for 32.
  const { status, host } = await evaluated([...SMALL, "--candidates", "mxfp4"]);
  assert.equal(status, 1);
  assert.match(host.stderr, /mxfp4/);
  assert.equal(host.stderr.trimEnd().split("\n").length, 1);
});

Deno.test("eval writes its file before it computes anything", async () => {
  const args = ["eval", "no-such-model", "--text", "deno.json", "--json"];
  const host = new FakeHost();
  assert.equal(await main([...args, "no/such/folder/o.json"], host), 1);
  assert.match(host.stderr, /no\/such\/folder\/o\.json|[Ww]rite/);
  assert.doesNotMatch(host.stderr, /no-such-model/);
});

Deno.test("eval that fails leaves the figures of an earlier run", async () => {
  const out = await Deno.makeTempFile({ suffix: ".json" });
  try {
    await Deno.writeTextFile(out, "{}");
    const args = ["eval", "no-such-model", "--text", "deno.json", "--json"];
    assert.equal(await main([...args, out], new FakeHost()), 1);
    assert.equal(await Deno.readTextFile(out), "{}");
  } finally {
    await Deno.remove(out);
  }
});

Deno.test("eval ends with status 130 on Ctrl-C", async () => {
  const { status, host } = await evaluated([...SMALL, "--chunks", "20"], {
    onErr: (text: string, host: FakeHost) => {
      if (text.includes("K/V bytes")) host.interrupt();
    },
  });
  assert.equal(status, 130);
  assert.equal(host.stdout, "");
});
