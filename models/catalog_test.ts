import assert from "node:assert/strict";
import { catalog } from "./catalog.ts";

Deno.test("catalog names the default models", () => {
  assert.deepEqual([...catalog.keys()], ["smollm2", "gemma3-270m"]);
});

Deno.test("catalog entries say all that a pull needs, in the form it needs", () => {
  for (const [name, entry] of catalog) {
    assert.equal(entry.name, name);
    assert.match(entry.file, /^[\w.-]+\.gguf$/);
    assert.match(entry.sha256, /^[0-9a-f]{64}$/);
    assert.match(
      entry.hub,
      /^hf:[\w.-]+\/[\w.-]+(@[0-9a-f]{40})?\/[\w.-]+\.gguf$/,
    );
    assert.ok(entry.bytes > 0 && Number.isSafeInteger(entry.bytes));
    assert.ok(entry.licence.length > 0 && URL.canParse(entry.licenceUrl));
    assert.ok(entry.pip.length > 0);
    for (const source of entry.pip) {
      assert.match(source.version, /^\d+\.\d+\.\d+$/);
    }
    assert.equal(
      new Set(entry.pip.map((source) => source.member)).size,
      entry.pip.length,
    );
  }
});

Deno.test("catalog file names are distinct, so no model lands on another", () => {
  const files = [...catalog.values()].map((entry) => entry.file);
  assert.equal(new Set(files).size, files.length);
});
