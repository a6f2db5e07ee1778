import assert from "node:assert/strict";
import type { Tier } from "../core/slots.ts";
import { dice } from "../core/testing/cache_driver.ts";
import { provided } from "../core/testing/suites/suite.ts";
import { tierSuite } from "../core/testing/suites/tier_suite.ts";
import { assertSame, bytesOf } from "./disk/testing/local_store.ts";
import {
  type DiskOffload,
  diskOffload,
  type DiskOffloadOptions,
} from "./disk_offload.ts";

const BYTES = 2 << 20;
const ABOUT = { salt: "", tokens: 16, fingerprint: "plan" };

/** One that works on a folder. */
interface Opened {
  readonly plugin: DiskOffload;
  readonly tier: Tier;
  close(): Promise<void>;
}

async function open(
  folder: string,
  options: Partial<DiskOffloadOptions> = {},
): Promise<Opened> {
  const plugin = diskOffload({ folder, bytes: BYTES, ...options });
  let close = (): unknown => undefined;
  const tier = await provided(plugin, "tier", { onClose: (fn) => close = fn });
  return { plugin, tier, close: async () => void await close() };
}

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function keep({ tier, plugin }: Opened, seeds: readonly number[]) {
  for (const seed of seeds) {
    tier.content!.keep(`k${seed}`, bytesOf(seed, 50_000), ABOUT);
  }
  await plugin.idle();
}

/** Which of the keys are there; throws where one has another's bytes. */
async function there(
  { tier }: Opened,
  seeds: readonly number[],
): Promise<number[]> {
  const found: number[] = [];
  await Promise.all(seeds.map(async (seed) => {
    const out = new Uint8Array(50_000);
    if (await tier.content!.read(`k${seed}`, out, ABOUT) !== "ok") return;
    assertSame(out, bytesOf(seed, 50_000), `key ${seed}`);
    found.push(seed);
  }));
  return found.sort((a, b) => a - b);
}

// Folders and workers of the suite's subjects, one test each.
const subjects: (() => Promise<void>)[] = [];

tierSuite("diskOffload()", async () => {
  const folder = await Deno.makeTempDir();
  const { tier, close } = await open(folder);
  subjects.push(async () => {
    await close();
    await Deno.remove(folder, { recursive: true });
  });
  return tier;
});

Deno.test.afterEach(async () => {
  for (const end of subjects.splice(0)) await end();
});

Deno.test("diskOffload() finds what an earlier engine kept", () =>
  inFolder(async (folder) => {
    const first = await open(`${folder}/new/one`);
    await keep(first, [1, 2, 3]);
    await first.close();
    const second = await open(`${folder}/new/one`);
    assert.deepEqual(await there(second, [1, 2, 3, 4]), [1, 2, 3]);
    const { role, blocks, reads, lost } = second.plugin.stat()!;
    assert.deepEqual({ role, blocks, reads, lost }, {
      role: "writer",
      blocks: 3,
      reads: 3,
      lost: 0,
    });
    await second.close();
  }));

Deno.test("diskOffload() reads straight into shared memory", () =>
  inFolder(async (folder) => {
    const one = await open(folder);
    await keep(one, [1]);
    const memory = new SharedArrayBuffer(60_000);
    const out = new Uint8Array(memory, 5000, 50_000);
    assert.equal(await one.tier.content!.read("k1", out, ABOUT), "ok");
    assertSame(out, bytesOf(1, 50_000), "shared memory");
    assert.ok(new Uint8Array(memory, 0, 5000).every((x) => x === 0));
    assert.ok(new Uint8Array(memory, 55_000).every((x) => x === 0));
    await one.close();
  }));

Deno.test("diskOffload() beside another on one folder reads only, and says so", () =>
  inFolder(async (folder) => {
    const notes: string[] = [];
    const first = await open(folder);
    await keep(first, [1, 2]);
    const second = await open(folder, { onNote: (n) => notes.push(n) });
    assert.match(notes.join("|"), /^Reading only: .* process \d+ since [^|]+$/);
    assert.deepEqual(await there(second, [1, 2]), [1, 2]);
    await keep(second, [3]);
    await keep(first, [4]);
    await second.tier.content!.find(["k3", "k4"], ABOUT);
    assert.deepEqual(await there(second, [1, 2, 3, 4]), [1, 2, 4]);
    await second.close();
    await first.close();
  }));

