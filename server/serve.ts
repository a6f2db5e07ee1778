/**
 * A server for `deno serve`: one that Deno itself listens with.
 *
 * ```sh
 * deno serve --host 127.0.0.1 --port 8000 --allow-read server/serve.ts model.gguf
 * ```
 *
 * Without `--parallel`: each of its workers would have the model by itself.
 *
 * @module
 */
import { createApp } from "./app.ts";
import { namedModel, startServing } from "./start.ts";

const models = Deno.args.length === 0 ? ["smollm2"] : Deno.args;
const serving = await startServing(models.map(namedModel));

/** What `deno serve` calls. */
const server: {
  readonly fetch: (request: Request) => Response | Promise<Response>;
} = { fetch: createApp(serving).fetch };

export default server;
