import assert from "node:assert/strict";
import { azureTrace, mooncakeTrace, positions, scaled } from "./traces.ts";

const AZURE = `TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:04.0319600,3180,8
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:18:03.9800000,110,27
`;

Deno.test("azureTrace() sorts by time, in milliseconds from the first", () => {
  assert.deepEqual(azureTrace(AZURE), [
    { at: 0, prompt: 4808, make: 10 },
    { at: 52, prompt: 3180, make: 8 },
    { at: 60001, prompt: 110, make: 27 },
  ]);
});

Deno.test("azureTrace() refuses other columns and rows without numbers", () => {
  assert.throws(() => azureTrace("a,b,c\n1,2,3"), /begins with "a,b,c"/);
  const [head] = AZURE.split("\n");
  assert.throws(() => azureTrace(`${head}\nnever,1,2`), /a time and lengths/);
  assert.throws(
    () => azureTrace(`${head}\n2023-11-16 18:17:04.0319600,0,2`),
    /"prompt":0/,
  );
});

Deno.test("mooncakeTrace() reads times and lengths, whatever else a line has", () => {
  const line = (at: number, input: number, output: number): string =>
    JSON.stringify({
      timestamp: at,
      input_length: input,
      output_length: output,
      hash_ids: [1],
    });
  assert.deepEqual(mooncakeTrace(`${line(5, 40, 6)}\n${line(9, 7, 1)}\n`), [
    { at: 0, prompt: 40, make: 6 },
    { at: 4, prompt: 7, make: 1 },
  ]);
});

Deno.test("scaled() keeps every length at 1 or more, and the times", () => {
  const [long, , short] = scaled(azureTrace(AZURE), 1 / 8);
  assert.deepEqual(long, { at: 0, prompt: 601, make: 1 });
  assert.deepEqual(short, { at: 60001, prompt: 14, make: 3 });
  assert.equal(positions(short!), 16);
});
