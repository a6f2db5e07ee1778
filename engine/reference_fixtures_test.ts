import assert from "node:assert/strict";
import type { ExpertsSpec, LayerSpec, ModelSpec } from "../core/model.ts";
import {
  type ReferenceCut,
  referenceLogits,
} from "./testing/reference_logits.ts";
import {
  checkTiny,
  measureTiny,
  missesOf,
  tinyModels,
} from "./testing/tiny_fixtures.ts";
import { openTinyModel } from "./testing/tiny_models.ts";

/** The longest sequence with its continuation. */
const LENGTH = 174;

const CUTS: Readonly<Record<string, ReferenceCut>> = {
  "in one chunk": { length: LENGTH, blockTokens: 32, chunk: LENGTH },
  "in chunks of 33, then token by token": {
    length: LENGTH,
    blockTokens: 8,
    chunk: 33,
    decode: 24,
  },
};

const models = tinyModels();
const ignore = models.length === 0;

Deno.test({
  name: `createReference() meets level "float32" on the tiny models${
    ignore ? " (ignored: no fixtures beside the repository)" : ""
  }`,
  ignore,
  fn: async (t) => {
    for (const name of models) {
      for (const [how, cut] of Object.entries(CUTS)) {
        await t.step(`${name}, ${how}`, async () => {
          const { fixture, spec, read } = await openTinyModel(name);
          await checkTiny(fixture, "float32", referenceLogits(spec, read, cut));
        });
      }
    }
  },
});

type Mutant = (spec: ModelSpec) => ModelSpec;

/** Changes every layer, or those `only` picks. */
function layers(
  change: (layer: LayerSpec) => Partial<LayerSpec>,
  only: (layer: LayerSpec) => boolean = () => true,
): Mutant {
  return (spec) => ({
    ...spec,
    layers: spec.layers.map((l) => only(l) ? { ...l, ...change(l) } : l),
  });
}

/** Swaps parts of every layer's tensors. */
function tensors(
  change: (tensors: LayerSpec["tensors"]) => Partial<LayerSpec["tensors"]>,
): Mutant {
  return layers(({ tensors }) => ({
    tensors: { ...tensors, ...change(tensors) },
  }));
}

/** Changes what every layer says of its experts. */
function experts(change: (experts: ExpertsSpec) => ExpertsSpec): Mutant {
  return layers((layer) => ({ experts: change(layer.experts!) }));
}

const MOE = ["mixtral-moe", "mixtral-moe-q4_0"];

const windowed = (layer: LayerSpec) => layer.window !== undefined;
const global = (layer: LayerSpec) => layer.window === undefined;

