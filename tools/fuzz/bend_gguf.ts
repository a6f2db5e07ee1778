/**
 * Bending GGUF files by their structure, so that what is wrong is not found at the
 * first byte.
 *
 * @module
 */
import { ARCHITECTURES } from "../../models/arch/mod.ts";
import { EDGES } from "./bytes.ts";
import {
  type PlainEntry,
  type PlainGguf,
  rawArray,
  rawValue,
} from "./plain_gguf.ts";
import type { Random } from "./random.ts";

type Edit = (g: PlainGguf, r: Random, other: PlainGguf) => void;

/** Values of every kind that metadata may have, good and bad. */
function anyEntry(r: Random, key: string): PlainEntry {
  const kind = r.pick([0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9, 9, 10, 11, 12]);
  const entry = (raw: Uint8Array, of?: number): PlainEntry => ({
    key,
    kind,
    of,
    // Only files that were written and read again are looked at for values.
    value: undefined,
    raw,
  });
  const one = (kind: number): number | bigint | string => {
    if (kind === 8) {
      return r.pick([
        "",
        "linear",
        "longrope",
        "none",
        "llama",
        "gpt2",
        "0",
        "yarn",
        "\uFEFFx",
        "\x1b[2J",
        "é".repeat(r.below(3000)),
      ]);
    }
    if (kind === 6 || kind === 12) {
      return r.pick([
        0,
        -0,
        1,
        -1,
        NaN,
        Infinity,
        -Infinity,
        1e-45,
        1e38,
        0.5,
        10000,
      ]);
    }
    return r.once(2) ? BigInt(r.below(40)) : r.pick(EDGES);
  };
  if (kind !== 9) return entry(rawValue(kind, one(kind)));
  const of = r.pick([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12]);
  const values = Array.from(
    { length: r.pick([0, 1, 2, 3, 8, r.below(300)]) },
    () => one(of),
  );
  return entry(rawArray(of, values), of);
}

/** Entries that readers look for, some of them not in every file. */
const KEYS = [
  ...["general.architecture", "general.alignment", "split.no", "split.count"],
  ...["split.tensors.count", "tokenizer.ggml.model", "tokenizer.ggml.pre"],
  ...[
    "tokenizer.ggml.tokens",
    "tokenizer.ggml.scores",
    "tokenizer.ggml.token_type",
  ],
  ...[
    "tokenizer.ggml.merges",
    "tokenizer.ggml.bos_token_id",
    "tokenizer.ggml.eos_token_id",
  ],
  ...["tokenizer.ggml.eot_token_id", "tokenizer.ggml.add_bos_token"],
  ...["tokenizer.ggml.add_space_prefix", "tokenizer.chat_template"],
];
const MODEL_KEYS = [
  ...[
    "context_length",
    "embedding_length",
    "block_count",
    "feed_forward_length",
  ],
  ...[
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
  ],
  ...[
    "attention.value_length",
    "attention.layer_norm_rms_epsilon",
    "vocab_size",
  ],
  ...["attention.sliding_window", "attention.sliding_window_pattern"],
  ...[
    "attention.scale",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.freq_base_swa",
  ],
  ...["rope.scaling.type", "rope.scaling.factor", "rope.scale_linear"],
  ...["rope.scaling.original_context_length", "rope.scaling.attn_factor"],
  ...["expert_count", "expert_used_count", "expert_feed_forward_length"],
  ...["rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow"],
  ...["embedding_scale", "residual_scale", "logit_scale"],
  ...[
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "nextn_predict_layers",
  ],
];

function anyKey(g: PlainGguf, r: Random): string {
  if (r.once(3)) return r.pick(KEYS);
  const prefix =
    g.entries.map((e) => e.key).find((k) => k.endsWith(".block_count"))
      ?.replace(/\.block_count$/, "") ?? "llama";
  return `${prefix}.${r.pick(MODEL_KEYS)}`;
}

function swap<T>(list: T[], r: Random): void {
  const i = r.below(list.length), k = r.below(list.length);
  [list[i], list[k]] = [list[k]!, list[i]!];
}

/** A number of an entry at an edge, its kind kept. */
function edgeOf(e: PlainEntry, r: Random): void {
  if (e.kind === 9 && e.of !== undefined && e.of !== 8) {
    const values = e.value as (number | bigint)[] | undefined;
    if (values === undefined) return;
    const bent = values.map((v) =>
      r.once(1 + values.length >> 1) ? r.pick(EDGES) : v
    );
    e.raw = rawArray(
      e.of,
      bent.map((v) => typeof v === "boolean" ? Number(v) : v),
    );
  } else if (e.kind === 6 || e.kind === 12) {
    e.raw = rawValue(e.kind, r.pick([0, -1, NaN, Infinity, 1e-45, 3e38, 0.25]));
  } else if (e.kind < 8 || e.kind > 9) {
    e.raw = rawValue(e.kind, r.once(2) ? BigInt(r.below(70)) : r.pick(EDGES));
  }
}

/** Strings of a vocabulary, doubled, emptied, left out. */
function bendStrings(e: PlainEntry, r: Random): void {
  const values = e.value as string[] | undefined;
  if (e.of !== 8 || values === undefined) return;
  const bent = [...values];
  for (let n = 1 + r.below(4); n > 0 && bent.length > 0; n--) {
    const i = r.below(bent.length);
    const edit = r.below(4);
    if (edit === 0) bent[i] = r.pick(bent);
    else if (edit === 1) {
      bent[i] = r.pick([
        "",
        " ",
        "<0xZZ>",
        "<0x41>",
        "</s>",
        "\u{1F600}",
        "a b c",
      ]);
    } else if (edit === 2) bent.splice(i, 1);
    else bent.splice(i, 0, r.pick(bent));
  }
  e.raw = rawArray(8, bent);
}

