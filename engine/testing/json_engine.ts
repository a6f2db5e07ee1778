/**
 * A tiny model whose tokens are bytes and pieces of JSON, for answers with a format.
 *
 * @module
 */
import { VALUE } from "../../models/gguf/value_types.ts";
import { byteCharacters } from "../../models/testing/tiny_chat.ts";
import type { Engine } from "../engine.ts";
import type { LoadOptions } from "../options.ts";
import { tinyEngine } from "./tiny_engine.ts";

/** Texts of more than one byte that are tokens; characters stand for bytes. */
export const PIECES: readonly string[] = [
  ...[
    '{"',
    '":',
    '": "',
    '", "',
    '"}',
    '"],',
    "[]",
    "{}",
    "},{",
    '"},{"',
    "]}",
  ],
  ...["true", "false", "null", "name", "value", ' "', ", ", ": ", "\\u", "\\n"],
  ...["12", "00", "-1", "0.", "e+", "2024-", "T1", "://", "abc", "the ", "}}"],
  // Halves of characters, and such that do not begin with their first byte.
  ...[
    "\xf0\x9f",
    "\x98\x80",
    "\xc3\xa9",
    "a\xc3",
    "\xa9b",
    "\xe6\x97",
    '\xa9"',
  ],
];

const BYTES = 256, HIDDEN = 32, CONTEXT = 2048;

/** Loads it. Its last two tokens begin and end a text, the one before is another's. */
export function jsonEngine(options: LoadOptions = {}): Promise<Engine> {
  const characters = byteCharacters();
  const spelled = PIECES.map((piece) =>
    [...piece].map((c) => characters[c.charCodeAt(0)]!).join("")
  );
  const tokens = [...characters, ...spelled, '{"x":1}', "<s>", "</s>"];
  const text = BYTES + PIECES.length;
  const kinds = tokens.map((_, id) => id < text ? 1 : 3);
  const key = (name: string): string => `tokenizer.ggml.${name}`;
  return tinyEngine(options, {
    "llama.context_length": ["llama.context_length", VALUE.U32, CONTEXT],
    [key("tokens")]: [key("tokens"), VALUE.ARRAY, VALUE.STRING, tokens],
    [key("token_type")]: [key("token_type"), VALUE.ARRAY, VALUE.I32, kinds],
    [key("merges")]: [key("merges"), VALUE.ARRAY, VALUE.STRING, []],
    [key("bos_token_id")]: [key("bos_token_id"), VALUE.U32, text + 1],
    [key("eos_token_id")]: [key("eos_token_id"), VALUE.U32, text + 2],
  }, { "token_embd.weight": [HIDDEN, tokens.length] });
}
