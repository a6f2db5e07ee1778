import assert from "node:assert/strict";
import { UsageError } from "./host.ts";
import { loraOptions } from "./lora.ts";
import { COMMON, LORA, readOptions } from "./options.ts";

Deno.test("loraOptions() takes names, paths and scales apart", () => {
  assert.deepEqual(
    loraOptions(["sql=a.gguf", "b=c:/d:-0.5", "c=x=y:1e-1", "d=e:f"]),
    {
      adapters: { sql: "a.gguf", b: "c:/d", c: "x=y", d: "e:f" },
      use: [
        { name: "sql", scale: 1 },
        { name: "b", scale: -0.5 },
        { name: "c", scale: 0.1 },
        { name: "d", scale: 1 },
      ],
    },
  );
  for (const wrong of ["a", "=b", "a=", ""]) {
    assert.throws(() => loraOptions([wrong]), UsageError);
  }
  assert.throws(() => loraOptions(["a=b", "a=c"]), /"a" is given twice/);
});

Deno.test("readOptions() gives --lora to load()", () => {
  const known = [...LORA, ...COMMON];
  const { load } = readOptions(["--lora", "a=b:2", "--threads", "3"], known);
  assert.deepEqual(load, {
    threads: 3,
    adapters: { a: "b" },
    use: [{ name: "a", scale: 2 }],
  });
  assert.deepEqual(readOptions([], known).load, {});
});
