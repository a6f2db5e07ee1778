/**
 * Measures what a model's codecs want to know: the middle of K, and what each layer
 * loses in fewer bits.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";
import type { Engine } from "../engine/engine.ts";
import type { LoadOptions } from "../engine/options.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import type { Calibration, Losses } from "../plugins/kv/calibration.ts";
import { kvCache } from "../plugins/kv_cache.ts";
import { kvInt8 } from "../plugins/kv_int8.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { Divergence } from "./divergence.ts";
import { KeyRecorder } from "./key_recorder.ts";
import { type Chunk, cutChunks } from "./perplexity.ts";

/** What to measure. */
export interface CalibrateOptions {
  /** Loads the model. */
  readonly open: (options: LoadOptions) => Promise<Engine>;
  /** Text to measure on; not one that is judged by later. */
  readonly text: string;
  /**
   * Most tokens of it for the middle of K, in one run, so no more than the context.
   * Default 4096. Middles of a short run mislead behind its end: what turns slowly
   * seems to stand still in it.
   */
  readonly tokens?: number;
  /** Whether losses are measured, a run for K and one for V of each layer. Default true. */
  readonly losses?: boolean;
  /** Hears what is measured and how much of it is done. */
  readonly onProgress?: (what: string, done: number, total: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Most tokens in a chunk, and chunks that losses are measured on. */
const SIZE = 512, LOSS_CHUNKS = 2;

/** Tokens in a block of the run that records K. */
const BLOCK = 64;

/**
 * Records K as the model runs by default, and measures losses in exact precision.
 *
 * @throws {RangeError} for a text, or `tokens`, of less than one block of 64, or where
 * losses are measured, a text of less than one chunk: 512 tokens, or the context.
 */
export async function calibrate(
  options: CalibrateOptions,
): Promise<Calibration> {
  const { text, tokens = 4096, losses = true, onProgress, signal } = options;
  const recorder = new KeyRecorder((done) =>
    onProgress?.("middle of K", Math.min(done, ids.length), ids.length)
  );
  let ids: readonly number[] = [];
  let chunks: readonly Chunk[] = [], model = "", values: readonly number[] = [];
  let size = SIZE;
  {
    await using engine = await options.open({
      parallel: 1,
      plugins: [pagedAttention({ blockTokens: BLOCK }), recorder.plugin()],
    });
    const { tokenizer, plan, spec, context } = engine;
    model = plan.model.id;
    values = spec.layers.map((l) => l.kvHeads * l.headDim);
    size = Math.min(SIZE, context);
    // Found now, not after the first run.
    if (losses) chunks = cutChunks(tokenizer, text, size, LOSS_CHUNKS).chunks;
    ids = wholeBlocks(tokenizer, text, Math.min(tokens, context));
    await engine.eachLogits(ids, () => {}, { from: ids.length - 1, signal });
  }
  const made = {
    model,
    tokens: ids.length,
    centre: recorder.centres(values.length),
  };
  if (!losses) return made;
  return { ...made, losses: await measure(options, chunks, size, values) };
}

/** As many tokens of a text as fill blocks. */
function wholeBlocks(
  tokenizer: Pick<Tokenizer, "encode" | "addBos">,
  text: string,
  most: number,
): readonly number[] {
  const ids = tokenizer.encode(text, { bos: tokenizer.addBos });
  const length = Math.floor(Math.min(most, ids.length) / BLOCK) * BLOCK;
  if (length > 0) return ids.slice(0, length);
  throw new RangeError(
    `Cannot find the middle of K in ${
      Math.min(most, ids.length)
    } tokens: ${BLOCK} are wanted, and thousands are better`,
  );
}

async function measure(
  { open, onProgress, signal }: CalibrateOptions,
  chunks: readonly Chunk[],
  size: number,
  values: readonly number[],
): Promise<Losses> {
  const total = 2 + 2 * values.length;
  let done = 0;
  const loaded = (...plugins: Plugin[]): Promise<Engine> =>
    open({
      precision: "exact",
      context: size,
      parallel: 1,
      plugins: [pagedAttention(), ...plugins],
    });
  const rows: Float32Array[][] = [];
  {
    await using engine = await loaded();
    for (const { ids, from } of chunks) {
      const held: Float32Array[] = [];
      await engine.eachLogits(ids.slice(0, -1), (_, logits) => {
        held.push(logits.slice());
      }, { from, signal });
      rows.push(held);
    }
    onProgress?.("losses", ++done, total);
  }
  const lossOf = async (plugin: Plugin): Promise<number> => {
    await using engine = await loaded(plugin);
    const divergence = new Divergence();
    for (const [i, { ids, from }] of chunks.entries()) {
      await engine.eachLogits(ids.slice(0, -1), (position, logits) => {
        divergence.add(rows[i]![position - from]!, logits, ids[position + 1]!);
      }, { from, signal });
    }
    onProgress?.("losses", ++done, total);
    const { value } = divergence.report().kld.mean;
    if (Number.isFinite(value)) return Math.max(0, value);
    throw new RangeError(
      `Cannot measure losses with "${plugin.name}": logits of this model are no numbers on this text`,
    );
  };
  const int8 = await lossOf(kvInt8());
  const int4: { k: number; v: number }[] = [];
  for (let layer = 0; layer < values.length; layer++) {
    // The other side in f16 is next to nothing here, where open blocks are f32.
    const only = { layers: [layer] };
    const k = await lossOf(kvCache({ k: "int4", v: "f16", ...only }));
    const v = await lossOf(kvCache({ k: "f16", v: "int4", ...only }));
    int4.push({ k, v });
  }
  return { int4, int8, values };
}
