/**
 * From a file to a model as data.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import type { LayerSpec, MlpSpec, ModelSpec } from "../../core/model.ts";
import type { ModelFile } from "../model_file.ts";
import type { Architecture } from "./architecture.ts";
import { expertCounts, expertsOf } from "./experts.ts";
import { gemma, gemma2 } from "./gemma2.ts";
import { gemma3 } from "./gemma3.ts";
import { llama } from "./llama.ts";
import { isArray, Metadata, show } from "./metadata.ts";
import { phi3 } from "./phi3.ts";
import * as plain from "./plain.ts";
import { qwen2, qwen2moe, qwen3, qwen3moe } from "./qwen.ts";
import { ropeOf } from "./rope.ts";
import { TensorChecker } from "./shapes.ts";

export type { Architecture, WindowPattern } from "./architecture.ts";

/** Architectures that can be run, by the name files use. */
export const ARCHITECTURES: ReadonlyMap<string, Architecture> = new Map(
  [
    llama,
    qwen2,
    qwen2moe,
    qwen3,
    qwen3moe,
    gemma,
    gemma2,
    gemma3,
    phi3,
    ...Object.values(plain),
  ]
    .map((architecture) => [architecture.name, architecture]),
);

const MAX_LAYERS = 1024;
/** Values of a head: far beyond any model's. */
const MAX_HEAD = 65_536;

/**
 * Describes the model in an opened file, every needed tensor's shape checked
 * against the metadata. `id` is the file's fingerprint, see `openGguf()`, and says
 * which factors turn heads where `context` decides.
 *
 * @param context Most positions that a sequence will have. Default: the most that the
 * model was trained for.
 * @throws {ModelError} for an unknown architecture, a missing or impossible
 * key, a missing or wrongly shaped tensor, or a feature that is not supported.
 */
export function modelSpec(file: ModelFile, context?: number): ModelSpec {
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
  const trained = meta.count("context_length");
  const layers = layersOf(arch, meta, tensors, {
    hidden,
    count,
    context: context ?? trained,
  });
  const output = tensors.has(ownOutput)
    ? tensors.matrix(ownOutput, hidden, vocab, "hidden × vocabulary")
    : embedding;
  const spec: ModelSpec = {
    id: idOf(file, layers),
    architecture: arch.name,
    vocab,
    hidden,
    context: trained,
    normEps: meta.positive("attention.layer_norm_rms_epsilon"),
    embeddingScale: arch.scaledEmbedding
      ? Math.fround(Math.sqrt(hidden))
      : scale(arch, meta, "embedding_scale"),
    ...logitsOf(arch, meta),
    layers,
    embedding,
    outputNorm: tensors.vector("output_norm.weight", hidden, "hidden"),
    output,
    tensors: tensors.all(),
  };
  tensors.checkAllUsed(arch.name);
  return spec;
}

/** Of a model whose context chooses among factors, its K and V depend on that too. */
function idOf(
  { fingerprint, rope }: ModelFile,
  layers: readonly LayerSpec[],
): string {
  const { factors } = layers[0]!.rope;
  if (typeof factors === "string") {
    return factors.startsWith("rope_fac")
      ? `${fingerprint}:${factors}`
      : fingerprint;
  }
  const long = rope?.long?.factors;
  if (long === undefined) return fingerprint;
  return `${fingerprint}:${factors === long ? "long" : "short"}`;
}

