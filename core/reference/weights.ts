/**
 * The tensors a model uses, and the values a tensor has to hold.
 *
 * @module
 */
import { type LayerSpec, mlpsOf, type ModelSpec } from "../model.ts";

/** A tensor as the forward pass wants it. */
export interface WantedTensor {
  readonly name: string;
  /** Who uses it: "embedding", "layer 3", "output". */
  readonly component: string;
  readonly inputs: number;
  readonly outputs: number;
}

/** Every tensor the forward pass reads, each once, in the order it reads them. */
export function wantedTensors(spec: ModelSpec): WantedTensor[] {
  const found = new Map<string, WantedTensor>();
  const want = (
    component: string,
    name: string | undefined,
    inputs: number,
    outputs = 1,
  ): void => {
    if (name === undefined || found.has(name)) return;
    found.set(name, { name, component, inputs, outputs });
  };
  want("embedding", spec.embedding, spec.hidden, spec.vocab);
  spec.layers.forEach((layer, i) => wantLayer(spec.hidden, layer, i, want));
  want("output", spec.outputNorm, spec.hidden);
  want("output", spec.output, spec.hidden, spec.vocab);
  return [...found.values()];
}

function wantLayer(
  hidden: number,
  layer: LayerSpec,
  index: number,
  want: (
    component: string,
    name: string | undefined,
    inputs: number,
    outputs?: number,
  ) => void,
): void {
  const { tensors: t, rope, qHeads, kvHeads, headDim } = layer;
  const at = `layer ${index}`;
  want(at, t.attnNorm, hidden);
  want(at, t.q, hidden, qHeads * headDim);
  want(at, t.k, hidden, kvHeads * headDim);
  want(at, t.v, hidden, kvHeads * headDim);
  want(at, t.qBias, qHeads * headDim);
  want(at, t.kBias, kvHeads * headDim);
  want(at, t.vBias, kvHeads * headDim);
  want(at, t.qNorm, headDim);
  want(at, t.kNorm, headDim);
  if (typeof rope.factors === "string") want(at, rope.factors, rope.dims / 2);
  want(at, t.attnOut, qHeads * headDim, hidden);
  want(at, t.postAttnNorm, hidden);
  want(at, t.ffnNorm, hidden);
  const { router, each, shared } = layer.experts ?? {};
  want(at, router, hidden, each?.length);
  want(at, shared?.gate, hidden);
  for (const { ffn, gate, up, down } of mlpsOf(layer)) {
    want(at, gate, hidden, ffn);
    want(at, up, hidden, ffn);
    want(at, down, ffn, hidden);
  }
  want(at, t.postFfnNorm, hidden);
}

/**
 * Throws a TypeError that names the first tensor the model lacks or has in
 * another shape than its layers say.
 */
export function checkTensors(spec: ModelSpec): void {
  for (const { name, component, inputs, outputs } of wantedTensors(spec)) {
    const has = spec.tensors.get(name);
    if (has?.inputs === inputs && has.outputs === outputs && has.stack === 1) {
      continue;
    }
    throw new TypeError(
      `Cannot run model "${spec.id}": ${component} wants tensor "${name}" of ${outputs} rows of ${inputs}, the model has ${
        has === undefined
          ? "none"
          : `${has.outputs} rows of ${has.inputs}, ${has.stack} of them`
      }; check the architecture's record`,
    );
  }
}
