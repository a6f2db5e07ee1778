/**
 * What must hold of a model that was accepted: numbers that can be computed with,
 * tensors of the shapes its layers say, within the file's.
 *
 * @module
 */
import { type LayerSpec, mlpsOf, type ModelSpec } from "../../core/model.ts";
import type { ModelFile } from "../../models/model_file.ts";
import type { Tokenizer } from "../../models/tokenizer.ts";
import { claim } from "./target.ts";

/** Keys that every architecture reads. */
const READ: ReadonlySet<string> = new Set([
  ...["attention.sliding_window", "attention.scale", "rope.freq_base"],
  ...["rope.scaling.factor", "attention.layer_norm_rms_epsilon"],
]);

/** Throws a Finding for a model that no backend could run. */
export function checkSpec(spec: ModelSpec, file: ModelFile): void {
  const { hidden, vocab, context, normEps, embeddingScale, layers } = spec;
  const whole = { hidden, vocab, context, layers: layers.length };
  for (const [name, n] of Object.entries(whole)) {
    claim(Number.isSafeInteger(n) && n >= 1, `${name} is ${n}`);
  }
  const { logitCap = 1, logitScale = 1 } = spec;
  const above = { normEps, embeddingScale, logitCap, logitScale };
  for (const [name, n] of Object.entries(above)) positive(name, n);
  const prefix = spec.architecture;
  const said = (key: string): unknown => file.metadata[`${prefix}.${key}`];
  claim(said("embedding_length") === hidden, `hidden is ${hidden}`);
  claim(said("block_count") === layers.length, `${layers.length} layers`);
  claim(said("context_length") === context, `a context of ${context}`);
  const tokens = file.vocabulary?.tokens.length ?? vocab;
  claim(tokens === vocab, `${tokens} tokens, a vocabulary of ${vocab}`);
  for (const [key, value] of Object.entries(file.metadata)) {
    const read = READ.has(key.slice(prefix.length + 1)) &&
      key.startsWith(prefix);
    claim(!read || !Number.isNaN(value), `"${key}" is NaN`);
  }
  const tensor = shapes(spec, file);
  tensor(spec.embedding, hidden, vocab);
  tensor(spec.outputNorm, hidden, 1);
  tensor(spec.output, hidden, vocab);
  layers.forEach((layer, i) => {
    checkLayer(layer, hidden, tensor);
    each(said("attention.head_count"), i, layer.qHeads, "heads");
    each(
      said("attention.head_count_kv") ?? layer.kvHeads,
      i,
      layer.kvHeads,
      "kv heads",
    );
  });
}

type Shape = (
  name: string | undefined,
  inputs: number,
  outputs: number,
) => void;

function shapes(spec: ModelSpec, file: ModelFile): Shape {
  return (name, inputs, outputs) => {
    if (name === undefined) return;
    const t = spec.tensors.get(name);
    claim(t !== undefined, `${name} is not there`);
    claim(
      t.inputs === inputs && t.outputs === outputs && t.stack === 1,
      `${name} is ${t.inputs} × ${t.outputs} × ${t.stack}, not ${inputs} × ${outputs}`,
    );
    const { bytes } = file.files[t.file]!;
    claim(
      t.offset >= 0 && t.offset + t.bytes <= bytes,
      `${name} ends beyond the file`,
    );
    claim(Number.isFinite(t.plus ?? 0), `${name} plus ${t.plus}`);
  };
}

