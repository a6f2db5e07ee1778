import assert from "node:assert/strict";
import { fixtureTest } from "../models/testing/files.ts";
import { main } from "./main.ts";
import { FakeHost } from "./testing/fake_host.ts";

const FOLDER = "tiny/dev/malformed/";

fixtureTest(
  "inspect and run say in one line, at once, what is wrong with a broken file",
  FOLDER,
  async (folder) => {
    let files = 0;
    for await (const { name } of Deno.readDir(folder)) {
      // It is whole, to compare with.
      if (!name.endsWith(".gguf") || name === "control.gguf") continue;
      files++;
      const { pathname } = new URL(name, folder);
      for (const args of [["inspect", pathname], ["run", pathname, "a"]]) {
        const host = new FakeHost(), start = performance.now();
        assert.equal(await main(args, host), 1, `${args}: ${host.stdout}`);
        assert.ok(performance.now() - start < 1000, name);
        assert.equal(host.stdout, "");
        assert.ok(host.stderr.startsWith(`Cannot use model "${pathname}": `));
        assert.equal(host.stderr.indexOf("\n"), host.stderr.length - 1);
      }
    }
    assert.ok(files > 0);
  },
);