Deno.test("diskOffload() whose folder vanishes loses blocks and goes on", () =>
  inFolder(async (folder) => {
    const notes: string[] = [];
    const one = await open(`${folder}/x`, { onNote: (n) => notes.push(n) });
    await keep(one, [1, 2]);
    await Deno.remove(`${folder}/x`, { recursive: true });
    await there(one, [1, 2]);
    await keep(one, [3, 4]);
    for (const seed of await there(one, [1, 2, 3, 4])) assert.ok(seed > 0);
    one.tier.put(1 as never, bytesOf(1, 9000));
    await one.plugin.idle();
    await one.tier.get(1 as never, new Uint8Array(9000));
    await one.close();
    assert.ok(notes.length <= 2, notes.join("\n"));
  }));

Deno.test("diskOffload() refuses a folder that cannot be used, before anything starts", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "x");
    await assert.rejects(
      open(`${folder}/file`),
      /Cannot offload to folder ".*file": .*; a folder to read and to write is wanted/,
    );
    await assert.rejects(open(`${folder}/file/below`), /Cannot offload/);
    await Deno.mkdir(`${folder}/index`);
    await Deno.mkdir(`${folder}/index/lock`);
    await assert.rejects(open(`${folder}/index`), /Cannot offload/);
  }));

Deno.test("diskOffload() refuses bytes and folders that are none", () => {
  for (const bytes of [0, -1, 1.5, NaN, (1 << 20) - 1, 2 ** 60]) {
    assert.throws(
      () => diskOffload({ folder: "x", bytes }),
      { name: "RangeError", message: /a whole number of 1048576 or more/ },
    );
  }
  assert.throws(
    () => diskOffload({ folder: "", bytes: BYTES }),
    { name: "TypeError", message: /the path of a folder is wanted/ },
  );
});

Deno.test({
  name: "diskOffload() without the permissions it needs says which",
  permissions: { read: true, write: false },
  fn: async () => {
    await assert.rejects(
      open("nowhere"),
      /Cannot offload to folder "nowhere": .*--allow-write/,
    );
  },
});

/** Starts a process that keeps blocks and says which are on disk. */
function writer(folder: string, first: number): {
  said(): number[];
  kill(): Promise<void>;
} {
  const script = new URL("disk/testing/writer.ts", import.meta.url);
  const child = new Deno.Command("deno", {
    args: [
      "run",
      "--no-check",
      "--quiet",
      "--allow-read",
      `--allow-write=${folder}`,
      script.href,
      folder,
      `${BYTES}`,
      "50000",
      `${first}`,
    ],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let text = "";
  const reading = (async () => {
    for await (
      const part of child.stdout.pipeThrough(new TextDecoderStream())
    ) {
      text += part;
    }
  })();
  return {
    // The last line may be half a number.
    said: () => text.split("\n").slice(0, -1).map(Number),
    async kill() {
      child.kill("SIGKILL");
      await child.status;
      await reading;
    },
  };
}

Deno.test("diskOffload() killed at any moment: what it had is found, and nothing wrong", () =>
  inFolder(async (folder) => {
    const roll = dice(5);
    for (let round = 0; round < 4; round++) {
      const first = round * 10_000;
      const other = writer(folder, first);
      while (other.said().length < 3 + roll(40)) {
        await new Promise((go) => setTimeout(go, 5));
      }
      // Not the moment at which it has just said something.
      await new Promise((go) => setTimeout(go, roll(4)));
      await other.kill();
      const said = other.said();
      const after = await open(folder);
      assert.equal(after.plugin.stat()!.role, "writer", "no lock is left");
      const last = said.slice(-5);
      assert.deepEqual(await there(after, last), last);
      const all = Array.from({ length: said.length + 3 }, (_, i) => first + i);
      await there(after, all);
      await keep(after, [90_000 + round]);
      assert.equal((await there(after, [90_000 + round])).length, 1);
      let size = 0;
      for await (const { name } of Deno.readDir(folder)) {
        size += (await Deno.stat(`${folder}/${name}`)).size;
      }
      assert.ok(size <= BYTES, `${size} bytes`);
      await after.close();
    }
  }));

Deno.test("diskOffload() reads while another process writes over what it reads", () =>
  inFolder(async (folder) => {
    const other = writer(folder, 0);
    while (other.said().length < 5) {
      await new Promise((go) => setTimeout(go, 5));
    }
    const one = await open(folder);
    assert.equal(one.plugin.stat()!.role, "reader");
    let found = 0;
    for (let round = 0; round < 60; round++) {
      const now = other.said().at(-1)!;
      const seeds = Array.from({ length: 12 }, (_, i) => now - 8 + i);
      await one.tier.content!.find(seeds.map((s) => `k${s}`), ABOUT);
      found += (await there(one, seeds)).length;
    }
    assert.ok(found > 60, `${found} found`);
    await other.kill();
    await one.close();
  }));
