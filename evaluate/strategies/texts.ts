/**
 * Tokens of a real text, cut into prompts that have nothing in common.
 *
 * @module
 */
import { join } from "node:path";
import type { Tokenizer } from "../../models/tokenizer.ts";

/** What is cut: the test part of WikiText-2. */
export const TEXT = "wikitext2-test.txt";

/** Cuts the next prompt of so many tokens; no two overlap. */
export type NextSlice = (tokens: number) => number[];

/** Prompts out of the text in `folder`, from its start. */
export async function slicesOf(
  folder: string,
  tokenizer: Pick<Tokenizer, "encode">,
): Promise<NextSlice> {
  return slices(tokenizer.encode(await Deno.readTextFile(join(folder, TEXT))));
}

/** Prompts out of tokens, one after another; throws a RangeError at their end. */
export function slices(ids: readonly number[]): NextSlice {
  let at = 0;
  return (tokens) => {
    if (at + tokens > ids.length) {
      throw new RangeError(
        `Cannot cut ${tokens} tokens more: ${
          ids.length - at
        } of ${ids.length} are left, ask for fewer or shorter prompts`,
      );
    }
    at += tokens;
    return ids.slice(at - tokens, at);
  };
}
