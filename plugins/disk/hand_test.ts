import assert from "node:assert/strict";
import { startHand } from "./hand.ts";
import type { Opened } from "./io_types.ts";

Deno.test("startHand() does what it is asked and says what went wrong", async () => {
  const folder = await Deno.makeTempDir();
  const hand = await startHand("test");
  try {
    const open = { type: "open", folder: `${folder}/a/b`, by: "me" } as const;
    const opened = await hand.ask<Opened>(open);
    assert.equal(opened.writer, true);
    assert.equal(Deno.readTextFileSync(`${folder}/a/b/lock`), "me");
    const other = await startHand("other");
    const second = await other.ask<Opened>({ ...open, by: "you" });
    assert.deepEqual([second.writer, second.holder], [false, "me"]);
    await other.close();
    await assert.rejects(
      hand.ask({ type: "open", folder: `${folder}/a/b/lock/c`, by: "" }),
      /Not a directory|os error/,
    );
  } finally {
    await hand.close();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("startHand() rejects what is asked after it is closed, and what was not answered", async () => {
  const hand = await startHand("test");
  const asked = hand.ask({ type: "attach", folder: "x" });
  const outcome = asked.then(() => "answered", (e) => e.message);
  await hand.close();
  assert.match(await outcome, /answered|its worker is closed/);
  await assert.rejects(
    hand.ask({ type: "close" }),
    /Cannot reach the disk: its worker is closed/,
  );
});