function architectureOf(file: ModelFile): Architecture {
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
  file: ModelFile,
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

/** A multiplier, where the architecture has them and the file sets it. */
function scale(arch: Architecture, meta: Metadata, key: string): number {
  return arch.scales === true && meta.isSet(key) ? meta.positive(key) : 1;
}

/** A soft cap as a field; none where it is set to 0. */
function capOf<Name extends string>(
  meta: Metadata,
  name: Name,
  key: string,
  absent: number | undefined,
): { readonly [N in Name]?: number } {
  if (absent === undefined || meta.get(key) === 0) return {};
  return { [name]: meta.positive(key, absent) } as { [N in Name]: number };
}

function logitsOf(
  arch: Architecture,
  meta: Metadata,
): Pick<ModelSpec, "logitCap" | "logitScale"> {
  const divisor = scale(arch, meta, "logit_scale");
  return {
    ...(divisor === 1 ? {} : { logitScale: 1 / divisor }),
    ...capOf(meta, "logitCap", "final_logit_softcapping", arch.caps?.logits),
  };
}

function layersOf(
  arch: Architecture,
  meta: Metadata,
  tensors: TensorChecker,
  { hidden, count, context }: {
    readonly hidden: number;
    readonly count: number;
    readonly context: number;
  },
): LayerSpec[] {
  const qHeads = meta.perLayer("attention.head_count", count);
  const kvHeads = meta.perLayer("attention.head_count_kv", count, qHeads);
  const experts = expertCounts(arch, meta);
  const ffn = experts === undefined
    ? meta.perLayer("feed_forward_length", count)
    : [];
  const headDim = headDimOf(meta, hidden, qHeads[0]!);
  const full = ropeOf(arch, meta, tensors, { headDim, context });
  const residualScale = scale(arch, meta, "residual_scale");
  const shared = {
    activation: arch.activation,
    ...(residualScale === 1 ? {} : { residualScale }),
    ...capOf(meta, "attnCap", "attn_logit_softcapping", arch.caps?.attention),
  };
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
      ffn: ffn[layer] ?? 0,
    };
    return {
      qHeads: q,
      kvHeads: kv,
      headDim,
      window,
      rope: (layer + 1) % (arch.stillEvery ?? Infinity) === 0
        ? { style: full.style, base: full.base, divide: 1, dims: 0 }
        : window === undefined || arch.windows?.ropeBase === undefined
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
      ...shared,
      tensors: layerTensors(arch, tensors, sizes),
      ...(experts === undefined
        ? { mlp: mlpOf(arch, tensors, sizes) }
        : { experts: expertsOf(arch, tensors, layer, hidden, experts) }),
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
  // Factors are worked out for every value before matrices are looked at.
  if (headDim > MAX_HEAD) {
    meta.fail(
      `heads have ${headDim} values by "${meta.key(key)}" or ` +
        `"${meta.key("embedding_length")}", wanted at most ${MAX_HEAD}`,
    );
  }
  const values = meta.count("attention.value_length", headDim);
  if (values !== headDim) {
    meta.fail(
      `"${meta.key("attention.value_length")}" is ${values}, wanted the ` +
        `keys' ${headDim}`,
    );
  }
  return headDim;
}

/** The window of each layer, undefined where it sees everything. */
function windowsOf(
  arch: Architecture,
  meta: Metadata,
  count: number,
): readonly (number | undefined)[] {
  const none = new Array<undefined>(count).fill(undefined);
  const key = "attention.sliding_window";
  if (arch.windows === undefined) return none;
  const { assumed } = arch.windows;
  // A file that sets it to 0 wants none.
  if (!meta.isSet(key) && (assumed === undefined || meta.get(key) === 0)) {
    return none;
  }
  const window = meta.count(key, assumed);
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
  const bias = (part: string, width: number, why: string) =>
    tensors.vector(`blk.${layer}.${part}.bias`, width, why);
  const { biases = false } = arch;
  const biased = biases === true ||
    biases && tensors.has(`blk.${layer}.attn_q.bias`);
  const qWhy = "heads * head size", kvWhy = "kv heads * head size";
  const fused = name("attn_qkv"),
    together = arch.fused?.includes("qkv") &&
      tensors.has(fused);
  const [qkvQ, qkvK, qkvV] = together
    ? tensors.parts(
      fused,
      hidden,
      [q, kv, kv],
      "hidden × queries, keys, values",
    )
    : [];
  return {
    attnNorm: norm("attn_norm"),
    q: qkvQ ?? matrix("attn_q", hidden, q, `hidden × ${qWhy}`),
    k: qkvK ?? matrix("attn_k", hidden, kv, `hidden × ${kvWhy}`),
    v: qkvV ?? matrix("attn_v", hidden, kv, `hidden × ${kvWhy}`),
    ...(biased
      ? {
        qBias: bias("attn_q", q, qWhy),
        kBias: bias("attn_k", kv, kvWhy),
        vBias: bias("attn_v", kv, kvWhy),
      }
      : {}),
    attnOut: matrix("attn_output", q, hidden, `${qWhy} × hidden`),
    ffnNorm: norm(arch.ffnNorm ?? "ffn_norm"),
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
  arch: Architecture,
  tensors: TensorChecker,
  { layer, hidden, ffn }: LayerSizes,
): MlpSpec {
  const name = (part: string) => `blk.${layer}.${part}.weight`;
  const matrix = (part: string, inputs: number, outputs: number, why: string) =>
    tensors.matrix(name(part), inputs, outputs, why);
  const wide = "hidden × feed-forward length";
  const together = arch.fused?.includes("up") && !tensors.has(name("ffn_gate"));
  const [gate, up] = together
    ? tensors.parts(name("ffn_up"), hidden, [ffn, ffn], `${wide}, twice`)
    : [];
  return {
    ffn,
    gate: gate ?? matrix("ffn_gate", hidden, ffn, wide),
    up: up ?? matrix("ffn_up", hidden, ffn, wide),
    down: matrix("ffn_down", ffn, hidden, "feed-forward length × hidden"),
  };
}
