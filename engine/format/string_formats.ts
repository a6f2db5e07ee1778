/**
 * Formats of strings, as expressions for what is made of each: some of what the format
 * allows, and nothing else.
 *
 * @module
 */

const MONTHS = "(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])" +
  "|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)" +
  "|02-(?:0[1-9]|1\\d|2[0-8])";
const DATE = `(?:19|20)\\d\\d-(?:${MONTHS})`;
const CLOCK = "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?";
const TIME = `${CLOCK}(?:Z|[+-](?:0\\d|1[0-3]):[0-5]\\d)`;
const BYTE = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?";
const HOST = `${LABEL}(?:\\.${LABEL}){0,5}`;
const DOMAIN = `(?:${LABEL}\\.){1,4}[A-Za-z]{2,12}`;
const WORD = "[A-Za-z0-9_+-]{1,20}";
const PATH = "(?:/[A-Za-z0-9._~-]{0,40}){0,8}";
const URI = `https?://${HOST}${PATH}(?:\\?[A-Za-z0-9._~=&-]{0,60})?` +
  "(?:#[A-Za-z0-9._~-]{0,40})?";

const FORMATS: ReadonlyMap<string, string> = new Map([
  ["date", DATE],
  ["time", TIME],
  ["date-time", `${DATE}T${TIME}`],
  ["duration", "P(?:\\d{1,4}D|(?:\\d{1,4}D)?T\\d{1,4}[HMS]|\\d{1,4}W)"],
  ["email", `${WORD}(?:\\.${WORD}){0,3}@${DOMAIN}`],
  ["hostname", HOST],
  ["ipv4", `(?:${BYTE}\\.){3}${BYTE}`],
  ["ipv6", "(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}"],
  [
    "uuid",
    "[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
  ],
  ["uri", URI],
]);

/** The expression of a format, if there is one. */
export function formatPattern(name: string): string | undefined {
  const pattern = FORMATS.get(name);
  return pattern === undefined ? undefined : `^(?:${pattern})$`;
}

/** All that there are. */
export function formatNames(): string[] {
  return [...FORMATS.keys()];
}
