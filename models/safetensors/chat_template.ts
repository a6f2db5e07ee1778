/**
 * The chat template of a folder.
 *
 * @module
 */
import { readText } from "./folder.ts";
import { isObject, type JsonObject } from "./json.ts";

/**
 * From chat_template.jinja, else from tokenizer_config.json: the text there, or of
 * several the one called "default".
 */
export async function chatTemplate(
  folder: string,
  settings: JsonObject,
): Promise<string | undefined> {
  const own = await readText(folder, "chat_template.jinja");
  if (own !== undefined) return own;
  const { chat_template: said } = settings;
  if (typeof said === "string") return said;
  if (!Array.isArray(said)) return undefined;
  const usual = said.find((t) => isObject(t) && t["name"] === "default");
  const text = isObject(usual) ? usual["template"] : undefined;
  return typeof text === "string" ? text : undefined;
}
