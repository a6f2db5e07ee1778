/**
 * What a request asks its answer to be, made ready for a vocabulary.
 *
 * @module
 */
import type { Tokenizer } from "../../models/tokenizer.ts";
import type { AnswerFormat } from "../options.ts";
import { buildGrammar } from "./builder.ts";
import type { Rules } from "./constraint.ts";
import { FormatError } from "./error.ts";
import { Kept } from "./kept.ts";
import { Machine } from "./machine.ts";
import { Masks } from "./masks.ts";
import { treeOf } from "./token_tree.ts";

/** Formats that are kept for the next request, of each vocabulary. */
const MOST_KEPT = 16;

/** Longest schema, characters, and deepest. */
const MOST_TEXT = 1 << 18;
const MOST_DEPTH = 100;

const kept = new WeakMap<Tokenizer, Kept<Rules>>();

/**
 * The rules of a format. Those of formats that were asked for of late are found again,
 * with all that was learnt of them.
 *
 * @throws {FormatError} for what cannot be kept to.
 */
export function rulesOf(format: AnswerFormat, tokenizer: Tokenizer): Rules {
  const text = schemaText(format);
  let known = kept.get(tokenizer);
  if (known === undefined) kept.set(tokenizer, known = new Kept(MOST_KEPT));
  return known.get(text, () => makeRules(JSON.parse(text), tokenizer));
}

function schemaText(format: AnswerFormat): string {
  const { type } = format;
  if (type === "json") return "true";
  if (type !== "schema") {
    throw new FormatError(
      "#",
      `its "type" is ${JSON.stringify(type)}, "json" or "schema" is wanted`,
    );
  }
  checkDepth(format.schema);
  const text = JSON.stringify(format.schema) as string | undefined;
  if (text === undefined) {
    throw new FormatError("#", '"schema" is no JSON value');
  }
  if (text.length > MOST_TEXT) {
    throw new FormatError(
      "#",
      `the schema has ${text.length} characters, ${MOST_TEXT} are the most`,
    );
  }
  return text;
}

function checkDepth(schema: unknown): void {
  let level: unknown[] = [schema];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MOST_DEPTH) {
      throw new FormatError("#", `the schema is deeper than ${MOST_DEPTH}`);
    }
    level = level.flatMap((value) =>
      typeof value === "object" && value !== null ? Object.values(value) : []
    );
    if (level.length > MOST_TEXT) {
      throw new FormatError("#", "the schema is too large");
    }
  }
}

function makeRules(schema: unknown, tokenizer: Tokenizer): Rules {
  const tree = treeOf(tokenizer);
  const { grammar, root } = buildGrammar(schema);
  grammar.measure(tree);
  if (root.rest === Infinity) {
    throw new FormatError(
      "#",
      "nothing is valid by it that the tokens of the model can spell",
    );
  }
  const machine = new Machine(root), masks = new Masks(machine, tree);
  return { tokenizer, machine, masks, start: machine.start };
}
