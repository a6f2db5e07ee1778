import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { withLock } from "./file_lock.ts";

async function inFolder(body: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(join(folder, "x"));
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("withLock() lets one in at a time, also after the holder failed", () =>
  inFolder(async (path) => {
    let inside = 0;
    let runs = 0;
    const work = (fail: boolean) =>
      withLock(path, async () => {
        assert.equal(++inside, 1);
        await delay(20);
        inside--;
        runs++;
        if (fail) throw new Error("mine");
      });
    const results = await Promise.allSettled(
      [true, false, true, false].map(work),
    );
    assert.equal(runs, 4);
    assert.deepEqual(results.map(({ status }) => status).sort(), [
      "fulfilled",
      "fulfilled",
      "rejected",
      "rejected",
    ]);
  }));

Deno.test("withLock() says once that it waits, and can be told to stop", () =>
  inFolder(async (path) => {
    const abort = new AbortController();
    let waits = 0;
    await withLock(path, async () => {
      const second = withLock(path, () => Promise.resolve(), {
        onWait: () => waits++,
        signal: abort.signal,
      });
      await delay(250);
      abort.abort(new Error("enough"));
      await assert.rejects(second, /enough/);
    });
    assert.equal(waits, 1);
  }));
