import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { Adapters } from "./adapters.ts";
import { SessionError } from "./session_error.ts";
import { saveSession } from "./session_save.ts";
import {
  make,
  open,
  promptOf,
  withFolder,
  writeModel,
} from "./testing/sessions.ts";
import type { Sink } from "../models/part_file.ts";
import { replaceFile } from "./whole_file.ts";

const A = new TextEncoder().encode("an old file");
const B = new TextEncoder().encode("a new one");

async function names(folder: string): Promise<string[]> {
  const all: string[] = [];
  for await (const { name } of Deno.readDir(folder)) all.push(name);
  return all.sort();
}

Deno.test("replaceFile() replaces a file whole, one writer at a time", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/f`;
    await replaceFile(path, (w) => w.append(A));
    assert.deepEqual(await Deno.readFile(path), A);
    assert.deepEqual(await names(folder), ["f"]);
    if (Deno.build.os !== "windows") {
      assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    }
    const made = await replaceFile(path, async (w) => {
      await w.append(B);
      await w.append(A);
      await w.finish(3, new Uint8Array([9, 8]));
      return 5;
    });
    assert.equal(made, 5);
    assert.deepEqual([...await Deno.readFile(path)], [9, 8, B[2]]);
    let inside = 0;
    await Promise.all(
      Array.from({ length: 5 }, (_, i) =>
        replaceFile(path, async (w) => {
          assert.equal(inside++, 0);
          await w.append(new Uint8Array(i + 1).fill(i));
          await delay(1);
          inside--;
        })),
    );
    const last = await Deno.readFile(path);
    assert.ok(last.every((byte) => byte === last.length - 1));
  });
});

/** A disk that goes wrong at one call. */
function broken(call: keyof Sink): (part: string) => Promise<Sink> {
  return async (part) => {
    const file = await Deno.open(part, { write: true, create: true });
    const fails = () => Promise.reject(new Error("No space left on device"));
    return {
      write: call === "write" ? fails : (b) => file.write(b),
      truncate: call === "truncate" ? fails : (n) => file.truncate(n),
      seek: call === "seek" ? fails : (n, w) => file.seek(n, w),
      sync: call === "sync" ? fails : () => file.sync(),
      close: () => file.close(),
    };
  };
}

Deno.test("replaceFile() that fails leaves the file as it was, and no part", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/f`;
    await Deno.writeFile(path, A);
    for (const call of ["write", "truncate", "seek", "sync"] as const) {
      const replacing = replaceFile(path, async (w) => {
        await w.append(B);
        await w.finish(2, B.subarray(0, 1));
      }, { open: broken(call) });
      await assert.rejects(replacing, /No space left/);
    }
    const full: Sink = {
      write: () => Promise.resolve(0),
      truncate: () => Promise.resolve(),
      seek: () => Promise.resolve(0),
      sync: () => Promise.resolve(),
      close() {},
    };
    await assert.rejects(
      replaceFile(path, (w) => w.append(B), {
        open: () => Promise.resolve(full),
      }),
      /takes no more bytes/,
    );
    await assert.rejects(
      replaceFile(path, () => Promise.reject(new Error("own fault"))),
      /own fault/,
    );
    const controller = new AbortController();
    const aborted = replaceFile(path, async (w) => {
      await w.append(B);
      controller.abort(new Error("enough"));
    }, { signal: controller.signal });
    await assert.rejects(aborted, /enough/);
    assert.deepEqual(await Deno.readFile(path), A);
    assert.deepEqual(await names(folder), ["f"]);
  });
});

Deno.test("Engine.save() that fails says why, and leaves the session as it was", async () => {
  await withFolder(async (folder) => {
    const model = await writeModel(folder), path = `${folder}/a.quire`;
    await using engine = await open(model);
    const tokens = promptOf(33);
    await make(engine, { tokens, maxTokens: 2 });
    await engine.save({ tokens }, path);
    const old = await Deno.readFile(path);
    const parts = {
      ...engine,
      spec: engine.spec,
      adapters: new Adapters(),
      model: "m",
      requireOpen() {},
    };
    const state = {
      ...{ messages: [], tokens, past: "", sampler: undefined },
      adapters: [],
    };
    for (const call of ["write", "truncate", "seek", "sync"] as const) {
      const saving = saveSession(
        parts,
        { ...state, cut: false },
        path,
        {},
        broken(call),
      );
      await assert.rejects(saving, (error: Error) => {
        assert.ok(error instanceof SessionError);
        assert.match(
          error.message,
          /^Cannot save session ".*": No space left on device; what was saved there before is as it was$/,
        );
        return true;
      });
      assert.deepEqual(await Deno.readFile(path), old);
    }
    // Below a file there is no folder.
    await assert.rejects(engine.save({ tokens }, `${path}/b`), SessionError);
    await assert.rejects(engine.save({ tokens }, folder), SessionError);
    assert.deepEqual(await names(folder), ["a.quire", "model.gguf"]);
    engine.check();
  });
});

Deno.test("Engine.save() killed at any moment leaves a whole session", async () => {
  await withFolder(async (folder) => {
    const model = await writeModel(folder), path = `${folder}/a.quire`;
    await using engine = await open(model);
    for (let round = 0; round < 6; round++) {
      const child = new Deno.Command("deno", {
        args: [
          "run",
          "--quiet",
          "--no-check",
          "--no-prompt",
          "--allow-read",
          `--allow-write=${folder}`,
          new URL("testing/save_forever.ts", import.meta.url).href,
          model,
          path,
        ],
        stdout: "piped",
        stderr: "inherit",
        stdin: "null",
      }).spawn();
      const reader = child.stdout.getReader();
      const { done } = await reader.read();
      assert.ok(!done, "it saved");
      await delay(5 + 7 * round);
      child.kill("SIGKILL");
      await child.status;
      while (!(await reader.read()).done);
      engine.cache.evictIdle();
      const back = await engine.restore(path);
      const { length } = back.tokens;
      assert.ok(length === 33 || length === 50, `${length} tokens`);
      assert.deepEqual(back.tokens, promptOf(length));
      assert.deepEqual(
        [back.savedTokens, back.cachedTokens],
        [length - length % 8, back.savedTokens],
      );
      // Nobody holds the lock that was left.
      const { cachedTokens } = await engine.save({ tokens: back.tokens }, path);
      assert.equal(cachedTokens, back.savedTokens);
      assert.deepEqual(await names(folder), ["a.quire", "model.gguf"]);
    }
  });
});
