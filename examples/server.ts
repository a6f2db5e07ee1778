/**
 * A server in ten lines; `mod.ts` can be imported by its URL as well.
 *
 * ```sh
 * deno run --allow-read --allow-net=127.0.0.1 examples/server.ts model.gguf
 * ```
 *
 * @module
 */
import { load } from "../mod.ts";
import { listen, Serving } from "../server/mod.ts";

const [model = "smollm2", port = "8000"] = Deno.args;
const engine = await load(model);
await listen(new Serving(engine, { model: "mine" }), {
  port: Number(port),
  // deno-lint-ignore no-console
  onListen: (url) => console.log(`${url}/v1`),
});
