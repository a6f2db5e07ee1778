/**
 * Servers on a port of this machine, for clients.
 *
 * @module
 */
import type { ServerOptions } from "../settings.ts";
import { type Served, withServer } from "./server.ts";

/** A server that listens. */
export interface Listening extends Served {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
}

/** Template of a model that takes tools. */
export const TOOLS_TEMPLATE =
  "{% for m in messages %}[{{ m.role }}]{{ m.content }}" +
  "{% if m.tool_calls %}<tool_call>{{ m.tool_calls | tojson }}</tool_call>{% endif %}\n" +
  "{% endfor %}{% if tools %}{{ tools | tojson }}{% endif %}[assistant]";

/** Runs `use` with a server that listens; its model takes tools. */
export function withPort(
  use: (listening: Listening) => Promise<void>,
  options: ServerOptions = {},
): Promise<void> {
  return withServer(
    async (served) => {
      const server = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen: () => {} },
        served.app.fetch,
      );
      try {
        const url = `http://127.0.0.1:${server.addr.port}`;
        await use({ ...served, url });
      } finally {
        await server.shutdown();
      }
    },
    options,
    { model: { template: TOOLS_TEMPLATE, context: 4096 } },
  );
}
