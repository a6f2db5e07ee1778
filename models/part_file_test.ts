import assert from "node:assert/strict";
import { join } from "node:path";
import { ModelError } from "../core/errors.ts";
import { PartFile } from "./part_file.ts";

const bytes = new TextEncoder().encode("quire");

async function inFolder(body: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(join(folder, "x"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const names = (path: string): string[] =>
  [...Deno.readDirSync(join(path, ".."))].map((entry) => entry.name).sort();

Deno.test("PartFile gives the file its name only at the end", () =>
  inFolder(async (path) => {
    using part = await PartFile.open(path);
    await part.write(bytes);
    assert.deepEqual(names(path), ["x.part"]);
    await part.finish({ bytes: 5 });
    assert.deepEqual(names(path), ["x"]);
  }));

Deno.test("PartFile goes on behind what is there, hash included", () =>
  inFolder(async (path) => {
    {
      using part = await PartFile.open(path);
      await part.write(bytes.subarray(0, 2));
    }
    using part = await PartFile.open(path);
    assert.equal(part.bytes, 2);
    await part.write(bytes.subarray(2));
    const sha256 =
      "614957baf804ef8a9135a73ca8a320bf326241d67b4b044fe67397aeced3fb7b";
    await part.finish({ sha256 });
    assert.deepEqual(await Deno.readFile(path), bytes);
  }));

Deno.test("PartFile.restart() forgets what was written", () =>
  inFolder(async (path) => {
    using part = await PartFile.open(path);
    await part.write(new Uint8Array(100));
    await part.restart();
    await part.write(bytes);
    await part.finish({ bytes: 5 });
    assert.deepEqual(await Deno.readFile(path), bytes);
  }));

Deno.test("PartFile.finish() removes a file of the wrong size, without a checksum too", () =>
  inFolder(async (path) => {
    using part = await PartFile.open(path);
    await part.write(bytes);
    await assert.rejects(
      part.finish({ bytes: 6 }),
      (error) =>
        error instanceof ModelError &&
        /wanted 6 bytes, actual 5/.test(error.message),
    );
    assert.deepEqual(names(path), []);
  }));

Deno.test("PartFile closed empty leaves nothing", () =>
  inFolder(async (path) => {
    (await PartFile.open(path)).close();
    assert.deepEqual(names(path), []);
  }));
