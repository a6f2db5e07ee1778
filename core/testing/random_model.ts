/**
 * Models of any small shape with random weights, for tests of backends.
 *
 * @module
 */
import type {
  ExpertsSpec,
  LayerSpec,
  MlpSpec,
  ModelSpec,
  TensorInfo,
} from "../model.ts";

/** A layer, `ffn` wide; 0 for no MLP beside its experts. */
export type RandomLayer =
  & Partial<Omit<LayerSpec, "tensors" | "mlp" | "experts">>
  & { readonly ffn?: number; readonly experts?: RandomExperts };

/** A layer's experts. */
export interface RandomExperts
  extends Partial<Pick<ExpertsSpec, "normalised">> {
  readonly count: number;
  readonly used: number;
  /** Width of each; of a shared one, which there is where this is said. */
  readonly ffn?: number;
  readonly shared?: number;
}

/** What to vary; the rest has defaults. */
export interface RandomModelOptions {
  readonly seed?: number;
  readonly vocab?: number;
  readonly hidden?: number;
  /** One entry a layer. Tensor names are made up here. */
  readonly layers?: readonly RandomLayer[];
  /** Norms of queries and keys and after each half, as Gemma 3 has. */
  readonly norms?: boolean;
  /** Biases of queries, keys and values. */
  readonly biases?: boolean;
  readonly tied?: boolean;
  readonly embeddingScale?: number;
  readonly logitScale?: number;
  readonly logitCap?: number;
}

/** A model and the values of its tensors. */
export interface RandomModel {
  readonly spec: ModelSpec;
  readonly read: (name: string) => Promise<Float32Array>;
}

/** A sequence of numbers from 0 to 1 that depends on the seed alone. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // A counter through a mixing function (the constants are odd primes).
    state = (state + 0x9e3779b1) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), 0x85ebca77);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae3d);
    return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
  };
}

/** Makes a model whose attention and logits are well spread. */
export function randomModel(options: RandomModelOptions = {}): RandomModel {
  const { vocab = 50, hidden = 32, seed = 1 } = options;
  const { norms = false, biases = false, logitScale, logitCap } = options;
  const tensors = new Map<string, TensorInfo>();
  const add = (name: string, inputs: number, outputs = 1): string => {
    const offset = tensors.size;
    const bytes = inputs * outputs * 4;
    const place = { stack: 1, file: 0, offset, bytes };
    tensors.set(name, { name, type: "F32", inputs, outputs, ...place });
    return name;
  };
  const addMlp = (name: string, ffn: number): MlpSpec => ({
    ffn,
    gate: add(`${name}.gate`, hidden, ffn),
    up: add(`${name}.up`, hidden, ffn),
    down: add(`${name}.down`, ffn, hidden),
  });
  const addExperts = (
    i: number,
    { count, used, normalised = true, ffn = 24, shared }: RandomExperts,
  ): ExpertsSpec => ({
    router: add(`${i}.router`, hidden, count),
    used,
    normalised,
    each: Array.from({ length: count }, (_, e) => addMlp(`${i}.${e}`, ffn)),
    ...(shared !== undefined && {
      shared: {
        mlp: addMlp(`${i}.shared`, shared),
        gate: add(`${i}.sharedGate`, hidden),
      },
    }),
  });
  const embedding = add("embedding", hidden, vocab);
  const layers = (options.layers ?? [{}, {}]).map((wanted, i): LayerSpec => {
    const { ffn = 24, experts, ...own } = wanted;
    const { qHeads = 2, kvHeads = 1, headDim = 16 } = own;
    return {
      window: undefined,
      rope: { style: "halves", base: 1000, divide: 1, dims: headDim },
      attnScale: headDim ** -0.5,
      activation: "silu",
      ...own,
      qHeads,
      kvHeads,
      headDim,
      tensors: {
        attnNorm: add(`${i}.attnNorm`, hidden),
        q: add(`${i}.q`, hidden, qHeads * headDim),
        k: add(`${i}.k`, hidden, kvHeads * headDim),
        v: add(`${i}.v`, hidden, kvHeads * headDim),
        attnOut: add(`${i}.attnOut`, qHeads * headDim, hidden),
        ffnNorm: add(`${i}.ffnNorm`, hidden),
        ...(norms && {
          qNorm: add(`${i}.qNorm`, headDim),
          kNorm: add(`${i}.kNorm`, headDim),
          postAttnNorm: add(`${i}.postAttnNorm`, hidden),
          postFfnNorm: add(`${i}.postFfnNorm`, hidden),
        }),
        ...(biases && {
          qBias: add(`${i}.qBias`, qHeads * headDim),
          kBias: add(`${i}.kBias`, kvHeads * headDim),
          vBias: add(`${i}.vBias`, kvHeads * headDim),
        }),
      },
      ...(ffn > 0 && { mlp: addMlp(`${i}`, ffn) }),
      ...(experts && { experts: addExperts(i, experts) }),
    };
  });
  const outputNorm = add("outputNorm", hidden);
  const output = options.tied ? embedding : add("output", hidden, vocab);
  const spec: ModelSpec = {
    id: `random-${seed}`,
    architecture: "random",
    vocab,
    hidden,
    context: 4096,
    normEps: 1e-5,
    embeddingScale: options.embeddingScale ?? 1,
    ...(logitScale !== undefined && { logitScale }),
    ...(logitCap !== undefined && { logitCap }),
    layers,
    embedding,
    outputNorm,
    output,
    tensors,
  };
  return { spec, read: (name) => Promise.resolve(values(spec, seed, name)) };
}

function values(spec: ModelSpec, seed: number, name: string): Float32Array {
  const info = spec.tensors.get(name);
  if (info === undefined) throw new TypeError(`Cannot read tensor "${name}"`);
  const next = random(seed * 1000 + info.offset);
  // Norm weights stand around 1, biases around 0; a matrix keeps the size of what it
  // multiplies.
  const bias = name.endsWith("Bias"), vector = info.outputs === 1;
  const size = bias ? 1 : vector ? 0.3 : 3.5 / Math.sqrt(info.inputs);
  return Float32Array.from(
    { length: info.inputs * info.outputs },
    () => (vector && !bias ? 1 : 0) + (next() * 2 - 1) * size,
  );
}
