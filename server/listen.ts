/**
 * A server on a port, until it is told to end.
 *
 * @module
 */
import { createApp } from "./app.ts";
import type { Serving } from "./serving.ts";

/** Where it listens and how it ends. */
export interface ListenOptions {
  /** Default "127.0.0.1": this machine alone. */
  readonly hostname?: string | undefined;
  /** 0: any that is free. Default 8000. */
  readonly port?: number | undefined;
  /** How long running requests may take once it is ending, milliseconds. Default 30,000. */
  readonly graceMs?: number | undefined;
  /** Ends it, as SIGTERM and Ctrl-C do. */
  readonly signal?: AbortSignal | undefined;
  /** Hears where it listens. */
  readonly onListen?: ((url: string) => void) | undefined;
}

/**
 * Listens until SIGTERM, Ctrl-C or `signal`. New requests are refused with 503 from
 * then on, running ones come to their end; a second signal ends them. What was given
 * is disposed of. Whether all came to their end by themselves.
 */
export async function listen(
  serving: Serving,
  options: ListenOptions = {},
): Promise<boolean> {
  const { hostname = "127.0.0.1", port = 8000, graceMs = 30_000 } = options;
  const app = createApp(serving);
  const told = Promise.withResolvers<void>();
  const now = Promise.withResolvers<void>();
  let times = 0;
  const end = (): void => (times++ === 0 ? told : now).resolve();
  await using stack = new AsyncDisposableStack();
  stack.use(serving);
  const server = Deno.serve({
    hostname,
    port,
    onListen: ({ hostname, port }) =>
      options.onListen?.(
        `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`,
      ),
    // Hono answers everything else.
    onError: () => new Response(null, { status: 500 }),
  }, app.fetch);
  stack.defer(() => server.shutdown());
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    // Windows knows the first alone.
    if (Deno.build.os === "windows" && signal === "SIGTERM") continue;
    Deno.addSignalListener(signal, end);
    stack.defer(() => Deno.removeSignalListener(signal, end));
  }
  options.signal?.addEventListener("abort", end);
  stack.defer(() => options.signal?.removeEventListener("abort", end));
  if (options.signal?.aborted) end();
  await told.promise;
  serving.log("draining", { requests: serving.queue.taken });
  const drained = serving.drain(graceMs);
  return await Promise.race([
    drained,
    now.promise.then(() => serving.drain(0)).then(() => false),
  ]);
}