function checkLayer(layer: LayerSpec, hidden: number, tensor: Shape): void {
  const { qHeads, kvHeads, headDim, window, rope, tensors: t, experts } = layer;
  for (const n of [qHeads, kvHeads, headDim, window ?? 1]) {
    claim(Number.isSafeInteger(n) && n >= 1, `a size is ${n}`);
  }
  claim(qHeads % kvHeads === 0, `${qHeads} heads, ${kvHeads} of K and V`);
  claim(
    rope.dims % 2 === 0 && rope.dims <= headDim,
    `${rope.dims} values turn`,
  );
  claim(Number.isInteger(rope.dims) && rope.dims >= 0, `${rope.dims} turn`);
  positive("residualScale", layer.residualScale ?? 1);
  positive("base", rope.base);
  positive("divide", rope.divide);
  positive("magnitude", rope.magnitude ?? 1);
  positive("attnScale", layer.attnScale);
  positive("attnCap", layer.attnCap ?? 1);
  const q = qHeads * headDim, kv = kvHeads * headDim;
  tensor(t.attnNorm, hidden, 1);
  tensor(t.q, hidden, q);
  tensor(t.k, hidden, kv);
  tensor(t.v, hidden, kv);
  tensor(t.qBias, q, 1);
  tensor(t.kBias, kv, 1);
  tensor(t.vBias, kv, 1);
  tensor(t.qNorm, headDim, 1);
  tensor(t.kNorm, headDim, 1);
  tensor(t.attnOut, q, hidden);
  tensor(t.postAttnNorm, hidden, 1);
  tensor(t.ffnNorm, hidden, 1);
  tensor(t.postFfnNorm, hidden, 1);
  const { factors } = rope;
  if (typeof factors === "string") tensor(factors, rope.dims / 2, 1);
  else {
    claim(
      (factors?.length ?? rope.dims / 2) === rope.dims / 2,
      "other factors",
    );
    factors?.forEach((f) => positive("factor", f));
  }
  const mlps = mlpsOf(layer);
  claim(mlps.length > 0, "a layer without an MLP");
  for (const { ffn, gate, up, down } of mlps) {
    tensor(gate, hidden, ffn);
    tensor(up, hidden, ffn);
    tensor(down, ffn, hidden);
  }
  if (experts === undefined) return;
  if (experts.shared !== undefined) tensor(experts.shared.gate, hidden, 1);
  tensor(experts.router, hidden, experts.each.length);
  claim(
    experts.used >= 1 && experts.used <= experts.each.length,
    `${experts.used} of ${experts.each.length} experts`,
  );
}

function positive(name: string, n: number): void {
  claim(n > 0 && n < Infinity, `${name} is ${n}`);
}

/** A value for all layers, or one for each. */
function each(said: unknown, layer: number, is: number, what: string): void {
  const one = typeof said === "object" ? (said as number[])[layer] : said;
  claim(Number(one) === is, `${is} ${what}, the file says ${one}`);
}

/** Throws a Finding for a tokenizer with ids outside its vocabulary, or that loses text. */
export function checkTokenizer(tokenizer: Tokenizer, file: ModelFile): void {
  const { vocab, bos, eos, eog } = tokenizer;
  const said = (key: string): unknown => file.metadata[`tokenizer.${key}`];
  const flags = ["add_bos_token"];
  if (said("ggml.model") === "llama") flags.push("add_space_prefix");
  for (const value of flags.map((f) => said(`ggml.${f}`))) {
    claim(
      [undefined, true, false, 0, 1].includes(value as 0),
      "a flag is none",
    );
  }
  claim(said("chat_template") === tokenizer.chatTemplate, "another template");
  const pre = said("ggml.pre");
  claim(
    said("ggml.model") === "llama" || typeof (pre ?? "") === "string",
    "no text names words",
  );
  claim(vocab === file.vocabulary!.tokens.length, `${vocab} tokens`);
  for (const id of [bos, eos, ...eog]) {
    if (id === undefined) continue;
    claim(
      Number.isInteger(id) && id >= 0 && id < vocab,
      `token ${id} of ${vocab}`,
    );
  }
  for (const id of tokenizer.encode("a <s> é\n", { special: true })) {
    claim(Number.isInteger(id) && id >= 0 && id < vocab, `encoded as ${id}`);
  }
  for (const id of [0, vocab - 1]) tokenizer.decode([id]);
}
