/**
 * Measures what a model's codecs want to know: the middle of K, and what each layer
 * loses in fewer bits.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";
import type { Engine } from "../engine/engine.ts";
import type { LoadOptions } from "../engine/options.ts";
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
  /** Tokens of it for the middle of K. Default 4096, or what the text has. */
  readonly tokens?: number;
  /** Whether losses are measured, a run for K and one for V of each layer. Default true. */
  readonly losses?: boolean;
  /** Hears how many runs are done. */
  readonly onRun?: (done: number, total: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Tokens in a chunk, and chunks that losses are measured on. */
const SIZE = 512, LOSS_CHUNKS = 2;

/**
 * Runs the text in exact precision.
 *
 * @throws {RangeError} for a text of less than one chunk of 512 tokens.
 */
export async function calibrate(
  options: CalibrateOptions,
): Promise<Calibration> {
  const { text, tokens = 4096, losses = true, onRun, signal } = options;
  const recorder = new KeyRecorder();
  let cut: readonly Chunk[] = [], model = "", layers = 0;
  {
    // One block a step: nothing is rounded, whatever its size.
    const layout = pagedAttention({ blockTokens: 64 });
    await using engine = await open(options, [layout, recorder.plugin()]);
    model = engine.plan.model.id;
    layers = engine.spec.layers.length;
    const most = Math.max(1, Math.ceil(tokens / SIZE));
    cut = cutChunks(engine.tokenizer, text, SIZE, most).chunks;
    const runs = cut.length + (losses ? 2 + 2 * layers : 0);
    for (const [i, { ids }] of cut.entries()) {
      const last = ids.length - 1;
      await engine.eachLogits(ids, () => {}, { from: last, signal });
      onRun?.(i + 1, runs);
    }
  }
  const made = {
    model,
    tokens: cut.length * SIZE,
    centre: recorder.centres(layers),
  };
  if (!losses) return made;
  const total = cut.length + 2 + 2 * layers;
  let done = cut.length;
  return {
    ...made,
    losses: await measure(
      options,
      cut.slice(0, LOSS_CHUNKS),
      layers,
      () => onRun?.(++done, total),
    ),
  };
}

async function measure(
  options: CalibrateOptions,
  chunks: readonly Chunk[],
  layers: number,
  onRun: () => void,
): Promise<Losses> {
  const { signal } = options;
  const rows: Float32Array[][] = [];
  {
    await using engine = await open(options, [pagedAttention()]);
    for (const { ids, from } of chunks) {
      const held: Float32Array[] = [];
      await engine.eachLogits(ids.slice(0, -1), (_, logits) => {
        held.push(logits.slice());
      }, { from, signal });
      rows.push(held);
    }
    onRun();
  }
  const lossOf = async (plugin: Plugin): Promise<number> => {
    await using engine = await open(options, [pagedAttention(), plugin]);
    const divergence = new Divergence();
    for (const [i, { ids, from }] of chunks.entries()) {
      await engine.eachLogits(ids.slice(0, -1), (position, logits) => {
        divergence.add(rows[i]![position - from]!, logits, ids[position + 1]!);
      }, { from, signal });
    }
    onRun();
    return Math.max(0, divergence.report().kld.mean.value);
  };
  const int8 = await lossOf(kvInt8());
  const int4: { k: number; v: number }[] = [];
  for (let layer = 0; layer < layers; layer++) {
    // The other side in f16 is next to nothing here, where open blocks are f32.
    const only = { layers: [layer] };
    const k = await lossOf(kvCache({ k: "int4", v: "f16", ...only }));
    const v = await lossOf(kvCache({ k: "f16", v: "int4", ...only }));
    int4.push({ k, v });
  }
  return { int4, int8 };
}

function open(
  { open }: CalibrateOptions,
  plugins: readonly Plugin[],
): Promise<Engine> {
  return open({ precision: "exact", context: SIZE, parallel: 1, plugins });
}
