/**
 * `quire inspect`: what is in a model's file and what it will take.
 *
 * @module
 */
import { modelSpec } from "../models/arch/mod.ts";
import { catalog } from "../models/catalog.ts";
import { type GgufFile, openGguf } from "../models/gguf.ts";
import { quantisedSpec } from "../models/quantise_at_load.ts";
import type { LoadOptions } from "../mod.ts";
import { type Command, onlyModel } from "./command.ts";
import { COMMON, MODEL } from "./options.ts";
import { planOnly } from "./plan_only.ts";
import { loadOptionsOf, pullModel } from "./open.ts";
import { formatBytes, formatCount, table } from "./statistics.ts";

/** Tensors of one weight format. */
export interface TypeShare {
  readonly type: string;
  readonly tensors: number;
  readonly parameters: number;
  readonly bytes: number;
}

/** What `inspect --json` prints. */
export interface Inspection {
  readonly model: string;
  readonly path: string;
  /** All files of it, bytes. */
  readonly bytes: number;
  readonly name: string | null;
  readonly architecture: string;
  readonly licence: string | null;
  readonly parameters: number;
  /** Largest share first. */
  readonly types: readonly TypeShare[];
  /** Longest context the model was trained for, tokens. */
  readonly context: number;
  readonly vocabulary: number;
  readonly hidden: number;
  readonly layers: number;
  /** Of each kind of layer; one entry where all are the same. */
  readonly attention: readonly {
    readonly layers: number;
    readonly heads: number;
    readonly kvHeads: number;
    readonly headDim: number;
    /** Positions a query sees; null: all before it. */
    readonly window: number | null;
  }[];
  readonly kvBytesPerToken: number;
  readonly tokenizer: string | null;
  readonly chatTemplate: boolean;
  /** What `engine.plan.explain()` says. */
  readonly plan: string;
}

/** Says what a model is without loading its weights. */
export const inspect: Command = {
  name: "inspect",
  operands: "MODEL",
  summary: "say what a model is made of, without loading it",
  options: [MODEL, ...COMMON],
  async run(options, host, signal) {
    const model = onlyModel("inspect", options);
    const path = await pullModel(model, host, signal);
    const file = await openGguf(path, { signal });
    const found = await inspectFile(
      model,
      file,
      await loadOptionsOf(model, options),
    );
    host.out(options.json ? `${JSON.stringify(found)}\n` : text(found));
    return 0;
  },
};

/**
 * Looks at an opened file.
 *
 * @param model The name the user gave, for the licence of a catalogue model.
 * @throws {ModelError} for a model that cannot be run.
 */
export async function inspectFile(
  model: string,
  file: GgufFile,
  options: LoadOptions = {},
): Promise<Inspection> {
  const spec = quantisedSpec(modelSpec(file), options.quantize);
  const plan = await planOnly(file, spec, options);
  const types = typesOf(file);
  const said = (key: string): string | null => {
    const value = file.metadata[key];
    return typeof value === "string" ? value : null;
  };
  const kind = said("tokenizer.ggml.model"), pre = said("tokenizer.ggml.pre");
  return {
    model,
    path: file.path,
    bytes: file.files.reduce((sum, f) => sum + f.bytes, 0),
    name: said("general.name"),
    architecture: spec.architecture,
    licence: said("general.license") ?? catalog.get(model)?.licence ?? null,
    parameters: types.reduce((sum, t) => sum + t.parameters, 0),
    types,
    context: spec.context,
    vocabulary: spec.vocab,
    hidden: spec.hidden,
    layers: spec.layers.length,
    attention: attentionOf(spec.layers),
    kvBytesPerToken: plan.groups.reduce(
      (sum, g) => sum + g.sealedBytes / g.shape.tokens,
      0,
    ),
    tokenizer: kind === null || pre === null ? kind : `${kind} (${pre})`,
    chatTemplate: said("tokenizer.chat_template") !== null,
    plan: plan.explain(),
  };
}

function typesOf(file: GgufFile): TypeShare[] {
  const shares = new Map<string, TypeShare>();
  for (const t of file.tensors.values()) {
    const old = shares.get(t.type);
    shares.set(t.type, {
      type: t.type,
      tensors: (old?.tensors ?? 0) + 1,
      parameters: (old?.parameters ?? 0) + t.inputs * t.outputs * t.stack,
      bytes: (old?.bytes ?? 0) + t.bytes,
    });
  }
  return [...shares.values()].sort((a, b) => b.bytes - a.bytes);
}

function attentionOf(
  layers: ReturnType<typeof modelSpec>["layers"],
): Inspection["attention"] {
  const kinds = new Map<string, Inspection["attention"][number]>();
  for (const { qHeads: heads, kvHeads, headDim, window = null } of layers) {
    const key = [heads, kvHeads, headDim, window].join();
    const count = (kinds.get(key)?.layers ?? 0) + 1;
    kinds.set(key, { layers: count, heads, kvHeads, headDim, window });
  }
  return [...kinds.values()];
}

function text(i: Inspection): string {
  const rows: [string, string][] = [
    ["model", i.name === null ? i.model : `${i.model}, "${i.name}"`],
    ["file", `${i.path}, ${formatBytes(i.bytes)}`],
    ["architecture", i.architecture],
    ["licence", i.licence ?? "not said"],
    ["parameters", formatCount(i.parameters)],
    ["context", `${i.context} tokens`],
    ["vocabulary", `${i.vocabulary} tokens, ${i.tokenizer ?? "no tokenizer"}`],
    ["chat template", i.chatTemplate ? "yes" : "no"],
    ["layers", `${i.layers} of ${i.hidden} values`],
    ...i.attention.map(({ layers, heads, kvHeads, headDim, window }) =>
      [
        "attention",
        `${layers} layers: ${heads} heads of ${headDim}, ${kvHeads} for K and V, ` +
        (window === null ? "seeing everything" : `a window of ${window}`),
      ] as [string, string]
    ),
    ["K and V", `${formatBytes(i.kvBytesPerToken)} per token`],
  ];
  const types = i.types.map((t) => [
    t.type,
    `${t.tensors}`,
    formatCount(t.parameters),
    formatBytes(t.bytes),
  ]);
  return [
    table(rows, 2),
    table([["weights", "tensors", "parameters", "bytes"], ...types], 1),
    i.plan,
  ].join("\n\n") + "\n";
}
