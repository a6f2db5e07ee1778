/**
 * The OpenAPI document, made of the endpoints and their schemas.
 *
 * @module
 */
import { z } from "npm:zod@4.6.7";
import { type Endpoint, ENDPOINTS } from "./endpoints.ts";
import { ERROR_TYPES } from "./errors.ts";
import { errorBody } from "./schema/error.ts";

type Json = Record<string, unknown>;

/** Version of the document: that of what it describes. */
const VERSION = "1";

/** OpenAPI 3.1. `keys`: whether keys are asked for. `base`: where the app is mounted. */
export function openApi(keys: boolean, base: string): Json {
  const paths: Record<string, Json> = {};
  for (const endpoint of ENDPOINTS) {
    const path = endpoint.path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}");
    paths[path] = { ...paths[path], [endpoint.method]: operation(endpoint) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Quire",
      version: VERSION,
      description: "Language models by OpenAI's API. Fields that are not " +
        "listed are refused, never ignored.",
    },
    servers: [{ url: base === "" ? "/" : base }],
    paths,
    components: {
      schemas: { Error: schemaOf(errorBody) },
      ...keys
        ? { securitySchemes: { key: { type: "http", scheme: "bearer" } } }
        : {},
    },
    ...keys ? { security: [{ key: [] }] } : {},
  };
}

function operation(endpoint: Endpoint): Json {
  const { method, path, summary, body, query, answers } = endpoint;
  const types = endpoint.types ?? ["application/json"];
  const parameters = [
    ...[...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
      name,
      in: "path",
      required: true,
      schema: { type: "string" },
    })),
    ...query === undefined ? [] : parametersOf(query),
  ];
  return {
    operationId: `${method}${
      path.replace(/\{[^}]*\}/g, "").replace(/\W+(\w?)/g, (_, c) =>
        c.toUpperCase())
    }`,
    summary,
    ...parameters.length > 0 ? { parameters } : {},
    ...body === undefined ? {} : {
      requestBody: {
        required: endpoint.bodyOptional !== true,
        content: { "application/json": { schema: schemaOf(body) } },
      },
    },
    responses: {
      200: {
        description: answers,
        content: Object.fromEntries(types.map((type) => [type, {}])),
      },
      ...Object.fromEntries(
        errorsOf(endpoint).map((status) => [status, {
          description: ERROR_TYPES[status as keyof typeof ERROR_TYPES],
          content: {
            "application/json": {
              schema: { $ref: "#/components/schemas/Error" },
            },
          },
        }]),
      ),
    },
  };
}

/** Statuses of errors that an endpoint may answer with. */
function errorsOf({ body, query, errors = [] }: Endpoint): readonly number[] {
  const all = new Set<number>([401, 403, 405, 500, 503, ...errors]);
  if (body !== undefined) { for (const s of [400, 408, 413, 415]) all.add(s); }
  if (query !== undefined) all.add(400);
  return [...all].sort((a, b) => a - b);
}

function parametersOf(query: z.ZodObject): Json[] {
  const { properties = {}, required = [] } = schemaOf(query) as {
    readonly properties?: Record<string, Json>;
    readonly required?: readonly string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: "query",
    required: required.includes(name),
    schema,
  }));
}

function schemaOf(schema: z.ZodType): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input" });
  return rest;
}
