import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { sha256, sha256Text } from "./sha256.ts";

Deno.test("sha256() equals the standard's example", () => {
  assert.equal(
    sha256Text("abc"),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
});

Deno.test("sha256() equals another implementation at every length around a block", () => {
  for (let n = 0; n < 260; n++) {
    const bytes = Uint8Array.from({ length: n }, (_, i) => (i * 89 + n) & 255);
    const wanted = new Uint8Array(createHash("sha256").update(bytes).digest());
    assert.deepEqual(sha256(bytes), wanted, `length ${n}`);
  }
});

Deno.test("sha256() may write over what it read", () => {
  const bytes = new Uint8Array(64).fill(7);
  const wanted = sha256(bytes);
  assert.deepEqual(sha256(bytes, bytes).slice(0, 32), wanted);
});
