import assert from "node:assert/strict";
import type { CachePlan } from "../core/plan.ts";
import type { Plugin } from "../core/plugin.ts";
import type { LayerShape } from "../core/types.ts";
import { dice } from "../core/testing/cache_driver.ts";
import {
  codecPlugin,
  fakeCodec,
  type FakeCodecOptions,
} from "../core/testing/fake_codec.ts";
import { fakePlan, layoutPlugin } from "../core/testing/fake_plan.ts";
import { memoryTier, tierPlugin } from "../core/testing/memory_tier.ts";
import { runScenario, type Scenario } from "../core/testing/scenario.ts";
import { observerPlugin, ToyDrafter } from "../core/testing/toys.ts";
import { checkpointing } from "./checkpointing.ts";
import { contiguous } from "./contiguous.ts";
import { fairShare } from "./fair_share.ts";
import { pagedAttention } from "./paged_attention.ts";
import { prefixCache } from "./prefix_cache.ts";
import { promptLookup } from "./prompt_lookup.ts";
import { slidingWindow, type SlidingWindowOptions } from "./sliding_window.ts";

/** What one choice in one dimension brings. */
interface Choice {
  readonly plugins?: () => readonly Plugin[];
  readonly tight?: boolean;
  readonly drafts?: boolean;
}

const paged = (blockTokens: number): Choice => ({
  plugins: () => [pagedAttention({ blockTokens })],
});

const windows = (...all: readonly SlidingWindowOptions[]): Choice => ({
  plugins: () => all.map(slidingWindow),
});

const codec = (
  options: FakeCodecOptions,
  layers?: (l: LayerShape) => boolean,
): Choice => ({
  plugins: () => [
    codecPlugin(fakeCodec(options), layers === undefined ? {} : { layers }),
  ],
});

// A dimension is one entry.
const DIMENSIONS: Readonly<Record<string, Readonly<Record<string, Choice>>>> = {
  layout: {
    "blocks of 2": paged(2),
    "blocks of 3": paged(3),
    "blocks of 16": paged(16),
    "contiguous": { plugins: () => [contiguous({ tokens: 40 })] },
    "2 and 3 by layer": {
      plugins: () => [
        layoutPlugin(2, (l) => l.layer === 0),
        layoutPlugin(3, (l) => l.layer > 0),
      ],
    },
  },
  window: {
    "all": {},
    "7": windows({ window: 7 }),
    "7, 2 sinks": windows({ window: 7, sinks: 2 }),
    "7, 5 sinks, reach 12": windows({ window: 7, sinks: 5, reach: 12 }),
    "7 on some": windows({ window: 7, layers: (l) => l.layer !== 1 }),
    "7 on some, 2 sinks": windows({
      window: 7,
      sinks: 2,
      layers: (l) => l.layer !== 1,
      reach: 10,
    }),
    "7 on some, 5 sinks": windows({
      window: 7,
      sinks: 5,
      layers: (l) => l.layer === 2,
    }),
    // Sinks of the one that the other lets go of, one by one.
    "9, 4 and 3 sinks on one": windows({ window: 9 }, {
      window: 4,
      sinks: 3,
      layers: (l) => l.layer === 0,
    }),
    "9, 5 sinks, and 14 sinks on one": windows({ window: 9, sinks: 5 }, {
      window: 14,
      sinks: 14,
      layers: (l) => l.layer === 1,
    }),
  },
  prefix: {
    "off": {},
    "on": { plugins: () => [prefixCache()] },
    "on, tight": {
      plugins: () => [prefixCache({ remembered: 4 })],
      tight: true,
    },
    "on, little kept": {
      plugins: () => [prefixCache({ mostBytes: 600 })],
    },
  },
  admission: {
    "by priority": {},
    "fair": { plugins: () => [fairShare({ weights: { a: 2 } })] },
  },
  drafting: {
    "none": {},
    "prompt lookup": { plugins: () => [promptLookup({ ngram: 1, most: 4 })] },
    "mostly right": { drafts: true },
  },
  codec: {
    "none": {},
    "fused": codec({ id: "fused", lossy: true }),
    "fused, 1 kept": codec({ id: "fused", lossy: true, keepFirst: 1 }),
    "fused on one": codec({ id: "fused", lossy: true }, (l) => l.layer === 1),
    "rounded": codec({ id: "rounded", lossy: true }),
    "rounded, 1 kept": codec({ id: "rounded", lossy: true, keepFirst: 1 }),
  },
  checkpoints: {
    "none": {},
    "tokens": { plugins: () => [checkpointing({ every: "tokens" })] },
    "every layer": {
      plugins: () => [checkpointing({ every: 1, bytes: 1 << 16 })],
    },
    "every other, few": {
      plugins: () => [checkpointing({ every: 2, bytes: 900 })],
    },
  },
  tiers: {
    "none": {},
    "memory": {
      plugins: () => [tierPlugin(memoryTier(4000), memoryTier(1 << 20, 2))],
    },
  },
};

interface Combination {
  readonly name: string;
  readonly choices: readonly Choice[];
}

function combine(names: readonly string[]): Combination[] {
  return names.reduce<Combination[]>(
    (list, name) =>
      list.flatMap((c) =>
        Object.entries(DIMENSIONS[name]!).map(([choice, value]) => ({
          name: `${c.name}${c.name && "; "}${name} ${choice}`,
          choices: [...c.choices, value],
        }))
      ),
    [{ name: "", choices: [] }],
  );
}

