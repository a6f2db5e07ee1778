/**
 * `/v1/models`, and what loads and unloads them.
 *
 * @module
 */
import type { Context } from "npm:hono@4.13.19";
import { readBody } from "../body.ts";
import type { Env } from "../context.ts";
import type { ModelInfo, Models } from "../models.ts";
import { modelBody } from "../schema/others.ts";

/** All models. */
export function listModels(c: Context<Env>): Response {
  const { models } = c.get("serving");
  const data = models.list().map((info) => told(info, models));
  return c.json({ object: "list", data });
}

/** One model. */
export function showModel(c: Context<Env>): Response {
  const { models } = c.get("serving");
  return c.json(told(models.find(c.req.param("model")), models));
}

/** What is done with a model by its name. */
export function changeModel(
  act: "load" | "unload" | "sleep",
): (c: Context<Env>) => Promise<Response> {
  return async (c) => {
    const { model } = await readBody(c, modelBody);
    const serving = c.get("serving"), { models } = serving;
    if (act === "load") {
      serving.requireOpen();
      await models.load(model);
    } else await models[act](model);
    serving.log("model", { id: c.get("requestId"), act, model });
    return c.json(told(models.find(model), models));
  };
}

function told(info: ModelInfo, models: Models): unknown {
  const { id, created, state, uses, engine } = info;
  const aliases = Object.entries(models.aliases)
    .filter(([, of]) => of === id).map(([alias]) => alias);
  return {
    id,
    object: "model",
    created,
    owned_by: "quire",
    state,
    uses,
    aliases,
    ...engine === undefined ? {} : {
      context_length: engine.context,
      meta: {
        n_vocab: engine.spec.vocab,
        n_ctx_train: engine.spec.context,
        n_embd: engine.spec.hidden,
        architecture: engine.spec.architecture,
      },
    },
  };
}
