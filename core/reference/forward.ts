/**
 * One pass through the transformer, operation by operation.
 *
 * @module
 */
import type { StepBatch } from "../backend.ts";
import {
  type LayerSpec,
  mlpsOf,
  type MlpSpec,
  type ModelSpec,
} from "../model.ts";
import type { ReferenceAdapters } from "./adapters.ts";
import { append, attend, type LayerBlocks } from "./attention.ts";
import { embed } from "./embed.ts";
import { expertsOf } from "./experts.ts";
import { gate } from "./gate.ts";
import type { Holdings } from "./holdings.ts";
import { matmul } from "./matmul.ts";
import { softCap } from "./soft_cap.ts";
import type { LayerPlace } from "./places.ts";
import { addBias, residual } from "./residual.ts";
import { rmsNorm } from "./rms_norm.ts";
import { rope } from "./rope.ts";

/** Room for the intermediate rows of the largest step. */
export interface Activations {
  /** The running sum, hidden values a row. */
  readonly x: Float32Array;
  /** Its norm, and what a projection gives back. */
  readonly y: Float32Array;
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
  /** What attention gives, as wide as q. */
  readonly o: Float32Array;
  readonly gate: Float32Array;
  readonly up: Float32Array;
  /** What one expert gives a row, and what all of them do. */
  readonly part: Float32Array;
  /** A row's scores, a value for each expert. */
  readonly scores: Float32Array;
}

/** Lays activations for steps of up to `rows` rows. */
export function makeActivations(
  holdings: Holdings,
  spec: ModelSpec,
  rows: number,
): Activations {
  const { x, y, q, k, v, o, gate, up, part, scores } = activationLengths(
    spec,
    rows,
  );
  const make = (length: number) =>
    holdings.floats("activations", "step", length);
  return {
    x: make(x),
    y: make(y),
    q: make(q),
    k: make(k),
    v: make(v),
    o: make(o),
    gate: make(gate),
    up: make(up),
    part: make(part),
    scores: make(scores),
  };
}

/** Lengths of the arrays `makeActivations` lays, in values. */
export function activationLengths(
  spec: ModelSpec,
  rows: number,
): Record<keyof Activations, number> {
  const most = (width: (layer: LayerSpec) => number) =>
    rows * Math.max(...spec.layers.map(width), 0);
  const hidden = rows * spec.hidden;
  const query = most((l) => l.qHeads * l.headDim);
  const key = most((l) => l.kvHeads * l.headDim);
  const ffn = most((l) => Math.max(...mlpsOf(l).map((m) => m.ffn), 0));
  const experts = most((l) => l.experts?.each.length ?? 0) / rows;
  return {
    x: hidden,
    y: hidden,
    q: query,
    k: key,
    v: key,
    o: query,
    gate: ffn,
    up: ffn,
    part: experts === 0 ? 0 : 2 * spec.hidden,
    scores: experts,
  };
}

/** Everything a pass reads and writes. */
export interface Pass {
  readonly spec: ModelSpec;
  /** Values of a tensor, row by row. */
  weight(name: string): Float32Array;
  /** The device memory, where the blocks are. */
  readonly memory: Float32Array;
  readonly places: readonly LayerPlace[];
  readonly batch: StepBatch;
  readonly activations: Activations;
  readonly adapters: ReferenceAdapters;
}

/**
 * Runs the batch's rows through every layer, writes their K and V, and writes
 * the logits of the wanted rows (wanted × vocabulary) to `logits`.
 */
