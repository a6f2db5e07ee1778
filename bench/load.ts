/**
 * A server under load, against its engine without one: so many streams at a time, a
 * share of them left early.
 *
 * ```sh
 * deno task load smollm2 --minutes 5 --streams 64
 * ```
 *
 * Ends with status 1 where a stream failed, anything was left behind, or the books do
 * not balance.
 *
 * @module
 */

// deno-lint-ignore-file no-console
import { parseArgs } from "node:util";
import {
  type Engine,
  fairShare,
  load,
  pagedAttention,
  prefixCache,
} from "../mod.ts";
import { createApp, Serving } from "../server/mod.ts";
import type { Found, Orders } from "./load_clients.ts";
import { wantedBy } from "./load_plan.ts";
import { LoopLag } from "./loop_lag.ts";

/** Share of streams that clients leave. */
const SHARE = 0.1;

/** What a run made. */
export interface Rate {
  readonly tokens: number;
  readonly seconds: number;
}

/** The engine by itself, asked as the clients ask. */
export async function direct(
  engine: Engine,
  streams: number,
  ms: number,
): Promise<Rate> {
  const began = performance.now(), until = began + ms;
  let tokens = 0;
  const client = async (number: number): Promise<void> => {
    for (let n = 0; performance.now() < until; n++) {
      const { content, maxTokens, leavesAfter } = wantedBy(number, n, SHARE);
      let pieces = 0;
      for await (
        const part of engine.generate({
          messages: [{ role: "user", content }],
          maxTokens,
          temperature: 0.8,
          ignoreEos: true,
        })
      ) {
        tokens += part.tokens.length;
        if (++pieces > (leavesAfter ?? Infinity)) break;
      }
    }
  };
  await Promise.all(Array.from({ length: streams }, (_, i) => client(i)));
  return { tokens, seconds: (performance.now() - began) / 1000 };
}

/** The same over HTTP; clients are in a thread of their own. */
export async function served(
  engine: Engine,
  streams: number,
  ms: number,
): Promise<
  { readonly rate: Rate; readonly found: Found; readonly lag: LoopLag }
> {
  let tokens = 0;
  const run = engine.generate.bind(engine);
  engine.generate = async function* (options) {
    for await (const part of run(options)) {
      tokens += part.tokens.length;
      yield part;
    }
  };
  const serving = new Serving(engine);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    createApp(serving).fetch,
  );
  const clients = new Worker(new URL("./load_clients.ts", import.meta.url), {
    type: "module",
  });
  try {
    using lag = new LoopLag();
    const began = performance.now();
    const found = await new Promise<Found>((resolve, reject) => {
      clients.onmessage = ({ data }) => resolve(data);
      clients.onerror = (event) => reject(new Error(event.message));
      const url = `http://127.0.0.1:${server.addr.port}`;
      const orders: Orders = { url, streams, ms, share: SHARE };
      clients.postMessage(orders);
    });
    const seconds = (performance.now() - began) / 1000;
    await serving.queue.idle();
    return { rate: { tokens, seconds }, found, lag };
  } finally {
    clients.terminate();
    await server.shutdown();
    engine.generate = run;
  }
}

/** What requests left behind; empty where nothing is. */
export function leftBehind(engine: Engine): string[] {
  const { blocks: { open, sealed, idle }, sequences } = engine.cache.stat();
  const { running, waiting } = engine.scheduler.stat();
  const all = { open, used: sealed - idle, sequences, running, waiting };
  try {
    engine.check();
  } catch (error) {
    return [String(error)];
  }
  return Object.entries(all).filter(([, n]) => n > 0)
    .map(([what, n]) => `${n} ${what}`);
}

async function main(args: string[]): Promise<number> {
  const { values, positionals: [model = "smollm2"] } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      minutes: { type: "string", default: "5" },
      streams: { type: "string", default: "64" },
      threads: { type: "string" },
    },
  });
  const ms = Number(values.minutes) * 60_000, streams = Number(values.streams);
  await using engine = await load(model, {
    plugins: [pagedAttention(), prefixCache(), fairShare()],
    parallel: streams,
    threads: values.threads === undefined ? undefined : Number(values.threads),
  });
  // Once for warm code, and as long as the server's part, at most a minute.
  await direct(engine, streams, Math.min(ms, 5_000));
  const alone = await direct(engine, streams, Math.min(ms, 60_000));
  const before = Deno.memoryUsage().heapUsed;
  const { rate, found, lag } = await served(engine, streams, ms);
  const grown = (Deno.memoryUsage().heapUsed - before) / 2 ** 20;
  const per = ({ tokens, seconds }: Rate): number => tokens / seconds;
  const left = leftBehind(engine);
  console.log(`${found.whole} streams to their end, ${found.left} left early
errors                  ${JSON.stringify(found.errors)}
left behind             ${left.length === 0 ? "nothing" : left.join(", ")}
tokens/s                ${per(rate).toFixed(1)} of ${
    per(alone).toFixed(1)
  } by the engine alone: ${(per(rate) / per(alone)).toFixed(3)}
event loop, ms late     most ${lag.most.toFixed(1)}, 99.9 % ${
    lag.quantile(999).toFixed(1)
  }, over 20: ${lag.over(20)} times
JavaScript heap         ${grown.toFixed(1)} MiB more`);
  return left.length === 0 && Object.keys(found.errors).length === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