/** Plugins of a combination in a random order, those of `more` among them. */
async function run(
  { choices }: Combination,
  seed = 0,
  more: readonly Plugin[] = [],
): Promise<Scenario> {
  const drafter = new ToyDrafter(4, 6);
  const plugins = [
    ...choices.flatMap((c) => c.plugins?.() ?? []),
    ...(choices.some((c) => c.drafts) ? [drafter.plugin] : []),
    ...more,
  ];
  const roll = dice(seed + 1);
  if (seed > 0) {
    for (let i = plugins.length - 1; i > 0; i--) {
      const j = roll(i + 1);
      [plugins[i], plugins[j]] = [plugins[j]!, plugins[i]!];
    }
  }
  return await runScenario(plugins, {
    rows: 16,
    seqs: 6,
    bytes: 1 << 16,
    tableStride: 32,
    fused: ["fused"],
    tight: choices.some((c) => c.tight),
    planned: (plan: CachePlan) => drafter.learn(plan),
  });
}

// Codecs multiply what there is: of those with one, every eighth by its name.
const ALL = combine(Object.keys(DIMENSIONS)).filter(({ name }) =>
  name.includes("codec none") || hash(name) % 8 === 0
);

function hash(text: string): number {
  let h = 0x811c9dc5;
  for (const c of text) h = Math.imul(h ^ c.charCodeAt(0), 0x01000193) >>> 0;
  return h >>> 8;
}

/** What has to happen in the combinations of a layout, together. */
const HAPPENS = [
  "copies",
  "preempted",
  "moves",
  "drafted",
  "accepted",
] as const;
const SHARES = ["hits", "evictions", "recomputed"] as const;

for (const layout of Object.keys(DIMENSIONS.layout!)) {
  const mine = ALL.filter((c) => c.name.startsWith(`layout ${layout};`));
  Deno.test(`the matrix: ${mine.length} combinations with ${layout} give the oracle's tokens`, async () => {
    const seen: Record<string, number> = {};
    for (const [i, c] of mine.entries()) {
      try {
        const { cache, scheduler } = await run(c, i);
        for (const [what, n] of Object.entries({ ...cache, ...scheduler })) {
          if (typeof n === "number") seen[what] = (seen[what] ?? 0) + n;
        }
      } catch (cause) {
        throw new Error(`${c.name}: ${(cause as Error).message}`, { cause });
      }
    }
    // A run of a whole sequence is never full, so nothing finds it.
    const wanted = layout === "contiguous" ? HAPPENS : [...HAPPENS, ...SHARES];
    for (const what of wanted) {
      assert.ok(seen[what]! > mine.length / 4, `${what}: ${seen[what]} times`);
    }
  });
}

Deno.test("the matrix has 256 combinations or more, each of its own", () => {
  assert.ok(ALL.length >= 256, `${ALL.length} combinations`);
  assert.equal(new Set(ALL.map((c) => c.name)).size, ALL.length);
});

Deno.test("order law: any order of the plugins gives the same plan and the same run", async () => {
  for (let i = 0; i < ALL.length; i += 17) {
    const c = ALL[i]!;
    const first = await run(c);
    for (const seed of [i + 1, i + 2]) {
      const { plan, tokens, cache } = await run(c, seed);
      assert.equal(plan.fingerprint, first.plan.fingerprint, c.name);
      assert.equal(plan.explain(), first.plan.explain(), c.name);
      assert.deepEqual(tokens, first.tokens, c.name);
      if (c.name.endsWith("tiers none")) {
        assert.deepEqual(cache, first.cache, c.name);
      }
    }
  }
});

Deno.test("order law: the fingerprint says layouts, windows and codecs, and nothing else", async () => {
  const prints = new Map<string, string>();
  const sizes = { layers: 3, fused: ["fused"] };
  for (const c of combine(["layout", "window", "codec"])) {
    const plugins = c.choices.flatMap((x) => x.plugins?.() ?? []);
    const { plan } = await fakePlan(plugins, sizes);
    prints.set(c.name, plan.fingerprint);
    for (
      const more of [
        prefixCache(),
        fairShare(),
        promptLookup(),
        observerPlugin(),
      ]
    ) {
      const other = await fakePlan([more, ...plugins], sizes);
      assert.equal(other.plan.fingerprint, plan.fingerprint, more.name);
    }
  }
  assert.equal(new Set(prints.values()).size, prints.size);
});

Deno.test("transparency law: index, observer, admission, drafter and tiers change no token", async () => {
  const extras: Readonly<Record<string, () => readonly Plugin[]>> = {
    "prefix cache": () => [prefixCache()],
    "observer": () => [observerPlugin()],
    "admission": () => [fairShare()],
    "prompt lookup": () => [promptLookup({ ngram: 2 })],
    "tier": () => [tierPlugin(memoryTier(1 << 16))],
    "all of them": () => [
      prefixCache(),
      observerPlugin(),
      fairShare(),
      promptLookup(),
      tierPlugin(memoryTier(1 << 16)),
    ],
  };
  for (const c of combine(["layout", "window", "codec"])) {
    if (!c.name.includes("codec none") && hash(c.name) % 4 !== 0) continue;
    const bare = await run(c);
    for (const [name, plugins] of Object.entries(extras)) {
      const { plan, tokens } = await run(c, 3, plugins());
      assert.equal(plan.fingerprint, bare.plan.fingerprint);
      assert.deepEqual(tokens, bare.tokens, `${c.name}, with ${name}`);
    }
  }
});
