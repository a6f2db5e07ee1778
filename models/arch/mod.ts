/**
 * From a file to a model as data.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import type {
  LayerSpec,
  MlpSpec,
  ModelSpec,
  RopeSpec,
} from "../../core/model.ts";
import type { GgufFile } from "../gguf.ts";
import type { Architecture } from "./architecture.ts";
import { gemma3 } from "./gemma3.ts";
import { llama } from "./llama.ts";
import { isArray, Metadata, show } from "./metadata.ts";
import { TensorChecker } from "./shapes.ts";

export type { Architecture, WindowPattern } from "./architecture.ts";

/** Architectures that can be run, by the name files use. */
export const ARCHITECTURES: ReadonlyMap<string, Architecture> = new Map(
  [llama, gemma3].map((architecture) => [architecture.name, architecture]),
);

const MAX_LAYERS = 1024;

/**
 * Describes the model in an opened file, every needed tensor's shape checked
 * against the metadata. `id` is the file's fingerprint, see `openGguf()`.
 *
 * @throws {ModelError} for an unknown architecture, a missing or impossible
 * key, a missing or wrongly shaped tensor, or a feature that is not supported.
 */
export function modelSpec(file: GgufFile): ModelSpec {
  const arch = architectureOf(file);
  const meta = new Metadata(file, arch.name);
  const tensors = new TensorChecker(file);
  for (const key of arch.refuses) {
    if (meta.isSet(key)) {
      meta.fail(
        `"${meta.key(key)}" is ${
          show(meta.get(key))
        }, which is not supported ` +
          `for the architecture "${arch.name}"; wanted it absent or 0`,
      );
    }
  }
  const count = meta.count("block_count");
  if (count > MAX_LAYERS) {
    meta.fail(
      `"${meta.key("block_count")}" is ${count}, wanted at most ${MAX_LAYERS}`,
    );
  }
  const hidden = meta.count("embedding_length");
  const vocab = vocabSize(file, meta, tensors, hidden);
  const embedding = "token_embd.weight", ownOutput = "output.weight";
  const spec: ModelSpec = {
    id: file.fingerprint,
    architecture: arch.name,
    vocab,
    hidden,
    context: meta.count("context_length"),
    normEps: meta.positive("attention.layer_norm_rms_epsilon"),
    embeddingScale: arch.scaledEmbedding ? Math.fround(Math.sqrt(hidden)) : 1,
    layers: layersOf(arch, meta, tensors, hidden, count),
    embedding,
    outputNorm: tensors.vector("output_norm.weight", hidden, "hidden"),
    output: tensors.has(ownOutput)
      ? tensors.matrix(ownOutput, hidden, vocab, "hidden × vocabulary")
      : embedding,
    tensors: file.tensors,
  };
  tensors.checkAllUsed(arch.name);
  return spec;
}

function architectureOf(file: GgufFile): Architecture {
  const known = [...ARCHITECTURES.keys()].join(", ");
  const name = file.metadata["general.architecture"];
  if (name === undefined) {
    throw new ModelError(
      file.path,
      `the required key "general.architecture" is missing; ` +
        `supported are ${known}`,
    );
  }
  const arch = typeof name === "string" ? ARCHITECTURES.get(name) : undefined;
  if (arch === undefined) {
    throw new ModelError(
      file.path,
      `the architecture ${show(name)} is not supported; wanted one of ${known}`,
    );
  }
  return arch;
}

/** Rows of the embedding; the tokenizer, where there is one, must agree. */
function vocabSize(
  file: GgufFile,
  meta: Metadata,
  tensors: TensorChecker,
  hidden: number,
): number {
  const name = "token_embd.weight";
  const rows = file.tensors.get(name)?.outputs;
  const tokens = file.vocabulary?.tokens.length;
  if (tokens !== undefined && rows !== undefined && tokens !== rows) {
    meta.fail(
      `the tokenizer has ${tokens} tokens, "${name}" has ${rows} rows, ` +
        `wanted as many`,
    );
  }
  const vocab = tokens ?? rows ?? meta.count("vocab_size");
  tensors.matrix(name, hidden, vocab, "hidden × vocabulary");
  return vocab;
}

function layersOf(
  arch: Architecture,
  meta: Metadata,
  tensors: TensorChecker,
  hidden: number,
  count: number,
): LayerSpec[] {
  const qHeads = meta.perLayer("attention.head_count", count);
  const kvHeads = meta.perLayer("attention.head_count_kv", count, qHeads);
  const ffn = meta.perLayer("feed_forward_length", count);
  const headDim = headDimOf(meta, hidden, qHeads[0]!);
  const full = ropeOf(arch, meta, tensors, headDim);
  const windows = windowsOf(arch, meta, count);
  return qHeads.map((q, layer): LayerSpec => {
    const kv = kvHeads[layer]!;
    if (q % kv !== 0) {
      meta.fail(
        `"${meta.key("attention.head_count")}" is ${q}, wanted a multiple of ` +
          `"${meta.key("attention.head_count_kv")}", which is ${kv}`,
      );
    }
    const window = windows[layer];
    const sizes = {
      layer,
      hidden,
      q: q * headDim,
      kv: kv * headDim,
      headDim,
      ffn: ffn[layer]!,
    };
    return {
      qHeads: q,
      kvHeads: kv,
      headDim,
      window,
      rope: window === undefined || arch.windows?.ropeBase === undefined
        ? full
        : {
          style: full.style,
          base: meta.positive("rope.freq_base_swa", arch.windows.ropeBase),
          divide: 1,
          dims: full.dims,
        },
      attnScale: meta.isSet("attention.scale")
        ? meta.positive("attention.scale")
        : 1 / Math.sqrt(count === arch.scaleByHiddenAt ? hidden / q : headDim),
      activation: arch.activation,
      tensors: layerTensors(arch, tensors, sizes),
      mlp: mlpOf(tensors, sizes),
    };
  });
}

