/**
 * From a model to its step program: what all workers run for every step, written
 * once. Only the batch changes from step to step.
 *
 * @module
 */
import type { BoundGroup, SlabLayout } from "../core/backend.ts";
import {
  type LayerSpec,
  type ModelSpec,
  type RopeSpec,
  routersOf,
} from "../core/model.ts";
import type { Matrix, Weights } from "./load.ts";
import type { LoraTables } from "./lora.ts";
import { layerWord, noTargets, startWord, type Targets } from "./boundaries.ts";
import { addExperts, type ExpertPlaces, expertRecords } from "./experts.ts";
import { f32, FLAG, KIND, RECORD_BYTES, Records } from "./records.ts";
import { releaseFields, waitFields } from "./ring.ts";
import { SEALED_BYTES } from "./sealed.ts";
import type { Extent, Forms } from "./space.ts";

/** 2^112: what reading f16 by its bits leaves out; assembly/lanes.ts. */
const HALF_SCALE = 2 ** 112;

/** Addresses of everything a program touches besides weights. */
export interface Places {
  readonly tokens: number;
  readonly positions: number;
  readonly seqs: number;
  readonly wantedRows: number;
  readonly tables: readonly number[];
  readonly sealed: readonly number[];
  readonly seals: number;
  /** A Sealed for each layer; assembly/sealed.ts. */
  readonly sealedLayers: number;
  readonly starts: readonly number[];
  readonly sinks: readonly number[];
  readonly firsts: readonly number[];
  readonly backs: readonly number[];
  readonly tiles: number;
  /** Single words: rows, wanted, top, tiles (and behind it whether splits are spread), seals. */
  readonly rows: number;
  readonly wanted: number;
  readonly top: number;
  readonly tileCount: number;
  /** Words of boundaries.ts. */
  readonly parts: number;
  /** Rows at each boundary: [row][hidden] f32. */
  readonly kept: readonly number[];
  readonly x: number;
  readonly qkv: number;
  readonly heads: number;
  readonly y: number;
  readonly gate: number;
  readonly up: number;
  readonly logits: number;
  readonly shares: number;
  readonly topIds: number;
  readonly topValues: number;
  readonly partial: number;
  readonly scratch: number;
  readonly scratchBytes: number;
  readonly first: Forms;
  readonly second: Forms;
  /** Where a model has some. */
  readonly experts: ExpertPlaces | undefined;
}

/** Angles of one kind of rope; several layers share it. */
export interface RopePlace {
  readonly rope: RopeSpec;
  readonly coarse: number;
  readonly fine: number;
  readonly turns: number;
  /** Set once the program is laid out: where its Angles lie. */
  angles: number;
}

/** What the program is made from. */
export interface ProgramOptions {
  /** Where the program will lie. */
  readonly base: number;
  readonly spec: ModelSpec;
  readonly weights: Weights;
  readonly groups: readonly (BoundGroup & { readonly slab: SlabLayout })[];
  readonly places: Places;
  readonly ropes: readonly RopePlace[];
  readonly extent: Extent;
  readonly tableStride: number;
  /** Bytes of a K or V value: 2 or 4. */
  readonly size: number;
  readonly most: number;
  /** Address of a Stream for each layer that may read so; 0: it does not. */
  readonly streams?: readonly number[] | undefined;
  /** Address of the ring's words, where layers or experts are streamed. */
  readonly ringWords: number;
  /** Layers before which rows may be kept or given. Default: none. */
  readonly boundaries?: readonly number[] | undefined;
  /** Layers at which a step may begin or end. Default: none. */
  readonly edges?: readonly number[] | undefined;
  /** Where adapters are; absent: there are none. */
  readonly lora?: LoraTables | undefined;
}

/** A step program, and where steps may go on in it. */
export interface Program {
  readonly records: Records;
  readonly targets: Targets;
}

/** Same turn for the same position? */
export function ropeKey(rope: RopeSpec): string {
  const { base, divide, dims, factors = "", magnitude = 1 } = rope;
  return `${base}/${divide}/${dims}/${magnitude}/${factors}`;
}

