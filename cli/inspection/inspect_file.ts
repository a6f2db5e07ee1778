/**
 * All that `quire inspect` says of a model, as data.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import type { LayerSpec, ModelSpec } from "../../core/model.ts";
import { PlanError } from "../../core/plugin.ts";
import { modelSpec } from "../../models/arch/mod.ts";
import { catalog } from "../../models/catalog.ts";
import { TENSOR_TYPES } from "../../models/tensor_types.ts";
import type { ModelFile } from "../../models/model_file.ts";
import { quantisedSpec } from "../../models/quantise_at_load.ts";
import { createTokenizer } from "../../models/tokenizer.ts";
import type { LoadOptions } from "../../mod.ts";
import { planOnly } from "../plan_only.ts";
import { type Fit, fitOf } from "./fit.ts";
import { kvOf, type KvShare, tokenBytes } from "./kv.ts";
import { type Claims, claimsOf } from "./claims.ts";
import { type TemplateFacts, templateFacts } from "./template.ts";
import { parametersOf, type TypeShare, typesOf } from "./types.ts";
import { ropesOf, windowsOf, wordsOf } from "./words.ts";

/** Layers that attend alike. */
export interface AttentionShare {
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Positions a query sees; null: all before it. */
  readonly window: number | null;
}

/** What `inspect --json` prints. Null: the file does not say it, or not in known words. */
export interface Inspection {
  readonly model: string;
  readonly path: string;
  /** All files of it, bytes, and how many they are. */
  readonly bytes: number;
  readonly files: number;
  readonly name: string | null;
  readonly architecture: string | null;
  /** The architecture in words; empty for one that is not known. */
  readonly words: readonly string[];
  readonly licence: string | null;
  readonly parameters: number;
  /** Of these, what computes one token: fewer where there are experts. */
  readonly activeParameters: number;
  /** Largest share first. */
  readonly types: readonly TypeShare[];
  /** Longest context the model was trained for, tokens. */
  readonly context: number | null;
  readonly vocabulary: number | null;
  readonly hidden: number | null;
  readonly layers: number | null;
  /** Of each kind of layer; one entry where all are the same. */
  readonly attention: readonly AttentionShare[];
  /** A sign for each layer; null where no layer has a window. */
  readonly windows:
    | { readonly drawing: string; readonly legend: string }
    | null;
  /** How positions turn, once for each way. */
  readonly rope: readonly string[];
  readonly experts: { readonly count: number; readonly used: number } | null;
  /** As planned with the options given. */
  readonly kvBytesPerToken: number | null;
  /** In every format. */
  readonly kv: readonly KvShare[];
  readonly tokenizer: string | null;
  readonly chatTemplate: TemplateFacts | null;
  /** Whether it runs here, why not, and with which options. */
  readonly fit: Pick<Fit, "runs" | "says" | "options"> & Partial<Fit>;
  /** What `engine.plan.explain()` says; null where there is no plan. */
  readonly plan: string | null;
}

/** What is known of the machine and the user. */
export interface InspectOptions {
  readonly load?: LoadOptions;
  /** Bytes of memory that are free. */
  readonly machine?: number | undefined;
}

/**
 * Looks at an opened file. One that cannot be run is described as far as it says
 * something; `fit` says why.
 *
 * @param model The name the user gave, for the licence of a catalogue model.
 */
export async function inspectFile(
  model: string,
  file: ModelFile,
  { load = {}, machine }: InspectOptions = {},
): Promise<Inspection> {
  const claims = claimsOf(file);
  const spec = specOf(file, load);
  const common = {
    model,
    path: file.path,
    bytes: file.files.reduce((sum, f) => sum + f.bytes, 0),
    files: file.files.length,
    name: claims.name,
    architecture: claims.architecture,
    licence: claims.licence ?? catalog.get(model)?.licence ?? null,
    types: typesOf(
      file,
      load.precision === "exact",
      spec instanceof ModelError ? undefined : spec.tensors,
    ),
    vocabulary: claims.vocabulary,
    tokenizer: claims.tokenizer,
    chatTemplate: claims.template === null
      ? null
      : templateFacts(claims.template),
  };
  if (spec instanceof ModelError) {
    return { ...common, ...asClaimed(file, claims, spec) };
  }
  const experts = expertsOf(spec.layers);
  const { parameters, active } = parametersOf(file, experts);
  const plan = await planned(() => planOnly(file, spec, load));
  const fit = plan instanceof Error
    ? { runs: false, says: `no: ${plan.message}`, options: [] }
    : await fitOf(file, spec, load, machine);
  return {
    ...common,
    words: wordsOf(spec),
    parameters,
    activeParameters: active,
    context: spec.context,
    vocabulary: spec.vocab,
    hidden: spec.hidden,
    layers: spec.layers.length,
    attention: attentionOf(spec.layers),
    windows: windowsOf(spec.layers),
    rope: ropesOf(spec.layers),
    experts,
    kvBytesPerToken: plan instanceof Error ? null : tokenBytes(plan),
    kv: await kvOf(file, spec, load),
    fit,
    plan: plan instanceof Error ? null : plan.explain(),
  };
}

/** The model, or why it is none that can be run. */
function specOf(
  file: ModelFile,
  { quantize }: LoadOptions,
): ModelSpec | ModelError {
  const { unread = [], path } = file;
  if (unread.length > 0) {
    const [{ name, type }] = unread as [typeof unread[number]];
    return new ModelError(
      path,
      `tensor "${name}" has type ${type}, which cannot be read; ` +
        `wanted one of ${Object.keys(TENSOR_TYPES).join(", ")}`,
    );
  }
  try {
    const spec = quantisedSpec(modelSpec(file), quantize);
    createTokenizer(file);
    return spec;
  } catch (error) {
    if (error instanceof ModelError) return error;
    throw error;
  }
}

/** A plan, or why the options given allow none. */
async function planned<T>(make: () => Promise<T>): Promise<T | Error> {
  try {
    return await make();
  } catch (error) {
    if (error instanceof PlanError) return error;
    throw error;
  }
}

/** What the metadata says where nothing checks it. */
function asClaimed(file: ModelFile, claims: Claims, why: ModelError) {
  const { experts } = claims;
  const { parameters, active } = parametersOf(file, experts);
  const { heads, kvHeads, headDim, layers } = claims;
  return {
    words: [],
    parameters,
    activeParameters: active,
    context: claims.context,
    hidden: claims.hidden,
    layers,
    attention: heads === null || layers === null || headDim === null ? [] : [{
      layers,
      heads,
      kvHeads: kvHeads ?? heads,
      headDim,
      window: claims.window,
    }],
    windows: null,
    rope: [],
    experts,
    kvBytesPerToken: null,
    kv: [],
    fit: { runs: false, says: `no: ${why.problem}`, options: [] },
    plan: null,
  };
}

function expertsOf(
  layers: readonly LayerSpec[],
): { count: number; used: number } | null {
  const experts = layers.find((l) => l.experts !== undefined)?.experts;
  return experts === undefined
    ? null
    : { count: experts.each.length, used: experts.used };
}

function attentionOf(layers: readonly LayerSpec[]): readonly AttentionShare[] {
  const kinds = new Map<string, AttentionShare>();
  for (const { qHeads: heads, kvHeads, headDim, window = null } of layers) {
    const key = [heads, kvHeads, headDim, window].join();
    const count = (kinds.get(key)?.layers ?? 0) + 1;
    kinds.set(key, { layers: count, heads, kvHeads, headDim, window });
  }
  return [...kinds.values()];
}
