/**
 * An answer as it comes, taken apart into text and calls of functions.
 *
 * @module
 */

/** Something that was said: text, the beginning of a call, or more of its arguments. */
export type Said =
  | { readonly text: string }
  | { readonly call: number; readonly name: string }
  | { readonly call: number; readonly arguments: string };

/** Takes text as it comes. */
export interface Reader {
  /** What is certain now. */
  push(text: string): Said[];
  /** What is left when nothing more comes. */
  end(): Said[];
}

/** Of answers without functions: all of it is text. */
export const plainReader = (): Reader => ({
  push: (text) => text === "" ? [] : [{ text }],
  end: () => [],
});

/** Of answers that are the arguments of one function. */
export function argumentsReader(name: string): Reader {
  let begun = false;
  return {
    push: (text) => {
      if (text === "") return [];
      const begin: Said[] = begun ? [] : [{ call: 0, name }];
      begun = true;
      return [...begin, { call: 0, arguments: text }];
    },
    end: () => [],
  };
}