export function forward(pass: Pass, logits: Float32Array): void {
  const { spec, batch, activations: a } = pass;
  const { hidden } = spec;
  const x = a.x.subarray(0, batch.rows * hidden);
  const tokens = batch.tokens.subarray(0, batch.rows);
  embed(pass.weight(spec.embedding), hidden, tokens, spec.embeddingScale, x);
  const { boundaries = [], mode, rows = [] } = batch.hidden ?? {};
  spec.layers.forEach((layer, i) => {
    const at = boundaries.indexOf(i);
    if (at >= 0 && mode === "keep") rows[at]!.set(x);
    if (at >= 0 && mode === "inject") x.set(rows[at]!.subarray(0, x.length));
    // What it adds to x is not read where x is given behind it, or at the end.
    const last = i + 1 === spec.layers.length;
    const ends = mode === "inject" && (last || boundaries.includes(i + 1));
    attention(pass, layer, pass.places[i]!, x, ends);
    if (!ends) feedForward(pass, layer, x);
  });
  for (let i = 0; i < batch.wanted; i++) {
    const from = batch.wantedRows[i]! * hidden;
    const row = a.y.subarray(0, hidden);
    const norm = pass.weight(spec.outputNorm);
    rmsNorm(x.subarray(from, from + hidden), norm, spec.normEps, row);
    const to = logits.subarray(i * spec.vocab, (i + 1) * spec.vocab);
    project(pass, spec.output, row, hidden, to, [batch.wantedRows[i]!]);
    softCap(to, spec.logitCap, spec.logitScale);
  }
}

/**
 * x += postNorm(project(attend(rope(norm(q)), rope(norm(k)), v))) of norm(x). `ends`:
 * K and V are all that is wanted.
 */
function attention(
  pass: Pass,
  layer: LayerSpec,
  place: LayerPlace,
  x: Float32Array,
  ends: boolean,
): void {
  const { spec, batch, activations: a, weight } = pass;
  const { tensors: t, headDim } = layer;
  const { rows } = batch;
  const y = a.y.subarray(0, x.length);
  const q = a.q.subarray(0, rows * layer.qHeads * headDim);
  const k = a.k.subarray(0, rows * layer.kvHeads * headDim);
  const v = a.v.subarray(0, k.length);
  rmsNorm(x, weight(t.attnNorm), spec.normEps, y);
  project(pass, t.q, y, spec.hidden, q);
  project(pass, t.k, y, spec.hidden, k);
  project(pass, t.v, y, spec.hidden, v);
  if (t.qBias !== undefined) addBias(q, weight(t.qBias));
  if (t.kBias !== undefined) addBias(k, weight(t.kBias));
  if (t.vBias !== undefined) addBias(v, weight(t.vBias));
  if (t.qNorm !== undefined) rmsNorm(q, weight(t.qNorm), spec.normEps, q);
  if (t.kNorm !== undefined) rmsNorm(k, weight(t.kNorm), spec.normEps, k);
  const positions = batch.positions.subarray(0, rows);
  const factors = factorsOf(pass, layer);
  rope(q, headDim, positions, layer.rope, factors);
  rope(k, headDim, positions, layer.rope, factors);
  const o = a.o.subarray(0, q.length);
  appendRows(pass, layer, place, { k, v });
  if (ends) return;
  attendRows(pass, layer, place, { q, o });
  project(pass, t.attnOut, o, layer.qHeads * headDim, y);
  if (t.postAttnNorm !== undefined) {
    rmsNorm(y, weight(t.postAttnNorm), spec.normEps, y);
  }
  residual(x, y, layer.residualScale);
}

/** A product with what adapters add to it. `rows`: as the batch counts them; default all. */
function project(
  { batch, weight, adapters }: Pass,
  name: string,
  x: Float32Array,
  inputs: number,
  out: Float32Array,
  rows?: readonly number[],
): void {
  matmul(x, weight(name), inputs, out);
  if (!batch.adapters?.active) return;
  const all = rows ?? Array.from({ length: batch.rows }, (_, row) => row);
  adapters.add(name, batch, all, x, inputs, out);
}

function blocksOf(
  { batch, memory }: Pass,
  place: LayerPlace,
  row: number,
): LayerBlocks {
  const from = batch.seqs[row]! * batch.tableStride;
  const tables = batch.tables[place.group]!;
  const table = tables.subarray(from, from + batch.tableStride);
  return { memory, table, ...place };
}

