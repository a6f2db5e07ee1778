/**
 * From a command line to an exit status.
 *
 * @module
 */
import config from "../deno.json" with { type: "json" };
import { PlanError } from "../core/plugin.ts";
import { ModelError, SessionError } from "../mod.ts";
import { bench } from "./bench.ts";
import { calibration } from "./calibrate.ts";
import { chat } from "./chat.ts";
import type { Command } from "./command.ts";
import { evaluation } from "./eval.ts";
import { type Host, UsageError } from "./host.ts";
import { inspect } from "./inspect.ts";
import { didYouMean } from "./nearest.ts";
import { optionHelp, readOptions } from "./options.ts";
import { pull } from "./pull.ts";
import { run } from "./run.ts";

/** Every command, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  chat,
  run,
  pull,
  inspect,
  bench,
  evaluation,
  calibration,
];

/**
 * Runs a command line; errors of the user's or the model's making are one line
 * on standard error.
 *
 * Returns the exit status: 0, 1 for an error, 2 for a command line that cannot
 * be understood, 130 for Ctrl-C.
 */
export async function main(
  args: readonly string[],
  host: Host,
): Promise<number> {
  const controller = new AbortController();
  using _ = host.onInterrupt(() => {
    // Who presses it twice does not want to wait.
    if (controller.signal.aborted) host.exit(130);
    controller.abort();
  });
  try {
    return await dispatch(args, host, controller.signal);
  } catch (error) {
    if (controller.signal.aborted) return 130;
    return report(error, host);
  }
}

async function dispatch(
  args: readonly string[],
  host: Host,
  signal: AbortSignal,
): Promise<number> {
  const [name, ...rest] = args;
  if (name === "--version" || name === "-V") return version(host);
  if (name === "--help" || name === "-h" || name === "help") {
    host.out(help());
    return 0;
  }
  if (name === undefined) {
    host.err(help());
    return 2;
  }
  const command = COMMANDS.find((c) => c.name === name);
  if (command === undefined) {
    const names = COMMANDS.map((c) => c.name);
    throw new UsageError(
      name.startsWith("-")
        ? `Cannot begin with "${name}": a command comes first, ${
          names.join(", ")
        }`
        : `Cannot run command "${name}": ${didYouMean(name, names)}`,
    );
  }
  const options = readOptions(rest, command.options);
  if (options.version) return version(host);
  if (options.help) {
    host.out(commandHelp(command));
    return 0;
  }
  return await command.run(options, host, signal);
}

function version(host: Host): number {
  host.out(`quire ${config.version}\n`);
  return 0;
}

function report(error: unknown, host: Host): number {
  // Whoever read our output has enough of it.
  if (error instanceof Deno.errors.BrokenPipe) return 0;
  if (error instanceof UsageError) {
    host.err(`${oneLine(error)}; "quire help" says more\n`);
    return 2;
  }
  host.err(
    isForUsers(error) ? `${oneLine(error)}\n` : `${Deno.inspect(error)}\n`,
  );
  return 1;
}

/** Errors whose message is all there is to know; others are our own faults. */
function isForUsers(error: unknown): error is Error {
  return error instanceof ModelError || error instanceof RangeError ||
    error instanceof PlanError || error instanceof SessionError ||
    Object.values(Deno.errors).some((kind) => error instanceof kind);
}

function oneLine({ message }: Error): string {
  return message.trim().replace(/\s*\n\s*/g, "; ");
}

function help(): string {
  const rows = COMMANDS.map((c) => [`${c.name} ${c.operands}`, c.summary]);
  const width = Math.max(...rows.map(([usage]) => usage!.length));
  return `quire ${config.version} runs language models

${rows.map(([u, s]) => `  quire ${u!.padEnd(width)}  ${s}`).join("\n")}

A MODEL is a name (smollm2, gemma3-270m), the path of a GGUF file or of a folder of
safetensors, hf:owner/repo/file.gguf, hf:owner/repo for such a folder, or an https
address. "quire COMMAND --help" lists options.
`;
}

function commandHelp(command: Command): string {
  const { name, operands, summary, details, options } = command;
  const more = details === undefined ? "" : `\n${details}\n`;
  return `quire ${name} ${operands}: ${summary}
${more}
${optionHelp(options)}
`;
}
