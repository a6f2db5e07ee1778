/**
 * What every drafter keeps.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Drafter } from "../../slots.ts";
import { dice } from "../cache_driver.ts";
import { type Law, type Make, register } from "./suite.ts";

/** Stands where nothing may be written. */
const MARK = -7777;

/** Texts with and without repetition. */
function texts(): number[][] {
  const roll = dice(77);
  const out: number[][] = [[5], [5, 5], [1, 2, 1, 2, 1], Array(70).fill(3)];
  for (const kinds of [2, 3, 9, 90]) {
    for (const length of [3, 17, 40, 130]) {
      out.push(Array.from({ length }, () => roll(kinds)));
    }
  }
  const phrase = Array.from({ length: 12 }, () => roll(90));
  out.push([...phrase, 91, ...phrase.slice(0, 7)]);
  out.push([...phrase, 91, ...phrase, 92, ...phrase.slice(0, 9)]);
  return out;
}

interface Guess {
  readonly count: number;
  readonly tokens: Int32Array;
}

function guess(d: Drafter, text: readonly number[], room: number): Guess {
  const tokens = new Int32Array(text.length + room + 40).fill(MARK);
  tokens.set(text);
  return { count: d.propose(tokens, text.length, room), tokens };
}

/** The laws of the `draft` slot. */
export const drafterLaws: readonly Law<Drafter>[] = [
  {
    says: "has a name, and guesses one token or more",
    check: async (make) => {
      const { id, most } = await make();
      assert.ok(id.length > 0);
      assert.ok(Number.isInteger(most) && most >= 1, `most ${most}`);
    },
  },
  {
    says: "returns how many guesses it has, from none to the room",
    check: async (make) => {
      const d = await make();
      for (const text of texts()) {
        for (const room of [1, 2, 5, d.most]) {
          const { count } = guess(d, text, room);
          assert.ok(
            Number.isInteger(count) && count >= 0 && count <= room,
            `${count} guesses in a room of ${room}`,
          );
        }
      }
    },
  },
  {
    says: "writes nothing but guesses, and those into the room",
    check: async (make) => {
      const d = await make();
      for (const text of texts()) {
        for (const room of [1, 3, d.most]) {
          const { count, tokens } = guess(d, text, room);
          assert.deepEqual([...tokens.subarray(0, text.length)], text);
          const behind = tokens.subarray(text.length + room);
          assert.ok(behind.every((t) => t === MARK), "wrote behind the room");
          for (let i = 0; i < count; i++) {
            assert.ok(tokens[text.length + i]! >= 0, "a guess is missing");
          }
        }
      }
    },
  },
  {
    says: "guesses alike for the same text, whatever it was asked before",
    check: async (make) => {
      const d = await make(), other = await make();
      const all = texts();
      const ask = (from: Drafter, text: readonly number[]) => {
        const { count, tokens } = guess(from, text, d.most);
        return [...tokens.subarray(text.length, text.length + count)];
      };
      const first = all.map((text) => ask(d, text));
      const again = all.toReversed().map((text) => ask(other, text));
      assert.deepEqual(first, again.toReversed());
    },
  },
  {
    says: "reads nothing behind the text",
    check: async (make) => {
      const d = await make();
      for (const text of texts()) {
        const a = guess(d, text, d.most);
        const tokens = new Int32Array(text.length + d.most + 40).fill(text[0]!);
        tokens.set(text);
        const count = d.propose(tokens, text.length, d.most);
        assert.equal(count, a.count);
        assert.deepEqual(
          [...tokens.subarray(text.length, text.length + count)],
          [...a.tokens.subarray(text.length, text.length + count)],
        );
      }
    },
  },
  {
    says: "allocates nothing for a guess",
    check: async (make) => {
      const d = await make();
      const text = texts().at(-1)!;
      const tokens = new Int32Array(text.length + d.most);
      tokens.set(text);
      const run = (calls: number) => {
        for (let i = 0; i < calls; i++) d.propose(tokens, text.length, d.most);
      };
      run(20_000);
      // In most of these short spans nothing is collected.
      const grown = Array.from({ length: 41 }, () => {
        const before = Deno.memoryUsage().heapUsed;
        run(1000);
        return Deno.memoryUsage().heapUsed - before;
      }).sort((a, b) => a - b);
      const median = grown[20]!;
      assert.ok(median < 8000, `${median} bytes for 1,000 guesses`);
    },
  },
];

/** Registers the laws of a drafter as tests. */
export function drafterSuite(name: string, make: Make<Drafter>): void {
  register(name, drafterLaws, make);
}
