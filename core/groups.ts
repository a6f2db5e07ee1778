/**
 * Resolves the slots of each layer and joins layers that came out the same.
 *
 * @module
 */
import type { Contribution, Contributions } from "./contributions.ts";
import { defaultLayout } from "./defaults.ts";
import { spans } from "./explain.ts";
import {
  actualCodec,
  centresKey,
  checkBlocks,
  negotiate,
  tierCodecsOf,
} from "./group_codec.ts";
import type { GroupPlan, PlanOptions } from "./plan.ts";
import { probe, Sight } from "./sight.ts";
import { groupSlab } from "./slab.ts";
import type { AttendKernel, Codec, Layout, Retention } from "./slots.ts";
import type { LayerShape } from "./types.ts";

/** A group and what it was joined by. */
export interface KeyedGroup {
  readonly key: string;
  readonly plan: GroupPlan;
}

/** What the slots of one layer came to. */
export interface Resolved {
  readonly key: string;
  readonly layer: LayerShape;
  readonly layout: Layout;
  readonly codec: Codec;
  /** Its plugin; undefined for the default. */
  readonly codecBy: string | undefined;
  readonly note: string | undefined;
  readonly tierCodecs: ReadonlyMap<string, Codec>;
  readonly retention: readonly Retention[];
  readonly by: readonly string[];
}

/** Most tokens a block may have. */
const MAX_BLOCK = 1 << 16;

/** The groups, ascending by their first layer. Conflicts go to `given`. */
export function planGroups(
  given: Contributions,
  options: PlanOptions,
): readonly KeyedGroup[] {
  const joined = new Map<string, Resolved[]>();
  const probed = new Map<string, string>();
  for (const [i, layer] of options.model.layers.entries()) {
    const r = resolve(given, layer, i, probed, options);
    const group = joined.get(r.key);
    if (group) group.push(r);
    else joined.set(r.key, [r]);
  }
  if (joined.size === 0) {
    given.report({
      code: "value",
      plugins: [],
      message: `model "${options.model.id}" has no layers`,
    });
  }
  return [...joined.values()].map((g) => plan(g, given, options));
}

function resolve(
  given: Contributions,
  layer: LayerShape,
  i: number,
  probed: Map<string, string>,
  { backend }: PlanOptions,
): Resolved {
  const place = ` per layer, layer ${layer.layer}`;
  const layout = given.one("layout", place, (c) => c.layers[i]!);
  const codec = given.one(
    "codec",
    place,
    (c) => c.layers[i]! && c.tier === undefined,
  );
  const { rawFormat } = backend;
  const tierCodecs = tierCodecsOf(given, i, rawFormat);
  const actual = actualCodec(codec, rawFormat);
  const retained = [...given.of("retention")].filter((c) => c.layers[i]!)
    .sort((a, b) => a.value.id < b.value.id ? -1 : 1);
  // Equal ids from two places are one rule, unless they see different things,
  // which the probe's text then shows.
  const retention = retained.map((c) => c.value)
    .filter((r, at, all) => all.indexOf(r) === at);
  checkLayout(given, layout);
  const chosenLayout = negotiate(
    layout?.value ?? defaultLayout(),
    layer,
    offeredKernels(given, backend),
    rawFormat,
    actual.codec,
  );
  return {
    key: JSON.stringify([
      chosenLayout.id,
      chosenLayout.blockTokens,
      actual.codec.id,
      actual.codec.keepFirst ?? 0,
      // Equal ids of two plugins are one format, unless they take different things off.
      actual.codec.centre === undefined ? "" : codec?.plugin,
      [...tierCodecs].map(([t, c]) => [t, c.id]),
      [...new Set(retention.map((r) => r.id))],
      probeOnce(given, retained, probed),
      layer.kvHeads,
      layer.headDim,
    ]),
    layer,
    layout: chosenLayout,
    codec: actual.codec,
    codecBy: codec?.plugin,
    note: actual.note,
    tierCodecs,
    retention,
    by: [
      `layout: ${who(layout)}`,
      `codec: ${who(codec)}`,
      ...retained.map((c) => `retention: "${c.plugin}"`),
    ],
  };
}

function probeOnce(
  given: Contributions,
  retained: readonly Contribution<"retention">[],
  probed: Map<string, string>,
): string {
  const all = given.of("retention");
  const key = retained.map((c) => all.indexOf(c)).join();
  let text = probed.get(key);
  if (text !== undefined) return text;
  try {
    text = probe(retained.map((c) => c.value));
  } catch (e) {
    text = "refused";
    const names = [...new Set(retained.map((c) => c.plugin))];
    const ids = retained.map((c) => `"${c.value.id}" of plugin "${c.plugin}"`);
    given.report({
      code: "value",
      slot: "retention",
      plugins: names,
      message: `retention ${ids.join(" with ")} cannot be run: ${
        e instanceof Error ? e.message : e
      }`,
    });
  }
  probed.set(key, text);
  return text;
}

