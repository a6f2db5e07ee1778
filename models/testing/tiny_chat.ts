/**
 * A tiny Llama that can be talked to: every byte is a token, and it has a chat
 * template. What it says means nothing and is the same every time.
 *
 * @module
 */
import { VALUE } from "../gguf/value_types.ts";
import type { WrittenFile } from "./gguf_writer.ts";
import { tinyLlama } from "./tiny_llama.ts";

/** Longest context of the model, tokens; a character of ASCII is one. */
export const TINY_CONTEXT = 256;

const BYTES = 256, HIDDEN = 32;

const TEMPLATE = "{% for m in messages %}[{{ m.role }}]{{ m.content }}\n" +
  "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";

/** The model as a file to be written. */
export function tinyChat(
  { template = true, context = TINY_CONTEXT }: {
    /** Whether it has one, or which. */
    readonly template?: boolean | string;
    /** Longest context, tokens. */
    readonly context?: number;
  } = {},
): WrittenFile {
  const tokens = [...byteCharacters(), "<s>", "</s>"];
  const kinds = tokens.map((_, id) => id < BYTES ? 1 : 3);
  const key = (name: string): string => `tokenizer.ggml.${name}`;
  return tinyLlama({
    "llama.context_length": ["llama.context_length", VALUE.U32, context],
    [key("tokens")]: [key("tokens"), VALUE.ARRAY, VALUE.STRING, tokens],
    [key("token_type")]: [key("token_type"), VALUE.ARRAY, VALUE.I32, kinds],
    [key("merges")]: [key("merges"), VALUE.ARRAY, VALUE.STRING, []],
    [key("bos_token_id")]: [key("bos_token_id"), VALUE.U32, BYTES],
    [key("eos_token_id")]: [key("eos_token_id"), VALUE.U32, BYTES + 1],
    "general.license": ["general.license", VALUE.STRING, "mit"],
    ...(template
      ? {
        "tokenizer.chat_template": [
          "tokenizer.chat_template",
          VALUE.STRING,
          template === true ? TEMPLATE : template,
        ],
      }
      : {}),
  }, { "token_embd.weight": [HIDDEN, tokens.length] });
}

/** The printable character that stands for each byte in such vocabularies. */
export function byteCharacters(): string[] {
  let next = BYTES;
  return Array.from({ length: BYTES }, (_, byte) => {
    const printable = (byte > 0x20 && byte < 0x7f) ||
      (byte > 0xa0 && byte !== 0xad);
    return String.fromCharCode(printable ? byte : next++);
  });
}
