import assert from "node:assert/strict";
import { ModelError } from "../core/errors.ts";
import { load } from "../mod.ts";
import { fixtureTest, readJson } from "../models/testing/files.ts";
import { main } from "./main.ts";
import { FakeHost } from "./testing/fake_host.ts";

interface Malformed {
  readonly file: string;
  readonly expect: "load" | "reject";
}

/** Whole as files, so that what they say is shown, but no models that run. */
const SHOWN = new Set([
  "heads-not-divisible.gguf",
  "missing-key.gguf",
  "missing-tensor.gguf",
  "unknown-architecture.gguf",
  "unknown-tensor-type.gguf",
  "vocab-mismatch.gguf",
  "wrong-shape.gguf",
  "zero-layers.gguf",
]);

fixtureTest(
  "load(), inspect and run say in one line, at once, what is wrong with a broken file",
  "tiny/dev/malformed/index.json",
  async (index, t) => {
    const { files } = await readJson<{ files: Malformed[] }>(index);
    assert.ok(files.length > 20);
    for (const { file, expect } of files) {
      await t.step(file, async () => {
        const { pathname } = new URL(file, index);
        for (const args of [["inspect", pathname], ["run", pathname, "a"]]) {
          const host = new FakeHost(), start = performance.now();
          const status = await main(args, host);
          assert.ok(performance.now() - start < 2000);
          if (expect === "load") {
            assert.equal(status, 0, host.stderr);
            continue;
          }
          assert.equal(status, 1);
          const shown = args[0] === "inspect" && SHOWN.has(file);
          assert.equal(host.stdout !== "", shown, host.stdout);
          assert.ok(host.stderr.startsWith(`Cannot use model "${pathname}": `));
          assert.equal(host.stderr.indexOf("\n"), host.stderr.length - 1);
        }
        const options = { backend: "reference" } as const;
        const loaded = await load(pathname, options).catch((e) => e);
        if (expect === "load") await loaded[Symbol.asyncDispose]();
        else assert.ok(loaded instanceof ModelError, String(loaded));
      });
    }
  },
);
