/**
 * A model's layers in words and in one line of signs.
 *
 * @module
 */
import type { LayerSpec, ModelSpec, RopeSpec } from "../../core/model.ts";

/** What a model computes, a phrase for each part. */
export function wordsOf(spec: ModelSpec): string[] {
  const { layers } = spec, of = layers[0]!;
  const some = (has: (l: LayerSpec) => unknown): boolean =>
    layers.some((l) => has(l) !== undefined);
  const heads = of.qHeads === of.kvHeads
    ? "every head has its own K and V"
    : of.kvHeads === 1
    ? `${of.qHeads} heads share one K and V (MQA)`
    : `${of.qHeads / of.kvHeads} heads share a K and V (GQA)`;
  const gate = of.activation === "silu" ? "SiLU" : "GELU";
  return [
    heads,
    ...some((l) => l.tensors.qBias) ? ["biases on Q, K and V"] : [],
    ...some((l) => l.tensors.qNorm) ? ["norms of Q and K"] : [],
    ...some((l) => l.attnCap) ? [`scores capped at ${of.attnCap}`] : [],
    some((l) => l.experts)
      ? `experts gated by ${gate}`
      : `MLP of ${of.mlp?.ffn} gated by ${gate}`,
    ...some((l) => l.tensors.postAttnNorm)
      ? ["norms before and after each half"]
      : [],
    ...spec.embeddingScale === 1 ? [] : ["scaled embeddings"],
    ...some((l) => l.residualScale) || spec.logitScale !== undefined
      ? ["scaled sums and logits"]
      : [],
    ...spec.logitCap === undefined ? [] : [`logits capped at ${spec.logitCap}`],
    spec.output === spec.embedding
      ? "embedding and output are one matrix"
      : "an output matrix of its own",
  ];
}

/** How positions turn, once for each way there is among the layers. */
export function ropesOf(layers: readonly LayerSpec[]): string[] {
  return [...new Set(layers.map((l) => ropeOf(l.rope, l.headDim)))];
}

function ropeOf(rope: RopeSpec, headDim: number): string {
  if (rope.dims === 0) return "nothing turns";
  const { base, divide, dims, factors, magnitude = 1, style } = rope;
  const pairs = style === "neighbours" ? "neighbours" : "halves";
  return [
    `base ${Number(base.toPrecision(6))}`,
    dims === headDim ? `${pairs} turn` : `${dims} of ${headDim} turn, ${pairs}`,
    ...divide === 1
      ? []
      : [`positions divided by ${Number(divide.toPrecision(6))}`],
    ...factors === undefined ? [] : [
      `frequencies divided one by one${
        typeof factors === "string" ? `, "${factors}"` : ""
      }`,
    ],
    ...magnitude === 1 ? [] : [`times ${Number(magnitude.toPrecision(4))}`],
    ...divide === 1 && factors === undefined ? ["no scaling"] : [],
  ].join(", ");
}

/** Signs of windows, the smallest first. */
const SIGNS = ["▁", "▂", "▃", "▄", "▅", "▆"];
/** A layer that sees everything. */
const FULL = "█";

/** A sign for each layer, and what the signs mean; null where no layer has a window. */
export function windowsOf(
  layers: readonly LayerSpec[],
): { readonly drawing: string; readonly legend: string } | null {
  const sizes = [...new Set(layers.map((l) => l.window))]
    .filter((w) => w !== undefined).sort((a, b) => a - b);
  if (sizes.length === 0) return null;
  const sign = (window: number | undefined): string =>
    window === undefined
      ? FULL
      : SIGNS[Math.min(sizes.indexOf(window), SIGNS.length - 1)]!;
  const drawing = layers.map((l) => sign(l.window)).join("");
  const meanings = sizes.map((w) => `${sign(w)} sees ${w}`);
  if (drawing.includes(FULL)) meanings.push(`${FULL} everything`);
  return { drawing, legend: meanings.join(", ") };
}