/** Values per head: as the file says, or the hidden size shared out. */
function headDimOf(meta: Metadata, hidden: number, heads: number): number {
  const key = "attention.key_length";
  if (meta.get(key) === undefined && hidden % heads !== 0) {
    meta.fail(
      `"${meta.key("attention.head_count")}" is ${heads}, which does not ` +
        `divide "${meta.key("embedding_length")}" ${hidden}, and ` +
        `"${meta.key(key)}" is not given`,
    );
  }
  const headDim = meta.count(key, hidden / heads);
  const values = meta.count("attention.value_length", headDim);
  if (values !== headDim) {
    meta.fail(
      `"${meta.key("attention.value_length")}" is ${values}, wanted the ` +
        `keys' ${headDim}`,
    );
  }
  return headDim;
}

function ropeOf(
  arch: Architecture,
  meta: Metadata,
  tensors: TensorChecker,
  headDim: number,
): RopeSpec {
  const type = meta.get("rope.scaling.type") ?? "linear";
  if (type !== "linear" && type !== "none") {
    meta.fail(
      `"${meta.key("rope.scaling.type")}" is ${show(type)}, ` +
        `wanted "linear" or "none"`,
    );
  }
  const dims = meta.count("rope.dimension_count", headDim);
  if (
    dims % 2 !== 0 || dims > headDim || (!arch.partialRope && dims !== headDim)
  ) {
    meta.fail(
      `"${meta.key("rope.dimension_count")}" is ${dims}, wanted ` +
        (arch.partialRope ? "an even number up to " : "the even head size ") +
        headDim,
    );
  }
  const oldKey = "rope.scale_linear", newKey = "rope.scaling.factor";
  const key = meta.get(newKey) === undefined ? oldKey : newKey;
  const factors = "rope_freqs.weight";
  return {
    style: arch.ropeStyle,
    base: meta.positive("rope.freq_base", 10_000),
    divide: type === "linear" && meta.isSet(key) ? meta.positive(key) : 1,
    dims,
    ...(arch.ropeFactors && tensors.has(factors)
      ? {
        factors: tensors.vector(factors, dims / 2, "rope.dimension_count / 2"),
      }
      : {}),
  };
}

/** The window of each layer, undefined where it sees everything. */
function windowsOf(
  arch: Architecture,
  meta: Metadata,
  count: number,
): readonly (number | undefined)[] {
  const none = new Array<undefined>(count).fill(undefined);
  const key = "attention.sliding_window";
  if (arch.windows === undefined || !meta.isSet(key)) return none;
  const window = meta.count(key);
  const patternKey = "attention.sliding_window_pattern";
  const pattern = meta.get(patternKey) ?? arch.windows.period;
  if (pattern === undefined) return none.map(() => window);
  if (isArray(pattern)) {
    if (pattern.length !== count) {
      meta.fail(
        `"${meta.key(patternKey)}" has ${pattern.length} values, wanted one ` +
          `for each of ${count} layers`,
      );
    }
    return Array.from(pattern, (on) => {
      if (typeof on !== "string") return on ? window : undefined;
      return meta.fail(
        `"${
          meta.key(patternKey)
        }" has texts, wanted true or false for each layer`,
      );
    });
  }
  const period = meta.count(patternKey, arch.windows.period);
  return none.map((_, i) => i % period === period - 1 ? undefined : window);
}

interface LayerSizes {
  readonly layer: number;
  readonly hidden: number;
  /** Query and output values: heads times head size. */
  readonly q: number;
  readonly kv: number;
  readonly headDim: number;
  readonly ffn: number;
}

function layerTensors(
  arch: Architecture,
  tensors: TensorChecker,
  { layer, hidden, q, kv, headDim }: LayerSizes,
): LayerSpec["tensors"] {
  const name = (part: string) => `blk.${layer}.${part}.weight`;
  const norm = (part: string) => tensors.vector(name(part), hidden, "hidden");
  const headNorm = (part: string) =>
    tensors.vector(name(part), headDim, "head size");
  const matrix = (part: string, inputs: number, outputs: number, why: string) =>
    tensors.matrix(name(part), inputs, outputs, why);
  const kvWhy = "hidden × kv heads * head size";
  return {
    attnNorm: norm("attn_norm"),
    q: matrix("attn_q", hidden, q, "hidden × heads * head size"),
    k: matrix("attn_k", hidden, kv, kvWhy),
    v: matrix("attn_v", hidden, kv, kvWhy),
    attnOut: matrix("attn_output", q, hidden, "heads * head size × hidden"),
    ffnNorm: norm("ffn_norm"),
    ...(arch.qkNorm
      ? { qNorm: headNorm("attn_q_norm"), kNorm: headNorm("attn_k_norm") }
      : {}),
    ...(arch.postNorm
      ? {
        postAttnNorm: norm("post_attention_norm"),
        postFfnNorm: norm("post_ffw_norm"),
      }
      : {}),
  };
}

function mlpOf(
  tensors: TensorChecker,
  { layer, hidden, ffn }: LayerSizes,
): MlpSpec {
  const matrix = (part: string, inputs: number, outputs: number, why: string) =>
    tensors.matrix(`blk.${layer}.${part}.weight`, inputs, outputs, why);
  const wide = "hidden × feed-forward length";
  return {
    ffn,
    gate: matrix("ffn_gate", hidden, ffn, wide),
    up: matrix("ffn_up", hidden, ffn, wide),
    down: matrix("ffn_down", ffn, hidden, "feed-forward length × hidden"),
  };
}
