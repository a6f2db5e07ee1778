import assert from "node:assert/strict";
import config from "../deno.json" with { type: "json" };
import { COMMANDS, main } from "./main.ts";
import { FakeHost } from "./testing/fake_host.ts";

async function quire(
  ...args: string[]
): Promise<FakeHost & { status: number }> {
  const host = new FakeHost();
  return Object.assign(host, { status: await main(args, host) });
}

Deno.test("main() prints its version and its help", async () => {
  for (const args of [["--version"], ["-V"], ["pull", "--version"]]) {
    const { status, stdout } = await quire(...args);
    assert.equal(status, 0);
    assert.equal(stdout, `quire ${config.version}\n`);
  }
  for (const args of [["--help"], ["-h"], ["help"]]) {
    const { status, stdout } = await quire(...args);
    assert.equal(status, 0);
    for (const { name } of COMMANDS) {
      assert.match(stdout, new RegExp(`quire ${name} `));
    }
  }
});

Deno.test("main() prints the help of each command with all its options", async () => {
  for (const { name, options } of COMMANDS) {
    const { status, stdout } = await quire(name, "--help");
    assert.equal(status, 0);
    for (const o of options) assert.ok(stdout.includes(`--${o.name}`), o.name);
  }
});

const misused: readonly (readonly [string[], RegExp])[] = [
  [[], /quire chat/],
  [["chta"], /command "chta": did you mean "chat"\?/],
  [["frobnicate"], /command "frobnicate": what works: chat, run, pull,/],
  [["--json", "chat"], /begin with "--json": a command comes first/],
  [["chat", "--sed", "1", "hi"], /did you mean "--seed"\?/],
  [["pull"], /"pull" on 0 models: one is wanted/],
  [["pull", "a", "b"], /"pull" on 2 models/],
  [["pull", "a", "--top-k", "2"], /option "--top-k"/],
  [["inspect", ""], /"inspect" on 1 models/],
  [["run"], /without a model/],
  [["run", "a", "b", "c"], /put the prompt in quotes/],
  [["chat", "a", "b", "c"], /put the prompt in quotes/],
  [["chat", ""], /empty prompt/],
  [["bench", "a", "--precision", "exact"], /"--precision": figures are/],
];

for (const [args, why] of misused) {
  Deno.test(`main() has status 2 for "${args.join(" ")}"`, async () => {
    const { status, stdout, stderr } = await quire(...args);
    assert.equal(status, 2);
    assert.equal(stdout, "");
    assert.match(stderr, why);
    if (args.length > 0) assert.equal(stderr.split("\n").length, 2, stderr);
  });
}

Deno.test("main() has status 1 and one line for what cannot be had", async () => {
  const { status, stdout, stderr } = await quire("pull", "no-such-model");
  assert.equal(status, 1);
  assert.equal(stdout, "");
  assert.match(
    stderr,
    /^Cannot use model "no-such-model": .*what works: "smollm2".*\n$/,
  );
});

Deno.test("main() gives Ctrl-C back when it is done", async () => {
  const host = await quire("--version");
  assert.equal(host.listening, 0);
});