/** Writes the whole forward pass. */
export function compileProgram(options: ProgramOptions): Program {
  const { spec, weights, places: at, ropes, extent } = options;
  const { boundaries = [], edges = [], lora } = options;
  const out = new Records(), targets = noTargets();
  const here = (): number => options.base + out.length * RECORD_BYTES;
  const hidden = spec.hidden * 4;
  const matrix = (name: string): Matrix => weights.matrices.get(name)!;
  const vector = (name: string | undefined): number =>
    name === undefined ? 0 : weights.vectors.get(name)!;

  /** Forms that the readers of a set of activations want. */
  const wants = (...names: string[]): number =>
    names.reduce(
      (flags, name) =>
        flags | (matrix(name).layout.float ? FLAG.float : FLAG.quant),
      0,
    );

  const row = (
    kind: number,
    flags: number,
    x: number,
    stride: number,
    n: number,
    forms: Forms,
    rows: number,
    ...more: number[]
  ): void => {
    const { xq, xs, xf, xi, x16, xn } = forms;
    out.add(kind, flags, x, stride, n, xq, xs, xf, xi, x16, xn, rows, ...more);
  };

  const product = (
    name: string,
    forms: Forms,
    to: number,
    stride: number,
    rows: number,
    flags = 0,
  ): void => {
    const { tensor, layout, panels, w } = matrix(name);
    const xf = layout.float ? forms.xn : forms.xf;
    out.add(
      KIND.product + layout.kind,
      flags,
      ...[w, forms.xq, forms.xs, xf, forms.xi, forms.x16],
      ...[to, stride],
      layout.float ? tensor.inputs : tensor.inputs / 32,
      panels,
      rows,
      lora?.delta(name) ?? 0,
    );
  };

  /** Whether adapters add to products that read one input; its rows are needed as f32. */
  const adapted = (names: readonly string[]): number =>
    lora !== undefined && names.some((name) => lora.adds(name))
      ? lora.places.adapted
      : 0;
  /** Before these products: what adapters make of their input. */
  const low = (
    names: readonly string[],
    forms: Forms,
    rows: number,
    pick = 0,
  ): void => {
    const site = lora?.site(names, pick);
    if (site === undefined) return;
    const { downs, count, panels } = site;
    const { inputs } = matrix(names[0]!).tensor;
    out.add(
      KIND.low,
      0,
      ...[adapted(names), downs, count, panels, forms.xn, inputs, rows, pick],
    );
    out.barrier();
  };

  for (const place of ropes) {
    const { rope, coarse, fine, turns } = place;
    const record = out.add(
      KIND.angles,
      0,
      ...[coarse, fine, rope.dims / 2, turns, at.positions, at.rows],
      f32(rope.magnitude ?? 1),
    );
    place.angles = options.base + record * RECORD_BYTES;
  }
  // Where a step begins at a later layer, the first norm's barrier is for the angles.
  out.add(KIND.leap, 0, startWord(at.parts, spec.layers.length));
  const embedding = matrix(spec.embedding);
  out.add(
    KIND.embed,
    0,
    ...[embedding.w, embedding.layout.kind, spec.hidden],
    ...[at.tokens, at.x, hidden, f32(spec.embeddingScale), at.rows],
  );
  out.barrier();

  // A layer ends by leaving what it adds to x; the next norm adds it.
  let pending = 0, after = 0, scale = 1;
  const norm = (weight: string, ...names: string[]): void => {
    const eps = f32(spec.normEps);
    row(
      KIND.norm,
      wants(...names),
      ...[at.x, hidden, spec.hidden] as const,
      at.first,
      at.rows,
      ...[vector(weight), eps, pending, after, 0, 0, 0],
      ...[f32(scale), adapted(names)],
    );
    out.barrier();
    pending = 0;
    low(names, at.first, at.rows);
  };
  /** What the last product left is added to x now. */
  const settle = (): void => {
    if (pending === 0) return;
    row(
      KIND.norm,
      0,
      ...[at.x, hidden, spec.hidden] as const,
      at.first,
      at.rows,
      ...[0, f32(spec.normEps), pending, after, 0, 0, 0, f32(scale)],
    );
    out.barrier();
    pending = 0;
  };
  const atOnce = (
    post: string | undefined,
    { residualScale = 1 }: LayerSpec,
  ): boolean => post === undefined && residualScale === 1;
  /** What stands in y is left to the next norm. */
  const later = (
    post: string | undefined,
    { residualScale = 1 }: LayerSpec,
  ): void => {
    pending = at.y;
    after = vector(post);
    scale = residualScale;
  };
  /** A product added to x: at once, or by the next norm where it is normed or scaled. */
  const addTo = (
    name: string,
    forms: Forms,
    post: string | undefined,
    layer: LayerSpec,
  ): void => {
    if (atOnce(post, layer)) {
      product(name, forms, at.x, hidden, at.rows, FLAG.add);
    } else {
      product(name, forms, at.y, hidden, at.rows);
      later(post, layer);
    }
    out.barrier();
  };

  spec.layers.forEach((layer, index) => {
    const { qHeads, kvHeads, headDim, tensors: t } = layer;
    const { mlp, experts } = layer;
    const stride = extent.qkv * 4, wide = extent.heads * 4;
    const q = qHeads * headDim * 4, kv = kvHeads * headDim * 4;
    const leap = (word: "query" | "rest" | "stop"): void =>
      void out.add(KIND.leap, 0, layerWord(at.parts, index, word));
    if (edges.includes(index)) leap("stop");
    const slot = boundaries.indexOf(index);
    if (slot >= 0) {
      const word = layerWord(at.parts, index, "action");
      const rows = [at.x, at.kept[slot]!, hidden, at.rows];
      out.add(KIND.boundary, 0, word, ...rows);
    }
    targets.first.push(here());
    const release = awaited(options, out, index);
    norm(t.attnNorm, t.q, t.k, t.v);
    leap("query");
    product(t.q, at.first, at.qkv, stride, at.rows);
    targets.query.push(here());
    product(t.k, at.first, at.qkv + q, stride, at.rows);
    product(t.v, at.first, at.qkv + q + kv, stride, at.rows);
    out.barrier();
    const attend = attention(
      options,
      out,
      layer,
      index,
      vector,
      () => leap("rest"),
    );
    row(
      KIND.merge,
      wants(t.attnOut),
      ...[at.heads, wide, qHeads * headDim] as const,
      at.first,
      at.rows,
      ...[0, 0, 0, 0, 0, 0, attend, 0, adapted([t.attnOut])],
    );
    out.barrier();
    low([t.attnOut], at.first, at.rows);
    addTo(t.attnOut, at.first, t.postAttnNorm, layer);
    const readers = mlp === undefined ? [] : [mlp.gate, mlp.up];
    norm(t.ffnNorm, ...readers, ...routersOf(layer));
    const combine = experts && addExperts({
      ...{ out, base: options.base, spec, layer, at: at.experts!, product },
      ...{ wants, norm: vector(t.ffnNorm), rows: at.rows, x: at.x },
      ...{ index, normed: at.first },
      within: (name) => matrix(name).within ?? 0,
      ...weights.ring?.most !== undefined &&
        { cache: { ring: weights.ring, words: options.ringWords } },
    });
    if (mlp !== undefined) {
      const width = extent.ffn * 4;
      out.add(KIND.gated, 0);
      product(mlp.gate, at.first, at.gate, width, at.rows);
      product(mlp.up, at.first, at.up, width, at.rows);
      row(
        KIND.gate,
        wants(mlp.down) | (layer.activation === "gelu" ? FLAG.gelu : 0),
        ...[at.gate, width, mlp.ffn] as const,
        at.second,
        at.rows,
        ...[0, 0, 0, 0, 0, at.up, 0, 0, adapted([mlp.down])],
      );
      out.barrier();
      low([mlp.down], at.second, at.rows);
      addTo(mlp.down, at.second, t.postFfnNorm, layer);
    }
    if (combine !== undefined) {
      if (atOnce(t.postFfnNorm, layer)) combine(at.x, true);
      else {
        combine(at.y, mlp !== undefined);
        later(t.postFfnNorm, layer);
      }
    }
    if (boundaries.includes(index + 1) || edges.includes(index + 1)) settle();
    targets.rest.push(here());
    targets.hold.push(release() ? here() : 0);
  });

  settle();
  row(
    KIND.norm,
    wants(spec.output),
    ...[at.x, hidden, spec.hidden] as const,
    at.first,
    at.wanted,
    ...[vector(spec.outputNorm), f32(spec.normEps), 0, 0, at.wantedRows],
    ...[0, 0, 0, adapted([spec.output])],
  );
  out.barrier();
  low([spec.output], at.first, at.wanted, at.wantedRows);
  const line = extent.vocab * 4;
  product(spec.output, at.first, at.logits, line, at.wanted);
  out.barrier();
  const top = [at.logits, line, spec.vocab, at.top, at.shares, options.most];
  const { logitScale = 1, logitCap = 0 } = spec;
  out.add(
    KIND.top,
    0,
    ...[...top, at.topIds, at.topValues, at.wanted],
    ...[f32(logitScale), f32(logitCap)],
  );
  out.barrier();
  out.add(KIND.topMerge, 0, ...top, at.topIds, at.topValues, at.wanted);
  targets.end = here();
  return { records: out, targets };
}