/** Mistakes an implementation could make, and models that must show each. */
const MUTANTS: Readonly<Record<string, [readonly string[], Mutant]>> = {
  "rope-style": [
    ["llama-gqa", "gemma3", "gemma2", "phi3", "qwen2", "qwen3"],
    layers(({ rope }) => {
      const style = rope.style === "halves" ? "neighbours" : "halves";
      return { rope: { ...rope, style } };
    }),
  ],
  "rope-base-10000": [
    ["gemma3", "llama3-rope", "qwen2", "qwen3"],
    layers(({ rope }) => ({ rope: { ...rope, base: 10000 } })),
  ],
  "one-rope-base": [
    ["gemma3"],
    (spec) => {
      const { base } = spec.layers.find(global)!.rope;
      return layers(({ rope }) => ({ rope: { ...rope, base } }))(spec);
    },
  ],
  "no-rope-factors": [
    ["llama3-rope"],
    layers(({ rope: { factors: _, ...rope } }) => ({ rope })),
  ],
  "no-rope-scaling": [
    ["gemma3"],
    layers(({ rope }) => ({ rope: { ...rope, divide: 1 } })),
  ],
  "rope-scaling-on-local-too": [
    ["gemma3"],
    (spec) => {
      const { divide } = spec.layers.find(global)!.rope;
      return layers(({ rope }) => ({ rope: { ...rope, divide } }))(spec);
    },
  ],
  "rms-eps-1e-3": [
    ["llama-gqa", "head-128", "mistral-swa", "gemma3", "gemma2", "phi3"],
    (spec) => ({ ...spec, normEps: 1e-3 }),
  ],
  "no-window": [
    ["mistral-swa", "gemma3", "gemma2", "phi3"],
    layers(() => ({ window: undefined })),
  ],
  "window+1": [
    ["mistral-swa", "gemma3", "gemma2", "phi3"],
    layers(({ window }) => ({ window: window! + 1 }), windowed),
  ],
  "window-1": [
    ["mistral-swa", "gemma3", "gemma2", "phi3"],
    layers(({ window }) => ({ window: window! - 1 }), windowed),
  ],
  "windows-on-odd-layers": [
    ["gemma2"],
    (spec) => {
      const { window } = spec.layers.find(windowed)!;
      const swapped = layers((l) => ({
        window: l.window === undefined ? window : undefined,
      }));
      return swapped(spec);
    },
  ],
  "no-attention-softcap": [
    ["gemma2"],
    (spec) => ({
      ...spec,
      layers: spec.layers.map(({ attnCap: _, ...layer }) => layer),
    }),
  ],
  "no-final-softcap": [["gemma2"], ({ logitCap: _, ...spec }) => spec],
  "no-qkv-bias": [
    ["qwen2"],
    layers(({ tensors: { qBias: _q, kBias: _k, vBias: _v, ...tensors } }) => ({
      tensors,
    })),
  ],
  "no-v-bias": [
    ["qwen2"],
    layers(({ tensors: { vBias: _, ...tensors } }) => ({ tensors })),
  ],
  "k-and-v-swapped": [["phi3"], tensors(({ k, v }) => ({ k: v, v: k }))],
  "gate-up-swapped": [
    ["phi3"],
    layers(({ mlp }) => ({ mlp: { ...mlp!, gate: mlp!.up, up: mlp!.gate } })),
  ],
  "window-on-all-layers": [
    ["gemma3", "gemma2"],
    (spec) => {
      const { window } = spec.layers.find(windowed)!;
      return layers(() => ({ window }))(spec);
    },
  ],
  "no-embedding-scale": [
    ["gemma3", "gemma2"],
    (spec) => ({ ...spec, embeddingScale: 1 }),
  ],
  "silu-for-gelu": [
    ["gemma3", "gemma2"],
    layers(() => ({ activation: "silu" })),
  ],
  "gelu-for-silu": [["llama-gqa"], layers(() => ({ activation: "gelu" }))],
  "no-qk-norm": [
    ["gemma3", "qwen3"],
    layers(({ tensors: { qNorm: _q, kNorm: _k, ...tensors } }) => ({
      tensors,
    })),
  ],
  "no-post-norms": [
    ["gemma3", "gemma2"],
    layers(({ tensors }) => {
      const { postAttnNorm: _a, postFfnNorm: _f, ...rest } = tensors;
      return { tensors: rest };
    }),
  ],
  "top-1": [MOE, experts((e) => ({ ...e, used: 1 }))],
  "top-3": [MOE, experts((e) => ({ ...e, used: 3 }))],
  "no-renormalise": [MOE, experts((e) => ({ ...e, normalised: false }))],
  "experts-in-another-order": [
    MOE,
    experts((e) => ({ ...e, each: e.each.toReversed() })),
  ],
  "no-attention-scale": [["llama-gqa"], layers(() => ({ attnScale: 1 }))],
};

Deno.test({
  name: `missesOf() level "float32" shows every planted mistake${
    ignore ? " (ignored: no fixtures beside the repository)" : ""
  }`,
  ignore,
  fn: async (t) => {
    for (const [mistake, [names, mutate]] of Object.entries(MUTANTS)) {
      for (const name of names) {
        await t.step(`${mistake}, ${name}`, async () => {
          const { fixture, spec, read } = await openTinyModel(name);
          const cut = CUTS["in one chunk"]!;
          const logits = referenceLogits(mutate(spec), read, cut);
          const figures = await measureTiny(fixture, logits);
          assert.notDeepEqual(missesOf(figures, "float32"), []);
        });
      }
    }
  },
});
