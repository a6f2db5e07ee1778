import assert from "node:assert/strict";
import { linesOf, once, writeAll } from "./terminal.ts";

function streamOf(...texts: string[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  return ReadableStream.from(texts).pipeThrough(new TextEncoderStream());
}

Deno.test("linesOf() cuts lines wherever the pieces end", async () => {
  const lines = await Array.fromAsync(
    linesOf(streamOf("on", "e\ntwo\r\n", "\n", "thr", "ee")),
  );
  assert.deepEqual(lines, ["one", "two", "", "three"]);
  assert.deepEqual(await Array.fromAsync(linesOf(streamOf())), []);
  assert.deepEqual(await Array.fromAsync(linesOf(streamOf("a\n"))), ["a"]);
});

Deno.test("linesOf() puts characters together that arrive in pieces", async () => {
  const bytes = new TextEncoder().encode("é\n");
  const stream = ReadableStream.from([
    bytes.slice(0, 1),
    bytes.slice(1),
  ]);
  assert.deepEqual(await Array.fromAsync(linesOf(stream)), ["é"]);
});

Deno.test("writeAll() goes on after part of the bytes and after a full pipe", () => {
  const written: number[] = [];
  let calls = 0;
  writeAll({
    writeSync(bytes) {
      if (calls++ === 1) throw new Deno.errors.WouldBlock("full");
      written.push(...bytes.subarray(0, 2));
      return Math.min(2, bytes.length);
    },
  }, "abcde");
  assert.equal(new TextDecoder().decode(Uint8Array.from(written)), "abcde");
});

Deno.test("writeAll() says when nobody reads", () => {
  const writeSync = (): number => {
    throw new Deno.errors.BrokenPipe("gone");
  };
  assert.throws(() => writeAll({ writeSync }, "a"), Deno.errors.BrokenPipe);
});

Deno.test("once() takes an echo for the press it follows", () => {
  let presses = 0, time = 0;
  const hear = once(() => presses++, () => time);
  hear();
  time += 20;
  hear();
  assert.equal(presses, 1);
  time += 400;
  hear();
  assert.equal(presses, 2);
});
