// deno-lint-ignore-file no-console
/**
 * A server from the command line: `deno task serve`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { parseBytes } from "../engine/options.ts";
import { listen } from "./listen.ts";
import { type NamedModel, namedModel, startServing } from "./start.ts";

const HELP = `Serves models by OpenAI's API: http://127.0.0.1:8000/v1

  deno task serve [MODEL...] [options]

A MODEL is a name (smollm2, the default), a path of a GGUF file, or NAME=PATH; the
first is loaded at once, others when somebody asks for them.

  --host HOST          default 127.0.0.1: this machine alone
  --port PORT          default 8000
  --api-keys FILE      keys, one a line; also QUIRE_API_KEYS, separated by commas
  --cors ORIGIN        web pages that may ask; repeatable
  --context N          longest sequence, tokens
  --threads N          compute workers
  --budget BYTES       working memory of a model, "2GiB"
  --parallel N         most sequences computed together
  --requests N         most requests at a time, more get 429; default 256
  --tenant-requests N  the same for each tenant
  --tenant-tokens N    tokens a minute for each tenant
  --deadline MS        ends every answer after so long
  --idle MS            models sleep after so long without a request
  --sessions FOLDER    where sessions are saved
  --grace MS           for running requests once it is ending; default 30000
  --quiet              no log
  --help
`;

/** Options, as they are written. */
function optionsOf(args: string[]) {
  const text = { type: "string" } as const, flag = { type: "boolean" } as const;
  return parseArgs({
    args,
    allowPositionals: true,
    options: {
      host: text,
      port: text,
      "api-keys": text,
      cors: { type: "string", multiple: true },
      context: text,
      threads: text,
      budget: text,
      parallel: text,
      requests: text,
      "tenant-requests": text,
      "tenant-tokens": text,
      deadline: text,
      idle: text,
      sessions: text,
      grace: text,
      quiet: flag,
      help: flag,
    },
  });
}

/** Runs until it is told to end; the exit status. */
export async function main(args: string[]): Promise<number> {
  let parsed: ReturnType<typeof optionsOf>;
  try {
    parsed = optionsOf(args);
  } catch (error) {
    console.error(`${(error as Error).message}; --help says more`);
    return 2;
  }
  const { values: v, positionals } = parsed;
  if (v.help) {
    console.log(HELP);
    return 0;
  }
  try {
    const number = (name: string, text: string | undefined) => {
      if (text === undefined) return undefined;
      if (/^\d+$/.test(text)) return Number(text);
      throw new RangeError(
        `Cannot use "--${name} ${text}": a number is wanted`,
      );
    };
    const hostname = v.host ?? "127.0.0.1";
    const models: readonly NamedModel[] = positionals.length === 0
      ? [namedModel("smollm2")]
      : positionals.map(namedModel);
    const keys = await keysOf(v["api-keys"]);
    if (keys.length === 0 && !LOOPBACK.includes(hostname)) {
      console.error(
        `Anyone who reaches ${hostname} can use this server: "--api-keys" would ask for keys`,
      );
    }
    const serving = await startServing(models, {
      load: {
        context: number("context", v.context),
        threads: number("threads", v.threads),
        parallel: number("parallel", v.parallel),
        budget: v.budget === undefined ? undefined : parseBytes(v.budget),
      },
      idleMs: number("idle", v.idle),
      apiKeys: keys,
      cors: v.cors,
      // What a web page's name leads to must not be taken for this machine.
      hosts: LOOPBACK.includes(hostname) ? [...LOOPBACK] : ["*"],
      mostRequests: number("requests", v.requests),
      tenantQuota: {
        mostRequests: number("tenant-requests", v["tenant-requests"]),
        tokensPerMinute: number("tenant-tokens", v["tenant-tokens"]),
      },
      deadlineMs: number("deadline", v.deadline),
      sessions: v.sessions,
      log: v.quiet ? undefined : (line) => console.error(JSON.stringify(line)),
    });
    const whole = await listen(serving, {
      hostname,
      port: number("port", v.port),
      graceMs: number("grace", v.grace),
      onListen: (url) =>
        console.log(
          `Serving ${models.map(({ id }) => id).join(", ")} at ${url}/v1`,
        ),
    });
    return whole ? 0 : 1;
  } catch (error) {
    console.error((error as Error).message);
    return 1;
  }
}

const LOOPBACK: readonly string[] = ["127.0.0.1", "localhost", "[::1]", "::1"];

async function keysOf(file: string | undefined): Promise<readonly string[]> {
  const text = file === undefined
    ? environment("QUIRE_API_KEYS").replaceAll(",", "\n")
    : await Deno.readTextFile(file);
  return text.split("\n").map((key) => key.trim()).filter((key) => key !== "");
}

/** A variable that may not be read counts as one that is not set. */
function environment(name: string): string {
  try {
    return Deno.env.get(name) ?? "";
  } catch {
    return "";
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
