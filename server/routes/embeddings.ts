/**
 * `POST /v1/embeddings`.
 *
 * @module
 */
import type { Context } from "npm:hono@4.13.19";
import type { Engine } from "../../engine/engine.ts";
import { takePlaces } from "../answering.ts";
import { readBody } from "../body.ts";
import type { Env } from "../context.ts";
import { engineError } from "../engine_error.ts";
import { badRequest, tooLong } from "../errors.ts";
import { promptsOf, tokensOf } from "../prompts.ts";
import { embeddingBody } from "../schema/others.ts";

/** Vectors of texts, of length 1. */
export async function embeddings(c: Context<Env>): Promise<Response> {
  const body = await readBody(c, embeddingBody);
  const serving = c.get("serving"), { user } = body;
  serving.requireOpen();
  const prompts = promptsOf(body.input);
  using places = takePlaces(c, { user, n: prompts.length });
  using lease = await serving.models.use(body.model ?? undefined);
  const { engine } = lease;
  checkDimensions(body.dimensions, engine);
  const inputs = prompts.map((prompt) => tokensOf(engine, prompt, "input"));
  for (const { length } of inputs) {
    if (length > engine.context) throw tooLong(length, engine.context, "input");
  }
  const signal = AbortSignal.any([c.req.raw.signal, serving.ending]);
  try {
    const vectors = await Promise.all(
      inputs.map((tokens) =>
        engine.embed(tokens, { signal, tenant: places.tenant })
      ),
    );
    const tokens = inputs.reduce((sum, { length }) => sum + length, 0);
    places.charge(tokens);
    const labels = { model_name: lease.id };
    serving.metrics.count("vllm:prompt_tokens_total", labels, tokens);
    const encoded = body.encoding_format === "base64";
    return c.json({
      object: "list",
      data: vectors.map((vector, index) => ({
        object: "embedding",
        index,
        embedding: encoded ? base64(vector) : [...vector],
      })),
      model: lease.id,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    });
  } catch (error) {
    throw engineError(error);
  }
}

function checkDimensions(
  wanted: number | null | undefined,
  { spec: { hidden } }: Engine,
): void {
  if (wanted === null || wanted === undefined || wanted === hidden) return;
  throw badRequest(
    `Cannot make vectors of ${wanted} numbers: the model's have ${hidden}`,
    "dimensions",
    "unsupported_value",
  );
}

/** Little-endian f32, as clients of OpenAI read them. */
function base64(vector: Float32Array): string {
  const view = new DataView(new ArrayBuffer(vector.length * 4));
  vector.forEach((x, i) => view.setFloat32(i * 4, x, true));
  return new Uint8Array(view.buffer).toBase64();
}
