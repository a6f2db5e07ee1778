/**
 * `GET /openapi.json`, and a page to browse it.
 *
 * @module
 */
import type { Context } from "npm:hono@4.13.19";
import { html, raw } from "npm:hono@4.13.19/html";
import type { Env } from "../context.ts";
import { openApi } from "../document.ts";

/** The OpenAPI document. */
export function document(c: Context<Env>): Response {
  const { wanted } = c.get("serving").keys;
  return c.json(openApi(wanted, baseOf(c, "/openapi.json")));
}

/** What stands before the app's own paths, where it is mounted in another. */
function baseOf(c: Context<Env>, own: string): string {
  return c.req.path.endsWith(own) ? c.req.path.slice(0, -own.length) : "";
}

interface Operation {
  readonly summary: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly schema: unknown;
  }[];
  readonly requestBody?: {
    readonly content: {
      readonly "application/json": { readonly schema: unknown };
    };
  };
  readonly responses: Readonly<
    Record<string, { readonly description: string }>
  >;
}

/** The document as a page, without scripts. */
export async function docs(c: Context<Env>): Promise<Response> {
  const base = baseOf(c, "/docs");
  const { paths } = openApi(c.get("serving").keys.wanted, base) as {
    readonly paths: Record<string, Record<string, Operation>>;
  };
  const sections = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) =>
      sectionOf(path, method, operation)
    )
  );
  c.header(
    "content-security-policy",
    "default-src 'none'; style-src 'unsafe-inline'",
  );
  return c.html(
    await html`
      <!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <title>Quire: endpoints</title>
          <style>${raw(STYLE)}</style>
        </head>
        <body>
          <main>
                  <h1>Quire: endpoints</h1>
                  <p>
                    The same as <a href="${base}/openapi.json">an OpenAPI document</a>.
                    Fields that are not listed are refused, never ignored.
                  </p>
                  ${sections}
                </main>
        </body>
      </html>
    `,
  );
}

function sectionOf(path: string, method: string, operation: Operation) {
  const { summary, parameters = [], requestBody, responses } = operation;
  const schema = requestBody?.content["application/json"].schema as
    | {
      readonly properties?: Record<string, unknown>;
      readonly required?: readonly string[];
    }
    | undefined;
  const rows = [
    ...parameters.map((p) => [p.name, `in ${p.in}`, p.schema] as const),
    ...Object.entries(schema?.properties ?? {}).map(([name, s]) =>
      [name, schema?.required?.includes(name) ? "required" : "", s] as const
    ),
  ];
  const statuses = Object.entries(responses)
    .map(([status, { description }]) => `${status} ${description}`).join(", ");
  return html`
    <details>
      <summary><b>${method
        .toUpperCase()}</b> <code>${path}</code> ${summary}</summary>
      <dl>
          ${rows.map(([name, note, s]) =>
            html`
              <dt><code>${name}</code> ${note}</dt>
              <dd><code>${JSON.stringify(s)}</code></dd>
            `
          )}
        </dl>
      <p>${statuses}</p>
    </details>
  `;
}

const STYLE = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0; }
main { max-width: 60rem; margin: auto; padding: 1rem; }
details { border-top: 1px solid #8886; padding: .5rem 0; }
summary { cursor: pointer; }
dt { margin-top: .5rem; font-weight: 600; }
dd { margin: 0 0 0 1rem; }
dd code { overflow-wrap: anywhere; font-size: .85rem; opacity: .85; }
`;
