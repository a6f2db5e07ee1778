// deno-lint-ignore-file no-console
/**
 * A Hono app of one's own, with a model beside its other routes.
 *
 * ```sh
 * deno run --allow-read --allow-net=127.0.0.1 examples/hono_app.ts model.gguf
 * curl http://127.0.0.1:8080/ai/v1/models
 * ```
 *
 * @module
 */
import { Hono } from "npm:hono@4.13.19";
import { load } from "../mod.ts";
import { createApp } from "../server/mod.ts";

const [model = "smollm2", port = "8080"] = Deno.args;
await using engine = await load(model);

const app = new Hono();
app.get("/", (c) => c.text("Everything else goes on as it was"));
app.route("/ai", createApp(engine, { model: "mine", mostRequests: 32 }));

const server = Deno.serve({
  hostname: "127.0.0.1",
  port: Number(port),
  onListen: ({ port }) => console.log(`http://127.0.0.1:${port}/ai/v1`),
}, app.fetch);
await server.finished;