function headsOf(
  values: Float32Array,
  row: number,
  heads: number,
  { headDim }: LayerSpec,
): Float32Array {
  return values.subarray(row * heads * headDim, (row + 1) * heads * headDim);
}

/** Before the first row attends: rows of a chunk see one another. */
function appendRows(
  pass: Pass,
  layer: LayerSpec,
  place: LayerPlace,
  rows: Pick<Activations, "k" | "v">,
): void {
  const { batch } = pass, { kvHeads } = layer;
  for (let row = 0; row < batch.rows; row++) {
    const k = headsOf(rows.k, row, kvHeads, layer);
    const v = headsOf(rows.v, row, kvHeads, layer);
    append(blocksOf(pass, place, row), batch.positions[row]!, k, v);
  }
}

function attendRows(
  pass: Pass,
  layer: LayerSpec,
  place: LayerPlace,
  rows: Pick<Activations, "q" | "o">,
): void {
  const { batch } = pass, { group } = place;
  for (let row = 0; row < batch.rows; row++) {
    const visible = {
      position: batch.positions[row]!,
      start: batch.starts[group]![row]!,
      sink: batch.sinks[group]![row]!,
      first: batch.firsts[group]![row]!,
    };
    const q = headsOf(rows.q, row, layer.qHeads, layer);
    const o = headsOf(rows.o, row, layer.qHeads, layer);
    const sinkQ = turnedBack(pass, layer, q, batch.backs[group]![row]!);
    const blocks = blocksOf(pass, place, row), { attnScale, attnCap } = layer;
    attend(blocks, visible, q, attnScale, o, sinkQ, attnCap);
  }
}

/** A row's queries as they were `back` positions earlier. */
function turnedBack(
  pass: Pass,
  layer: LayerSpec,
  q: Float32Array,
  back: number,
): Float32Array {
  if (back === 0) return q;
  const turned = q.slice(), positions = Int32Array.of(-back);
  // Its magnitude is in there already.
  const turn = { ...layer.rope, magnitude: 1 };
  rope(turned, layer.headDim, positions, turn, factorsOf(pass, layer));
  return turned;
}

/** What divides the frequencies of a layer's rope, if anything does. */
function factorsOf(
  pass: Pass,
  { rope: { factors } }: LayerSpec,
): ArrayLike<number> | undefined {
  return typeof factors === "string" ? pass.weight(factors) : factors;
}

/** x += postNorm(mlp(norm(x)) + experts(norm(x))). */
function feedForward(pass: Pass, layer: LayerSpec, x: Float32Array): void {
  const { spec, activations: a, weight } = pass;
  const { tensors: t, mlp, experts } = layer;
  const y = a.y.subarray(0, x.length);
  rmsNorm(x, weight(t.ffnNorm), spec.normEps, y);
  const run = (one: MlpSpec, x: Float32Array, out: Float32Array): void => {
    const gates = a.gate.subarray(0, x.length / spec.hidden * one.ffn);
    const up = a.up.subarray(0, gates.length);
    // Of experts, one row at a time comes.
    const first = (x.byteOffset - y.byteOffset) / x.BYTES_PER_ELEMENT;
    const rows = Array.from(
      { length: x.length / spec.hidden },
      (_, i) => first / spec.hidden + i,
    );
    project(pass, one.gate, x, spec.hidden, gates, rows);
    project(pass, one.up, x, spec.hidden, up, rows);
    gate(gates, up, layer.activation);
    project(pass, one.down, gates, one.ffn, out, rows);
  };
  if (experts === undefined) run(mlp!, y, y);
  else expertsOf(pass, experts, mlp, run, y);
  if (t.postFfnNorm !== undefined) {
    rmsNorm(y, weight(t.postFfnNorm), spec.normEps, y);
  }
  residual(x, y, layer.residualScale);
}
