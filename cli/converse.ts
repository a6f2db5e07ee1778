/**
 * A conversation on standard input and output.
 *
 * @module
 */
import type { Host } from "./host.ts";
import type { Talk } from "./talk.ts";

/**
 * Reads a line, answers it, until the input ends. Meta text goes to standard
 * error, so that standard output holds answers only.
 *
 * Returns the exit status: 1 where a turn failed and nobody watched.
 */
export async function converse(
  talk: Talk,
  model: string,
  host: Host,
): Promise<number> {
  const watched = host.terminal.in;
  if (watched) host.err(`${model}, /help says what works\n`);
  let wake: (() => void) | undefined, pressed = 0;
  using _ = host.onInterrupt(() => {
    pressed++;
    talk.stop();
    wake?.();
  });
  const lines = host.lines();
  let line: Promise<IteratorResult<string>> | undefined;
  for (;;) {
    if (watched) host.err("> ");
    const interrupt = new Promise<undefined>((resolve) =>
      wake = () => resolve(undefined)
    );
    line ??= lines.next();
    const got = await Promise.race([line, interrupt]);
    wake = undefined;
    if (got === undefined) {
      host.err("\n");
      if (pressed > 1 || !watched) return 130;
      host.err("(Ctrl-C again, Ctrl-D or /exit ends)\n");
      continue;
    }
    line = undefined;
    if (got.done) {
      if (watched) host.err("\n");
      break;
    }
    pressed = 0;
    const text = got.value.trim();
    if (text === "/exit") break;
    if (/^\/\w*$/.test(text)) await talk.command(text);
    else if (text !== "") await talk.turn(text);
    // Ctrl-C ends a program that nobody types into.
    if (pressed > 0 && !watched) return 130;
  }
  return talk.failed && !watched ? 1 : 0;
}