/**
 * Waits for a layer, if it is streamed; the result gives its slot back and says whether
 * it has one.
 */
function awaited(
  { base, weights: { ring }, ringWords, places }: ProgramOptions,
  out: Records,
  layer: number,
): () => boolean {
  const k = ring?.layers.findIndex((l) => l.layer === layer) ?? -1;
  if (ring === undefined || ring.most !== undefined || k < 0) {
    return () => false;
  }
  const first = out.add(KIND.wait, 0, ...waitFields(ring, ringWords, k));
  return () => {
    out.add(KIND.leap, 0, layerWord(places.parts, layer, "hold"));
    const wait = base + first * RECORD_BYTES;
    const end = base + out.length * RECORD_BYTES;
    const fields = releaseFields(ring, ringWords, { wait, end }, RECORD_BYTES);
    out.add(KIND.release, 0, ...fields);
    return true;
  };
}

/**
 * Turn, append and attend of one layer; returns where the attend record will lie.
 * `stored`: called where K and V are.
 */
function attention(
  options: ProgramOptions,
  out: Records,
  layer: LayerSpec,
  index: number,
  vector: (name: string | undefined) => number,
  stored: () => void,
): number {
  const { spec, places: at, ropes, extent, groups, size } = options;
  const { qHeads, kvHeads, headDim, rope, tensors: t } = layer;
  const g = groups.findIndex((group) => group.layers.includes(index));
  const { layers, shape, slab, fused } = groups[g]!;
  // Bytes between parts: one head's K of all blocks of a slab.
  const part = slab.blocks * shape.tokens * headDim * size;
  const sealed = fused === undefined
    ? 0
    : at.sealedLayers + index * SEALED_BYTES;
  const offset = layers.indexOf(index) * kvHeads * 2 * part;
  const { angles, turns } = ropes.find((r) =>
    ropeKey(r.rope) === ropeKey(rope)
  )!;
  const tableStride = options.tableStride * 4, stride = extent.qkv * 4;
  const q = qHeads * headDim * 4, kv = kvHeads * headDim * 4;
  const pairs = rope.style === "neighbours" ? FLAG.neighbours : 0;
  out.add(
    KIND.turn,
    pairs,
    ...[at.qkv, stride, qHeads, kvHeads, headDim, rope.dims, turns],
    ...[vector(t.qNorm), vector(t.kNorm), f32(spec.normEps)],
    f32(layer.attnScale * Math.LOG2E * (size === 2 ? HALF_SCALE : 1)),
    ...[at.tables[g]!, tableStride, at.positions, at.seqs],
    ...[shape.tokens, offset, part, size, at.rows],
    ...[at.qkv + q, at.qkv + q + kv],
    ...[vector(t.qBias), vector(t.kBias), vector(t.vBias)],
  );
  out.barrier();
  if (sealed !== 0) {
    out.add(
      KIND.seal,
      0,
      ...[at.tables[g]!, tableStride, at.positions, at.seqs, at.rows],
      ...[kvHeads, headDim, shape.tokens, offset, part, size],
      ...[sealed, at.seals],
    );
    out.barrier();
  }
  stored();
  const record = out.add(
    KIND.attend,
    pairs,
    ...[at.qkv, stride, at.heads, extent.heads * 4],
    ...[at.tables[g]!, tableStride, at.starts[g]!, at.sinks[g]!],
    ...[at.positions, at.seqs, at.tiles, at.tileCount],
    f32((layer.attnCap ?? 0) * Math.LOG2E),
    ...[kvHeads, qHeads / kvHeads, headDim, shape.tokens, offset, part, size],
    ...[at.scratch, at.scratchBytes, at.partial, extent.splits],
    ...[at.backs[g]!, angles, at.firsts[g]!, sealed],
    options.streams?.[index] ?? 0,
  );
  out.barrier();
  return options.base + record * RECORD_BYTES;
}

/** Bytes that a program of this model, and of adapters to it, takes at most. */
export function programBytes(spec: ModelSpec, adapters: number): number {
  const experts = spec.layers.reduce((n, l) => n + expertRecords(l), 0);
  const low = adapters === 0 ? 0 : 4 * spec.layers.length + 1;
  return (spec.layers.length * 25 + 33 + experts + low) * RECORD_BYTES;
}
