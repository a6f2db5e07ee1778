/**
 * From a model's name to an engine.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import type { Adapter } from "../core/adapters.ts";
import type { Backend } from "../core/backend.ts";
import { createCache, type KVCache } from "../core/cache.ts";
import { modelShape, type ModelSpec } from "../core/model.ts";
import { compilePlan } from "../core/plan.ts";
import { createScheduler } from "../core/scheduler.ts";
import { Adapters } from "./adapters.ts";
import { offerBackend, tableStride } from "./backends.ts";
import { checkContext, contextOf } from "./context.ts";
import { Engine } from "./engine.ts";
import { checkLoadOptions } from "./load_options.ts";
import type { LoadOptions } from "./options.ts";
import { pluginsFor } from "./plugins.ts";
import { sweepRows } from "./sweep.ts";
import type { Tokenizer } from "../models/tokenizer.ts";

/**
 * Loads a model: the path of a GGUF file or of a folder of safetensors, a URL,
 * `hf:owner/repo/file.gguf`, `hf:owner/repo` (such a folder), or a name of the
 * catalogue (`smollm2`, `gemma3-270m`), which is downloaded the first time.
 *
 * ```ts ignore
 * await using engine = await load("smollm2");
 * for await (const part of engine.generate({
 *   messages: [{ role: "user", content: "Why is the sky blue?" }],
 * })) console.log(part.text);
 * ```
 *
 * @throws {ModelError} for a file that is broken or of an unknown kind, or an adapter
 * that is none of this model.
 * @throws {RangeError} where the budget is too small, with the numbers.
 * @throws {PlanError} for plugins that contradict each other, with every conflict.
 */
export async function load(
  model: string | URL,
  options: LoadOptions = {},
): Promise<Engine> {
  const { signal, onProgress } = options;
  checkLoadOptions(options);
  signal?.throwIfAborted();
  const [
    { pull },
    { openModel },
    { modelSpec },
    { createTokenizer },
    { quantisedSpec },
  ] = await Promise.all([
    import("../models/pull.ts"),
    import("../models/open_model.ts"),
    import("../models/arch/mod.ts"),
    import("../models/tokenizer.ts"),
    import("../models/quantise_at_load.ts"),
  ]);
  const path = await pull(model, {
    signal,
    onProgress: (p) =>
      onProgress?.({
        stage: "pull",
        what: `${p.file} (${p.stage})`,
        done: p.received,
        total: p.total,
      }),
  });
  const file = await openModel(path, { signal });
  const context = contextOf(modelSpec(file), options);
  const spec = quantisedSpec(modelSpec(file, context), options.quantize);
  const loaded = await adaptersOf(spec, options);
  const adapters = new Adapters(loaded, options.use);
  const offer = await offerBackend(file, spec, context, options, loaded);
  const compiled = await compilePlan({
    model: modelShape(spec),
    backend: offer.formats,
    plugins: pluginsFor(spec, options.plugins),
    ...(offer.weights === undefined ? {} : { weights: offer.weights }),
  });
  const { plan } = compiled;
  let tokenizer: Tokenizer | undefined;
  let backend: Backend | undefined;
  try {
    checkContext(plan.groups, spec.context, context);
    backend = await offer.create(plan.weights, () => {
      tokenizer = createTokenizer(file);
    });
    backend.bind(
      plan.groups,
      tableStride(plan.groups, context),
      plan.tiers.some((t) => t.slice !== undefined),
      plan.restore?.boundaries,
    );
    const { capacity, used } = backend.memory.stat();
    const cache = createCache({
      plan,
      memory: backend.memory,
      budgetBytes: capacity - used,
      openBlocks: backend.openBlocks,
      segmentTokens: backend.batch.stream?.segmentTokens,
    });
    checkRoom(cache, backend);
    const { rows, seqs, wanted } = backend.limits;
    const scheduler = createScheduler({
      cache,
      maxRows: rows,
      maxSeqs: seqs,
      maxWanted: wanted,
      sweepRows: plan.restore?.boundaries.length
        ? undefined
        : sweepRows(backend),
      maxLength: context,
      vocab: spec.vocab,
    });
    signal?.throwIfAborted();
    return new Engine({
      model: path,
      spec,
      tokenizer: tokenizer ?? createTokenizer(file),
      adapters,
      backend,
      compiled,
      plan,
      cache,
      scheduler,
      context,
      check: options.check ?? false,
    });
  } catch (error) {
    try {
      await backend?.[Symbol.asyncDispose]();
    } finally {
      await compiled.close();
    }
    throw error;
  }
}

/** Opens what `options` name. */
async function adaptersOf(
  spec: ModelSpec,
  { adapters = {}, signal }: LoadOptions,
): Promise<readonly Adapter[]> {
  const paths = Object.entries(adapters).map(([name, path]) =>
    [name, path instanceof URL ? fileURLToPath(path) : path] as const
  );
  if (paths.length === 0) return [];
  const { openAdapters } = await import("../models/lora/mod.ts");
  return await openAdapters(Object.fromEntries(paths), spec, signal);
}

/** Throws a RangeError where no request could run. */
function checkRoom(cache: KVCache, { memory }: Backend): void {
  const wanted = cache.peakBytes(1, 1), { capacity } = memory.stat();
  if (wanted <= cache.budgetBytes) return;
  throw new RangeError(
    `Cannot load with a "budget" of ${capacity} bytes: the model and its workspace leave ${cache.budgetBytes}, ` +
      `the K/V of one token take ${wanted}; raise it, or lower "chunk"`,
  );
}