/** Calls the model by the name of another architecture, its keys too. */
function renameAll(g: PlainGguf, to: string): void {
  const name = g.entries.find((e) => e.key === "general.architecture");
  if (typeof name?.value !== "string") return;
  const from = `${name.value}.`;
  for (const e of g.entries) {
    if (e.key.startsWith(from)) e.key = `${to}.${e.key.slice(from.length)}`;
  }
  name.value = to;
  name.raw = rawValue(8, to);
}

const EDITS: readonly (readonly [weight: number, Edit])[] = [
  // Another architecture.
  [1, (g, r) => renameAll(g, r.pick([...ARCHITECTURES.keys()]))],
  // An entry of another name.
  [2, (g, r) => {
    const e = r.pick(g.entries);
    e.key = r.once(3) ? anyKey(g, r) : e.key + r.pick(["s", " ", "\0", "_swa"]);
  }],
  // An entry left out.
  [2, (g, r) => void g.entries.splice(r.below(g.entries.length), 1)],
  // An entry twice.
  [1, (g, r) => void g.entries.push({ ...r.pick(g.entries) })],
  // Any value for an entry, one that is there or not.
  [5, (g, r) => {
    const key = anyKey(g, r), entry = anyEntry(r, key);
    const at = g.entries.findIndex((e) => e.key === key);
    if (at >= 0) g.entries[at] = entry;
    else g.entries.push(entry);
  }],
  // A number at an edge.
  [6, (g, r) => edgeOf(r.pick(g.entries), r)],
  // Texts of a list.
  [2, (g, r) => {
    const lists = g.entries.filter((e) => e.of === 8);
    if (lists.length > 0) bendStrings(r.pick(lists), r);
  }],
  // Entries in another order.
  [1, (g, r) => swap(g.entries, r)],
  // An entry of another good file.
  [2, (g, r, other) => {
    const entry = r.pick(other.entries),
      at = g.entries.findIndex((e) => e.key === entry.key);
    if (at >= 0) g.entries[at] = { ...entry };
    else g.entries.push({ ...entry });
  }],
  // A tensor of another name, type, shape or place.
  [2, (g, r) => {
    const t = r.pick(g.tensors);
    t.name = r.once(2)
      ? r.pick(g.tensors).name
      : t.name + r.pick(["", "x", ".scale", "\n"]);
  }],
  [
    2,
    (g, r) =>
      void (r.pick(g.tensors).type = r.once(3)
        ? r.below(45)
        : r.pick([0, 1, 2, 8, 12, 20, 30, 39])),
  ],
  [4, (g, r) => {
    const { dims } = r.pick(g.tensors);
    const edit = r.below(5), i = r.below(dims.length);
    if (edit === 0) dims.reverse();
    else if (edit === 1) dims.push(r.pick([1n, 1n, 2n, 0n, 2n ** 32n]));
    else if (edit === 2) dims.pop();
    else if (edit === 3 && dims.length > 0) dims[i] = r.pick(EDGES);
    else if (dims.length > 0) dims[i]! += r.pick([-1n, 1n, -32n, 32n]);
    dims.forEach((d, k) => dims[k] = BigInt.asUintN(64, d));
  }],
  [3, (g, r) => {
    const t = r.pick(g.tensors);
    const to = r.once(2)
      ? r.pick(g.tensors).offset
      : t.offset + r.pick([-32n, -1n, 1n, 32n, ...EDGES]);
    t.offset = BigInt.asUintN(64, to);
  }],
  // A tensor left out, twice, or one more.
  [2, (g, r) => void g.tensors.splice(r.below(g.tensors.length), 1)],
  [1, (g, r) => {
    const t = r.pick(g.tensors);
    g.tensors.push({
      ...t,
      dims: [...t.dims],
      name: r.once(2) ? t.name : `${t.name}_2`,
    });
  }],
  [1, (g, r, other) => {
    const t = r.pick(other.tensors);
    g.tensors.push({
      ...t,
      dims: [...t.dims],
      offset: BigInt(g.data.length + 31 & ~31),
    });
    const data = new Uint8Array((g.data.length + 31 & ~31) + 4096);
    data.set(g.data);
    g.data = data;
  }],
  // Two tensors with each other's data.
  [1, (g, r) => {
    const a = r.pick(g.tensors), b = r.pick(g.tensors);
    [a.offset, b.offset] = [b.offset, a.offset];
  }],
  [1, (g, r) => swap(g.tensors, r)],
  // Data cut or longer.
  [1, (g, r) => {
    g.data = r.once(2) ? g.data.subarray(0, r.below(g.data.length)) : g.data;
  }],
  [1, (g, r) => void (g.version = r.pick([0, 1, 2, 2, 3, 4, 0x03000000]))],
];

const BAG = EDITS.flatMap(([weight, edit]) =>
  new Array<Edit>(weight).fill(edit)
);

/** Bends `gguf` itself `edits` times; `other` is a good one. */
export function bendGguf(
  gguf: PlainGguf,
  random: Random,
  other: PlainGguf,
  edits: number,
): void {
  for (let i = 0; i < edits; i++) {
    if (gguf.entries.length === 0 || gguf.tensors.length === 0) return;
    random.pick(BAG)(gguf, random, other);
  }
}
