import assert from "node:assert/strict";
import { type GridName, gridOf } from "../core/weight_grids.ts";
import { BOOKS_AT, GRIDS_AT, GRIDS_END } from "./books.ts";
import { CONSTANT_BYTES } from "./constants.ts";
import { KERNELS } from "./kernels.ts";
import { FLAG, KIND, NEXT_WORD, RECORD_BYTES } from "./records.ts";
import { PIECE_KIND, SEALED_FLAG } from "./sealed.ts";
import { SPLIT } from "./space.ts";

// Both sides of the shared memory name the same numbers; nothing but this compares them.

/** Constants `const NAME = NUMBER` of a kernel source. */
function constants(file: string): Map<string, number> {
  const text = Deno.readTextFileSync(
    new URL(`./assembly/${file}`, import.meta.url),
  );
  const found = text.matchAll(
    /const ([A-Z][A-Z0-9_]*)(?:: \w+)? = (0x[\da-f]+|-?\d+);/g,
  );
  return new Map(Array.from(found, ([, name, n]) => [name!, Number(n)]));
}

Deno.test("assembly/program.ts has the record size, kinds and counters of records.ts", () => {
  const program = constants("program.ts");
  assert.equal(program.get("RECORD"), RECORD_BYTES);
  assert.equal(program.get("NEXT"), NEXT_WORD * 4);
  for (const [name, kind] of Object.entries(KIND)) {
    const upper = name.replace(/[A-Z]/g, (c) => `_${c}`).toUpperCase();
    assert.equal(program.get(upper), kind, name);
  }
});

Deno.test("assembly/ has the flags of records.ts", () => {
  assert.equal(constants("product.ts").get("ADD"), FLAG.add);
  const rows = constants("rows.ts");
  assert.equal(rows.get("QUANT"), FLAG.quant);
  assert.equal(rows.get("FLOAT"), FLAG.float);
  assert.equal(rows.get("GELU"), FLAG.gelu);
  assert.equal(constants("turn.ts").get("NEIGHBOURS"), FLAG.neighbours);
});

Deno.test("assembly/sealed.ts has the kinds and flags of sealed.ts", () => {
  const sealed = constants("sealed.ts");
  for (const [name, kind] of Object.entries(PIECE_KIND)) {
    const upper = name === "f16" ? "HALF" : name.toUpperCase();
    assert.equal(sealed.get(upper), kind, name);
  }
  assert.equal(sealed.get("ROTATE_K"), SEALED_FLAG.rotateK);
  assert.equal(sealed.get("ROTATE_V"), SEALED_FLAG.rotateV);
});

Deno.test("assembly/scores.ts splits attention as space.ts sizes it", () => {
  assert.equal(constants("scores.ts").get("SPLIT"), SPLIT);
});

Deno.test("assembly/kinds.ts numbers the layouts of kernels.ts", () => {
  const kinds = new Set(constants("kinds.ts").values());
  for (const [type, { layout }] of Object.entries(KERNELS)) {
    assert.ok(kinds.has(layout.kind), `${type} has layout ${layout.kind}`);
  }
});

Deno.test("assembly/lanes.ts keeps its constants where constants.ts writes them", () => {
  const lanes = constants("lanes.ts");
  const source = Deno.readTextFileSync(
    new URL("./constants.ts", import.meta.url),
  );
  for (
    const name of [
      "HALF_MASK",
      "LOW_NIBBLES",
      "FIFTH_BITS",
      "EXP_LEAST",
      "EXP_ROUND",
    ]
  ) {
    const at = lanes.get(name)!;
    assert.match(source, new RegExp(`at\\(${at}\\)\\); // ${name}`));
    assert.ok(at + 16 <= CONSTANT_BYTES);
  }
  assert.ok(source.includes(`at(${lanes.get("EXP_TERMS")} + 16 * i)`));
});

Deno.test("assembly/ looks for books and grids where books.ts writes them", () => {
  assert.equal(constants("books.ts").get("BOOKS"), BOOKS_AT);
  const grids = constants("repack_grids.ts");
  let end = BOOKS_AT + 6 * 64;
  for (const [name, at] of Object.entries(GRIDS_AT)) {
    assert.equal(grids.get(`GRID_${name}`), at, name);
    assert.equal(at, end, `${name} begins where the one before ends`);
    end += gridOf(name as GridName).length * 4;
  }
  assert.equal(end, GRIDS_END);
  assert.ok(end <= CONSTANT_BYTES);
});
