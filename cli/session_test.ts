import assert from "node:assert/strict";
import { join } from "node:path";
import { withFolder } from "../engine/testing/sessions.ts";
import { UsageError } from "./host.ts";
import { sessionPath } from "./session.ts";
import type { FakeSettings } from "./testing/fake_host.ts";
import { type Outcome, quire } from "./testing/tiny_model.ts";

const SHORT = ["--temperature", "0", "--ignore-eos", "--max-tokens", "9"];

function chat(settings: FakeSettings, ...args: string[]): Promise<Outcome> {
  return quire(["chat", "MODEL", ...SHORT, ...args], settings);
}

function usages(stdout: string) {
  return stdout.trim().split("\n").map((line) => JSON.parse(line).usage);
}

Deno.test("sessionPath() tells a name from a path", () => {
  const home = () => "/home";
  for (const name of ["walk", "a.b-c_1", "über", "7"]) {
    const path = join("/home", "sessions", `${name}.quire`);
    assert.equal(sessionPath(name, home), path);
  }
  for (const path of ["/tmp/x", "./x", "a/b", "a\\b"]) {
    assert.ok(!sessionPath(path, home).startsWith("/home/sessions"));
  }
  for (
    const name of ["", ".", "..", ".x", "a b", "a*", "x\n", "x".repeat(101)]
  ) {
    assert.throws(() => sessionPath(name, home), UsageError, name);
  }
});

Deno.test("chat --session goes on where it was, with the K and V of before", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/new/walk`;
    const lines = ["hello there", "and then?", "more of it"];
    const whole = usages((await chat({ lines }, "--json")).host.stdout);
    const first = await chat(
      { lines: lines.slice(0, 2) },
      "--json",
      "--session",
      path,
    );
    assert.equal(first.status, 0, first.host.stderr);
    assert.equal(first.host.stderr, "");
    const more = await chat({}, lines[2]!, "--json", "--session", path);
    assert.equal(more.status, 0, more.host.stderr);
    const [usage] = usages(more.host.stdout);
    assert.equal(usage.promptTokens, whole[2].promptTokens);
    assert.equal(usage.cachedTokens, whole[2].cachedTokens);
    assert.ok(usage.cachedTokens > 0);
    // The one answer was a turn like the others.
    const third = await chat({ lines: ["/exit"] }, "--session", path);
    assert.match(
      third.host.stderr,
      /^\(session of 3 turns: K and V of [1-9]\d+ of \d+ tokens restored in \d+ ms\)\n/,
    );
    const cleared = await chat({ lines: ["/clear"] }, "--session", path);
    assert.equal(cleared.status, 0);
    const fresh = await chat({ lines: [] }, "--session", path);
    assert.match(fresh.host.stderr, /^\(session of 0 turns: /);
    assert.deepEqual(
      [...Deno.readDirSync(`${folder}/new`)].map(({ name }) => name),
      ["walk"],
    );
  });
});

Deno.test("chat --session keeps what the model was told, and leaves out old turns", async () => {
  await withFolder(async (folder) => {
    const session = ["--json", "--session", `${folder}/a`];
    await chat({}, "hello", "--system", "be brief", ...session);
    const prompt = async (...args: string[]) => {
      const { host } = await chat({}, "x", ...args, ...session);
      const { usage, text } = JSON.parse(host.stdout);
      return [usage.promptTokens, text] as const;
    };
    const [told] = await prompt();
    await chat({ lines: ["/clear"] }, ...session);
    const [bare] = await prompt();
    assert.equal(bare, "[system]be brief\n[user]x\n[assistant]".length);
    assert.ok(told > bare);
    await chat({ lines: ["/clear"] }, ...session);
    const [other] = await prompt("--system", "be");
    assert.equal(other, bare - " brief".length);
    const long = await chat(
      { lines: ["y".repeat(90), "z".repeat(90)] },
      ...session,
    );
    assert.equal(long.status, 0, long.host.stderr);
    assert.match(
      long.host.stderr,
      /left out its (oldest turn|\d oldest turns)/,
    );
    const { usage } = JSON.parse((await chat({}, "q", ...session)).host.stdout);
    assert.ok(usage.promptTokens <= 256);
  });
});

Deno.test("chat refuses a session of another plan, and --replay takes it", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/a`, session = ["--session", path];
    assert.equal((await chat({}, "hello", ...session)).status, 0);
    const old = await Deno.readFile(path);
    const other = ["--block-tokens", "32", ...session];
    const refused = await chat({}, "more", ...other);
    assert.equal(refused.status, 1);
    assert.match(
      refused.host.stderr,
      /^Cannot restore session ".*": it was saved with another plan .*\(--replay\)\n$/,
    );
    assert.equal(refused.host.stdout, "");
    assert.deepEqual(await Deno.readFile(path), old);
    const replayed = await chat({}, "more", "--replay", ...other);
    assert.equal(replayed.status, 0);
    assert.match(replayed.host.stderr, /^\(session of 1 turn, computed anew\)/);
    const again = await chat({ lines: [] }, ...other);
    assert.match(again.host.stderr, /^\(session of 2 turns: K and V of /);
    // Damaged: refused as a whole where its text is, else as far as it goes.
    const bytes = await Deno.readFile(path);
    await Deno.writeFile(path, bytes.subarray(0, 60));
    const cut = await chat({}, "x", ...other);
    assert.equal(cut.status, 1);
    assert.match(cut.host.stderr, /its head .* is damaged: .*\n$/);
    await Deno.writeFile(path, bytes.subarray(0, bytes.length - 1));
    const part = await chat({ lines: [] }, ...other);
    assert.match(part.host.stderr, /others are damaged and computed anew\)/);
    assert.equal((await chat({}, "x", "--session", "a b")).status, 2);
  });
});

Deno.test("chat goes on where its session cannot be kept, and says so", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "x");
    const { status, host } = await chat(
      { lines: ["ab", "cd"] },
      "--json",
      "--session",
      `${folder}/new/a`,
    );
    assert.equal(status, 0, host.stderr);
    await Deno.remove(`${folder}/new`, { recursive: true });
    const lost = await chat(
      {
        lines: ["ab", "cd"],
        onOut: () => Deno.writeTextFileSync(`${folder}/new`, ""),
      },
      "--json",
      "--session",
      `${folder}/new/a`,
    );
    assert.equal(lost.status, 1);
    assert.equal(usages(lost.host.stdout).length, 2);
    assert.match(lost.host.stderr, /\n.+\n$/);
  });
});
