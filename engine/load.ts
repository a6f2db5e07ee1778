/**
 * From a model's name to an engine.
 *
 * @module
 */
import type { Backend } from "../core/backend.ts";
import { createCache, type KVCache } from "../core/cache.ts";
import { modelShape, type ModelSpec } from "../core/model.ts";
import { compilePlan } from "../core/plan.ts";
import { createScheduler } from "../core/scheduler.ts";
import { checkContext, contextOf } from "./context.ts";
import { Engine } from "./engine.ts";
import { checkLoadOptions, defaultThreads } from "./load_options.ts";
import { type LoadOptions, parseBytes } from "./options.ts";
import { pluginsFor } from "./plugins.ts";
import type { GgufFile } from "../models/gguf.ts";
import type { Tokenizer } from "../models/tokenizer.ts";

/** Most bytes of rank-0 memory: what 32-bit addresses reach. */
const MOST_BYTES = 2 ** 32 - 65536;

/**
 * Loads a model: a file's path, a URL, `hf:owner/repo/file.gguf`, or a name of
 * the catalogue (`smollm2`, `gemma3-270m`), which is downloaded the first time.
 *
 * ```ts ignore
 * await using engine = await load("smollm2");
 * for await (const part of engine.generate({
 *   messages: [{ role: "user", content: "Why is the sky blue?" }],
 * })) console.log(part.text);
 * ```
 *
 * @throws {ModelError} for a file that is broken or of an unknown kind.
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
  const [{ pull }, { openGguf }, { modelSpec }, { createTokenizer }] =
    await Promise.all([
      import("../models/pull.ts"),
      import("../models/gguf.ts"),
      import("../models/arch/mod.ts"),
      import("../models/tokenizer.ts"),
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
  const file = await openGguf(path, { signal });
  const spec = modelSpec(file);
  const context = contextOf(spec, options);
  let tokenizer: Tokenizer | undefined;
  const backend = await createBackend(file, spec, context, options, () => {
    tokenizer = createTokenizer(file);
  });
  let close = (): Promise<void> => Promise.resolve();
  try {
    const compiled = await compilePlan({
      model: modelShape(spec),
      backend,
      plugins: pluginsFor(spec, options.plugins),
    });
    close = compiled.close;
    const { plan } = compiled;
    checkContext(plan.groups, spec.context, context);
    const blockTokens = Math.min(...plan.groups.map((g) => g.shape.tokens));
    backend.bind(
      plan.groups,
      Math.ceil(context / blockTokens) + 1,
      plan.tiers.some((t) => t.slice !== undefined),
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
      maxLength: context,
      vocab: spec.vocab,
    });
    signal?.throwIfAborted();
    return new Engine({
      model: path,
      spec,
      tokenizer: tokenizer ?? createTokenizer(file),
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
      await backend[Symbol.asyncDispose]();
    } finally {
      await close();
    }
    throw error;
  }
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

/** `whileLoading` runs while workers read the weights. */
async function createBackend(
  file: GgufFile,
  spec: ModelSpec,
  context: number,
  options: LoadOptions,
  whileLoading: () => void,
): Promise<Backend> {
  const { signal, onProgress, chunk = 256, parallel = 32 } = options;
  const bytes = options.budget === undefined
    ? MOST_BYTES
    : Math.min(MOST_BYTES, parseBytes(options.budget));
  const limits = {
    rows: chunk,
    seqs: Math.min(chunk, parallel),
    wanted: Math.min(chunk, Math.max(64, parallel)),
  };
  if (options.backend === "reference") {
    const [{ createReference }, { readTensor }] = await Promise.all([
      import("../core/reference/backend.ts"),
      import("../models/weights.ts"),
    ]);
    return createReference({
      spec,
      read: (name) => readTensor(file, name),
      limits: { ...limits, bytes, top: 128 },
    });
  }
  const { createWasm } = await import("../wasm/backend.ts");
  const what = file.path.slice(file.path.lastIndexOf("/") + 1);
  return await createWasm({
    spec,
    paths: file.files.map((f) => f.path),
    threads: options.threads ?? defaultThreads(),
    context,
    bytes,
    ...limits,
    exact: options.precision === "exact",
    build: options.build,
    onStarted: whileLoading,
    onProgress: (done, total) =>
      onProgress?.({ stage: "load", what, done, total }),
    signal,
  });
}
