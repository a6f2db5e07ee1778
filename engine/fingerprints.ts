/**
 * What a session depends on, as short texts to be compared.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { centresKey } from "../core/group_codec.ts";
import type { ModelSpec } from "../core/model.ts";
import type { CachePlan } from "../core/plan.ts";
import { spans } from "../core/explain.ts";
import { probe } from "../core/sight.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import type { SessionMark } from "./session_error.ts";

/** Fingerprints, 32 digits each. */
export interface Fingerprints
  extends Readonly<Record<Exclude<SessionMark, "adapters">, string>> {
  /** What all content addresses begin from: of weights and plan together. */
  readonly address: string;
}

/** What they are of. */
export interface Fingerprinted {
  readonly spec: ModelSpec;
  readonly tokenizer: Tokenizer;
  readonly plan: CachePlan;
}

/** Cut by each rule that a vocabulary may have: words, digits, scripts, spaces. */
const PROBE =
  "Hello, WORLD's  123456 x_y=3.14; naïve 日本語 \n\n\tif (a) {🙂} don't";

/**
 * Weights are told apart by pieces of every tensor (see `ModelFile.fingerprint`), tokenizers by
 * what each token means and how a text full of borderline cases is cut, RoPE by all
 * that turns and scales a key, plans by what their blocks hold.
 */
export function fingerprintsOf(
  { spec, tokenizer, plan }: Fingerprinted,
): Fingerprints {
  return {
    weights: spec.id.slice(0, 32),
    tokenizer: tokenizerPrint(tokenizer),
    rope: hash(spec.layers.map((l) => [
      l.rope.style,
      l.rope.base,
      l.rope.divide,
      l.rope.dims,
      l.rope.factors,
      l.attnScale,
      l.window,
      ...rare(l.rope.magnitude, l.attnCap),
    ])),
    plan: hash([
      plan.backend,
      plan.rawFormat,
      plan.groups.map((g) => [
        g.layers,
        g.shape,
        g.layout.id,
        g.blockBytes,
        g.sealedBytes,
        g.slab?.parts,
        g.codec.id,
        centresKey(g.codec, g.layers),
        g.fused !== undefined,
        g.rounds,
        g.keepFirst,
        probe(g.retention),
      ]),
    ]),
    address: plan.fingerprint,
  };
}

/** What few models have, so that the prints of others stay as they were. */
function rare(magnitude: number | undefined, cap: number | undefined) {
  return magnitude === undefined && cap === undefined ? [] : [magnitude, cap];
}

/** What differs; blocks whose addresses begin otherwise are of another plan. */
export function differences(
  here: Fingerprints,
  saved: Fingerprints,
): readonly SessionMark[] {
  const marks = (["weights", "tokenizer", "rope", "plan"] as const)
    .filter((mark) => here[mark] !== saved[mark]);
  return marks.length === 0 && here.address !== saved.address
    ? ["plan"]
    : marks;
}

/** A plan in a few words, to say in what two of them differ. */
export function planWords({ backend, rawFormat, groups }: CachePlan): string {
  const words = groups.map(({ layers, shape, codec, retention }) =>
    [
      `layers ${spans(layers)} in ${codec.id === "raw" ? rawFormat : codec.id}`,
      `blocks of ${shape.tokens}`,
      ...retention.map((r) => r.id),
    ].join(", ")
  );
  return `${backend}, ${words.join("; ")}`;
}

const known = new WeakMap<Tokenizer, string>();

/** Computed once: a large vocabulary takes a moment. */
function tokenizerPrint(tokenizer: Tokenizer): string {
  let print = known.get(tokenizer);
  if (print !== undefined) return print;
  const { bos, eos, eog, addBos, chatTemplate } = tokenizer;
  print = hash([
    vocabularyPrint(tokenizer),
    bos,
    eos,
    [...eog].sort((a, b) => a - b),
    addBos,
    chatTemplate,
    tokenizer.encode(PROBE),
  ]);
  known.set(tokenizer, print);
  return print;
}

/** Bytes of every token, each with its length before it. */
function vocabularyPrint(tokenizer: Tokenizer): string {
  const all = createHash("sha256");
  let room = new Uint8Array(1 << 16), used = 0;
  for (let id = 0; id < tokenizer.vocab; id++) {
    const bytes = tokenizer.bytes(id), { length } = bytes;
    if (used + length + 4 > room.length) {
      all.update(room.subarray(0, used));
      used = 0;
      if (length + 4 > room.length) room = new Uint8Array(length + 4);
    }
    for (let i = 0; i < 4; i++) room[used++] = length >>> 8 * i;
    room.set(bytes, used);
    used += length;
  }
  return all.update(room.subarray(0, used)).digest("hex");
}

function hash(value: unknown): string {
  const text = JSON.stringify(value);
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}
