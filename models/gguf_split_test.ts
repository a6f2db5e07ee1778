import assert from "node:assert/strict";
import { ModelError } from "../core/errors.ts";
import { modelSpec } from "./arch/mod.ts";
import { openGguf } from "./gguf.ts";
import { VALUE } from "./gguf/value_types.ts";
import { writeGguf, type WrittenFile } from "./testing/gguf_writer.ts";
import { tinyLlama } from "./testing/tiny_llama.ts";
import { readTensor } from "./weights.ts";

interface Says {
  readonly count?: number;
  readonly no?: number;
  readonly tensors?: number;
}

/** The tiny model in two parts, the second part's own word changed. */
function parts(says: Says = {}): [WrittenFile, WrittenFile] {
  const { entries, tensors } = tinyLlama();
  const split = (no: number, count: number): WrittenFile["entries"] => [
    ["split.no", VALUE.U16, no],
    ["split.count", VALUE.U16, count],
    ["split.tensors.count", VALUE.I32, says.tensors ?? tensors!.length],
  ];
  return [
    {
      entries: [...entries!, ...split(0, 2)!],
      tensors: tensors!.slice(0, 4),
    },
    {
      entries: split(says.no ?? 1, says.count ?? 2)!,
      tensors: tensors!.slice(4),
    },
  ];
}

/** The same, with another word of the last part about all of them. */
function lastSays(tensors: readonly unknown[]): [WrittenFile, WrittenFile] {
  const [first, last] = parts();
  const key = "split.tensors.count";
  const entries = last.entries!.filter((e) => e[0] !== key);
  const says = [key, ...tensors] as unknown as typeof entries[number];
  return [first, { ...last, entries: [...entries, says] }];
}

async function withParts(
  files: readonly (WrittenFile | undefined)[],
  use: (path: (part: number) => string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "quire_test_" });
  const path = (part: number) =>
    `${folder}/tiny-0000${part}-of-0000${files.length}.gguf`;
  try {
    for (const [i, file] of files.entries()) {
      if (file) await Deno.writeFile(path(i + 1), writeGguf(file));
    }
    await use(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("openGguf() joins the parts of a split model, whichever is named", async () => {
  await withParts(parts(), async (path) => {
    for (const part of [1, 2]) {
      const file = await openGguf(path(part));
      assert.deepEqual(file.files.map((f) => f.path), [path(1), path(2)]);
      assert.equal(modelSpec(file).layers.length, 1);
      const late = file.tensors.get("blk.0.ffn_down.weight")!;
      assert.equal(late.file, 1);
      const values = await readTensor(file, late.name);
      assert.equal(values[3], Math.fround(Math.sin(3)));
    }
  });
});

Deno.test("openGguf() names the part of a split model that is missing", async () => {
  await withParts([parts()[0], undefined], async (path) => {
    await assert.rejects(openGguf(path(1)), (error: Error) => {
      assert.ok(error instanceof ModelError);
      assert.equal(error.file, path(2));
      return true;
    });
  });
});

const WRONG: readonly [string, Says, RegExp][] = [
  ["another count", { count: 3 }, /"split\.count" is 3, the name says 2/],
  ["another number", { no: 0 }, /"split\.no" is 0, wanted 1/],
  ["too few tensors", { tensors: 12 }, /is 12, the parts hold 11/],
];
for (const [name, says, message] of WRONG) {
  Deno.test(`openGguf() refuses a split model with ${name}`, async () => {
    await withParts(parts(says), async (path) => {
      await assert.rejects(openGguf(path(1)), message);
    });
  });
}

Deno.test("openGguf() refuses a tensor in two parts", async () => {
  const [first, second] = parts();
  const twice = {
    ...second,
    tensors: [...second.tensors!, first.tensors![0]!],
  };
  await withParts([first, twice], async (path) => {
    await assert.rejects(
      openGguf(path(1)),
      /"token_embd\.weight" occurs twice/,
    );
  });
});

Deno.test("openGguf() refuses one part under a plain name", async () => {
  await withParts(parts(), async (path) => {
    const plain = path(1).replace("-00001-of-00002", "");
    await Deno.copyFile(path(1), plain);
    await assert.rejects(
      openGguf(plain),
      /"split\.count" is 2.*part of a split/,
    );
  });
});

Deno.test("openGguf() refuses a part number outside its count", async () => {
  await assert.rejects(openGguf("m-00003-of-00002.gguf"), /part 3 of 2/);
  await assert.rejects(openGguf("m-00000-of-00002.gguf"), /part 0 of 2/);
});

Deno.test("openGguf() holds every part's word about the number of tensors against them", async () => {
  const cases = [[VALUE.U32, 12], [VALUE.STRING, "11"], [VALUE.F32, NaN]];
  for (const says of cases) {
    await withParts(lastSays(says), async (path) => {
      await assert.rejects(
        openGguf(path(1)),
        /tiny-00002-of-00002\.gguf": "split\.tensors\.count" is .*, the parts hold 11/,
      );
    });
  }
  await withParts(lastSays([VALUE.U64, 11]), async (path) => {
    assert.equal((await openGguf(path(1))).tensors.size, 11);
  });
});
