import assert from "node:assert/strict";
import { random } from "../core/testing/random_model.ts";
import { StopText } from "./stop_text.ts";

/** Everything that comes out of `pieces`, and whether a stop text was seen. */
function run(
  stops: readonly string[],
  pieces: readonly string[],
): { text: string; stopped: boolean; parts: string[] } {
  const stop = new StopText(stops);
  const parts = pieces.map((piece) => stop.push(piece));
  const { stopped } = stop;
  return { text: parts.join("") + stop.end(), stopped, parts };
}

/** The definition: up to where the stop text that is complete first begins. */
function plain(stops: readonly string[], text: string): string {
  for (let end = 1; end <= text.length; end++) {
    const starts = stops.filter((s) => text.slice(0, end).endsWith(s))
      .map((s) => end - s.length);
    if (starts.length > 0) return text.slice(0, Math.min(...starts));
  }
  return text;
}

Deno.test("StopText cuts a text where a stop text begins, however it comes", () => {
  const next = random(3);
  const word = (length: number): string =>
    Array.from({ length }, () => "ab\n"[Math.floor(next() * 3)]).join("");
  let stopped = 0;
  for (let round = 0; round < 3000; round++) {
    const stops = Array.from(
      { length: 1 + Math.floor(next() * 3) },
      () => word(1 + Math.floor(next() * 5)),
    );
    const text = word(Math.floor(next() * 20));
    const want = plain(stops, text);
    if (want !== text) stopped++;
    const pieces: string[] = [];
    for (let at = 0; at < text.length;) {
      const n = Math.floor(next() * 4);
      pieces.push(text.slice(at, at + n));
      at += n;
    }
    for (const way of [[text], [...text], pieces]) {
      const got = run(stops, way);
      assert.equal(got.text, want, JSON.stringify({ stops, way }));
      assert.equal(got.stopped, want !== text);
    }
  }
  assert.ok(stopped > 500 && stopped < 2900);
});

Deno.test("StopText holds back no more than may begin a stop text", () => {
  const { parts } = run(["<end>"], ["a<", "b<e", "nd", "x", "<en"]);
  assert.deepEqual(parts, ["a", "<b", "", "<endx", ""]);
  assert.deepEqual(run(["\n\n"], ["a\n", "b\n", "\nc"]).parts, [
    "a",
    "\nb",
    "",
  ]);
});

Deno.test("StopText gives back what it held where the text ends by itself", () => {
  assert.equal(run(["<end>"], ["abc<en"]).text, "abc<en");
  assert.equal(run([], ["abc", "def"]).text, "abcdef");
});

Deno.test("StopText lets nothing out after a stop text", () => {
  const got = run(["."], ["One. Two", " three."]);
  assert.deepEqual(got, { text: "One", stopped: true, parts: ["One", ""] });
});

Deno.test("StopText refuses an empty stop text, and what is none", () => {
  for (
    const bad of ["", 1 as unknown as string, undefined as unknown as string]
  ) {
    assert.throws(() => new StopText(["a", bad]), TypeError);
  }
});