function checkLayout(
  given: Contributions,
  layout: Contribution<"layout"> | undefined,
): void {
  if (layout === undefined) return;
  const { id, blockTokens, multipleOf = 1 } = layout.value;
  const whole = Number.isInteger(blockTokens) && blockTokens >= 1 &&
    blockTokens <= MAX_BLOCK;
  if (whole && blockTokens % multipleOf === 0) return;
  given.report({
    code: "value",
    slot: "layout",
    plugins: [layout.plugin],
    message:
      `layout "${id}" of plugin "${layout.plugin}" has blocks of ${blockTokens} tokens: 1 to ${MAX_BLOCK} and a multiple of ${multipleOf} are wanted`,
  });
}

function offeredKernels(
  given: Contributions,
  backend: PlanOptions["backend"],
): readonly AttendKernel[] {
  return [
    ...given.of("kernel").map((c) => c.value),
    ...backend.kernels,
  ].filter((k) => k.backend === backend.id);
}

function plan(
  group: readonly Resolved[],
  given: Contributions,
  { backend, strict }: PlanOptions,
): KeyedGroup {
  const { layer, layout, codec, tierCodecs, retention, by, note } = group[0]!;
  const layers = group.map((r) => r.layer.layer);
  const key = group[0]!.key + centresKey(codec, layers);
  const shape = {
    tokens: layout.blockTokens,
    layers: layers.length,
    kvHeads: layer.kvHeads,
    headDim: layer.headDim,
    layerIds: layers,
  };
  const keepFirst = checkBlocks(given, group);
  const offered = offeredKernels(given, backend);
  const notes: string[] = note === undefined ? [] : [note];
  const kernels = new Map<string, AttendKernel>();
  const formats = codec.id === "raw" ? ["raw"] : ["raw", codec.id];
  for (const name of formats) {
    const format = name === "raw" ? backend.rawFormat : name;
    const best = choose(offered, format, group, notes);
    if (best) kernels.set(name, best);
    else if (offered.length === 0 && name === "raw") {
      notes.push(`the backend reads "${format}" itself`);
    } else if (
      name === "raw" || strict ||
      (codec.lossy && backend.openBlocks === undefined)
    ) {
      given.report({
        code: "kernel",
        slot: "kernel",
        plugins: by.map((b) => /"(.*)"/.exec(b)?.[1]).filter((n) =>
          n !== undefined
        ),
        message:
          `no kernel of backend "${backend.id}" reads "${format}" in layers ${
            spans(layers)
          } with ${layout.blockTokens} tokens per block: ${
            notes.join(", ") || "it offers none"
          }; choose a layout and a format that one of them takes`,
      });
    } else {
      notes.push(
        `no kernel reads "${format}": ${
          codec.lossy
            ? "full blocks are decoded in place"
            : "blocks stay as they are"
        }, no bytes saved`,
      );
    }
  }
  const fused = codec.id !== "raw" && kernels.has(codec.id) ? codec : undefined;
  const refused = given.conflicts.length > 0;
  const blockBytes = refused ? 0 : backend.blockBytes(shape);
  return {
    key,
    plan: Object.freeze({
      layers,
      shape,
      blockBytes,
      sealedBytes: refused || fused === undefined
        ? blockBytes
        : fused.bytes(shape),
      slab: groupSlab(backend, shape, fused),
      layout,
      codec,
      fused,
      rounds: codec.lossy && fused === undefined,
      keepFirst,
      tierCodecs,
      retention,
      sight: new Sight(retention),
      kernels,
      notes,
      by,
    }),
  };
}

/** The cheapest kernel that takes every layer of the group. */
function choose(
  offered: readonly AttendKernel[],
  format: string,
  group: readonly Resolved[],
  notes: string[],
): AttendKernel | undefined {
  let best: AttendKernel | undefined;
  let least = Infinity;
  const sorted = [...offered].sort((a, b) => a.id < b.id ? -1 : 1);
  for (const kernel of sorted) {
    let cost = 0;
    for (const { layer, layout } of group) {
      const s = kernel.supports(format, layer, layout.blockTokens);
      if (s.ok) cost = Math.max(cost, s.cost);
      else {
        notes.push(`kernel "${kernel.id}" declined "${format}": ${s.why}`);
        cost = Infinity;
        break;
      }
    }
    if (cost < least) {
      best = kernel;
      least = cost;
    }
  }
  return best;
}

function who(c: { readonly plugin: string } | undefined): string {
  return c === undefined ? "default" : `"${c.plugin}"`;
}
