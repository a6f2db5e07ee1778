/**
 * An engine for a one-layer model, in milliseconds and without any fixture.
 *
 * @module
 */
import { createCache } from "../../core/cache.ts";
import { modelShape } from "../../core/model.ts";
import { compilePlan } from "../../core/plan.ts";
import { createScheduler } from "../../core/scheduler.ts";
import { modelSpec } from "../../models/arch/mod.ts";
import { openGguf } from "../../models/gguf.ts";
import { withFile } from "../../models/testing/files.ts";
import { type Changes, tinyLlama } from "../../models/testing/tiny_llama.ts";
import { createTokenizer } from "../../models/tokenizer.ts";
import { createWasm, type WasmBackend } from "../../wasm/backend.ts";
import { Adapters } from "../adapters.ts";
import { Engine } from "../engine.ts";
import { load } from "../load.ts";
import type { LoadOptions } from "../options.ts";
import { pluginsFor } from "../plugins.ts";

/** Loads the model as a user would; every step's books are checked. */
export function tinyEngine(
  options: LoadOptions = {},
  changes: Changes = {},
  shapes: Parameters<typeof tinyLlama>[1] = {},
): Promise<Engine> {
  return withFile(
    tinyLlama(changes, shapes),
    (path) => load(path, { threads: 2, check: true, ...options }),
  );
}

/** An engine put together by hand, so that its backend can be got at. */
export function openEngine(): Promise<{
  readonly engine: Engine;
  readonly backend: WasmBackend;
}> {
  return withFile(tinyLlama(), async (path) => {
    const file = await openGguf(path), spec = modelSpec(file);
    const { context } = spec;
    const backend = await createWasm({
      spec,
      context,
      paths: [path],
      threads: 2,
      bytes: 16 << 20,
    });
    const compiled = await compilePlan({
      model: modelShape(spec),
      backend,
      plugins: pluginsFor(spec, []),
    });
    const { plan } = compiled;
    backend.bind(plan.groups, context);
    const { capacity, used } = backend.memory.stat();
    const cache = createCache({
      plan,
      memory: backend.memory,
      budgetBytes: capacity - used,
      openBlocks: backend.openBlocks,
    });
    const { rows, seqs, wanted } = backend.limits;
    const scheduler = createScheduler({
      cache,
      maxRows: rows,
      maxSeqs: seqs,
      maxWanted: wanted,
      maxLength: context,
    });
    const engine = new Engine({
      model: path,
      spec,
      tokenizer: createTokenizer(file),
      adapters: new Adapters(),
      backend,
      compiled,
      plan,
      cache,
      scheduler,
      context,
      check: true,
    });
    return { engine, backend };
  });
}

/** All parts of a generation put together. */
export async function collect(
  parts: ReturnType<Engine["generate"]>,
): Promise<{ text: string; tokens: number[]; finish: string | undefined }> {
  const all = {
    text: "",
    tokens: [] as number[],
    finish: undefined as string | undefined,
  };
  for await (const part of parts) {
    all.text += part.text;
    all.tokens.push(...part.tokens);
    all.finish = part.finish;
  }
  return all;
}
