import assert from "node:assert/strict";
import { block, content } from "../../core/testing/suites/index_suite.ts";
import { ChainIndex } from "./index.ts";

const A = [1, 2, 3, 4], B = [5, 6, 7, 8];

/** Names a block as eviction does, and deletes its key. */
function evict(index: ChainIndex, key: string): void {
  index.victim = index.get(key);
  index.delete(key);
}

Deno.test("ChainIndex remembers keys that were evicted, the newest", () => {
  const index = new ChainIndex(2);
  for (const [i, key] of ["a", "b", "c"].entries()) {
    index.set(key, block(i + 1), content("", [i, 2, 3, 4]));
  }
  for (const key of ["a", "b", "c"]) evict(index, key);
  const reasons = ["a", "b", "c"].map((key, i) =>
    index.why(key, content("", [i, 2, 3, 4])).reason
  );
  assert.deepEqual(reasons, ["unseen", "evicted", "evicted"]);
});

Deno.test("ChainIndex forgets that a key was evicted once it is there again", () => {
  const index = new ChainIndex(2);
  index.set("a", block(1), content("", A));
  evict(index, "a");
  index.set("a", block(2), content("", A));
  index.delete("a"); // written over: nobody evicted it this time
  assert.equal(index.why("a", content("", A)).reason, "unseen");
  // Its place is free for another.
  for (const key of ["b", "c"]) {
    index.set(key, block(3), content("", [...B.slice(1), key.charCodeAt(0)]));
    evict(index, key);
  }
  for (const key of ["b", "c"]) {
    assert.equal(index.why(key, content("", B)).reason, "evicted");
  }
});

Deno.test("ChainIndex takes only what eviction named for evicted", () => {
  const index = new ChainIndex(9);
  index.set("a", block(1), content("", A));
  index.set("b", block(2), content("a", [...A, ...B]));
  index.victim = block(1);
  index.delete("b");
  assert.equal(index.why("b", content("a", [...A, ...B])).reason, "unseen");
  index.delete("a");
  assert.equal(index.why("a", content("", A)).reason, "unseen");
});

Deno.test("ChainIndex joins a chain again whose middle comes back", () => {
  const index = new ChainIndex(9);
  const chain = [...A, ...B, ...A];
  index.set("a", block(1), content("", A));
  index.set("b", block(2), content("a", chain.slice(0, 8)));
  index.set("c", block(3), content("b", chain, { priority: 4 }));
  index.delete("b");
  assert.equal(index.entry(block(3))!.parent, undefined);
  index.set("b", block(9), content("a", chain.slice(0, 8)));
  const middle = index.entry(block(9))!;
  assert.equal(index.entry(block(3))!.parent, middle);
  assert.deepEqual([...middle.children], [index.entry(block(3))]);
  assert.equal(middle.priority, 4, "it is worth what needs it");
  // The tail goes while its parent is away: nothing of it stays.
  index.delete("b");
  index.delete("c");
  index.set("b", block(5), content("a", chain.slice(0, 8)));
  assert.equal(index.entry(block(5))!.children.size, 0);
});

Deno.test("ChainIndex compares with blocks of the same salt and group only", () => {
  const index = new ChainIndex(9);
  index.set("a", block(1), content("", A, { salt: "x" }));
  const near = [1, 2, 9, 9];
  assert.deepEqual(index.why("k", content("", near, { salt: "x" })), {
    reason: "differs",
    position: 2,
  });
  const unseen = { reason: "unseen", position: 0 };
  assert.deepEqual(index.why("k", content("", near)), unseen);
  const elsewhere = content("", near, { salt: "x", group: 1 });
  assert.deepEqual(index.why("k", elsewhere), unseen);
  assert.equal(index.why("k", content("", A)).reason, "salted");
});
