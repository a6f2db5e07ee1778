/**
 * What a codec asks of the blocks it is to seal, and what that makes of a plan.
 *
 * @module
 */
import type { Contribution, Contributions } from "./contributions.ts";
import { rawCodec } from "./defaults.ts";
import { spans } from "./explain.ts";
import type { Resolved } from "./groups.ts";
import { sha256Text } from "./sha256.ts";
import type { AttendKernel, Codec, Layout } from "./slots.ts";
import type { LayerShape } from "./types.ts";

/** The codec of a layer; one that is the backend's own format seals nothing. */
export function actualCodec(
  given: Contribution<"codec"> | undefined,
  rawFormat: string,
): { readonly codec: Codec; readonly note: string | undefined } {
  const codec = given?.value;
  if (codec === undefined || isRaw(codec, rawFormat)) {
    return {
      codec: rawCodec(),
      note: codec === undefined
        ? undefined
        : `"${codec.id}" is what open blocks are in: nothing is sealed`,
    };
  }
  return { codec, note: undefined };
}

/** Codecs that take over below the device, by tier, as far as they change anything. */
export function tierCodecsOf(
  given: Contributions,
  layer: number,
  rawFormat: string,
): ReadonlyMap<string, Codec> {
  const codecs = given.of("codec").filter((c) => c.layers[layer]!);
  const out = new Map<string, Codec>();
  for (const tier of new Set(codecs.map((c) => c.tier))) {
    if (tier === undefined) continue;
    if (!given.of("tier").some((t) => t.value.id === tier)) {
      given.report({
        code: "missing",
        slot: "codec",
        plugins: codecs.filter((c) => c.tier === tier).map((c) => c.plugin),
        message:
          `a codec is meant for tier "${tier}", which no plugin provides`,
      });
    }
    const one = given.one(
      "codec",
      ` at tier "${tier}"`,
      (c) => c.layers[layer]! && c.tier === tier,
    );
    if (one && !isRaw(one.value, rawFormat)) out.set(tier, one.value);
  }
  return out;
}

function isRaw({ id }: Codec, rawFormat: string): boolean {
  return id === "raw" || id === rawFormat;
}

/**
 * The layout with the first of its sizes that a kernel and the codec take and that
 * has as many tokens as the codec asks for, or else the first they take at all.
 * Sizes in which a kernel reads the codec's format come before others. Unchanged
 * where none will do, and where there is no choice.
 */
export function negotiate(
  layout: Layout,
  layer: LayerShape,
  offered: readonly AttendKernel[],
  rawFormat: string,
  codec: Codec,
): Layout {
  const { alternatives = [], multipleOf = 1 } = layout;
  const sealed = codec.id !== "raw";
  if (alternatives.length === 0 || (offered.length === 0 && !sealed)) {
    return layout;
  }
  const takes = (format: string, tokens: number): boolean =>
    offered.some((k) => k.supports(format, layer, tokens).ok);
  const sizes = [layout.blockTokens, ...alternatives].filter((tokens) =>
    tokens % multipleOf === 0 &&
    (offered.length === 0 || takes(rawFormat, tokens)) &&
    (codec.supports?.(layer, tokens).ok ?? true)
  );
  const fused = sealed ? sizes.filter((n) => takes(codec.id, n)) : [];
  const wanted = codec.blockTokens ?? 1;
  const large = (n: number): boolean => n >= wanted;
  const blockTokens = fused.find(large) ?? fused[0] ?? sizes.find(large) ??
    sizes[0] ?? layout.blockTokens;
  return { ...layout, blockTokens };
}

/**
 * Reports codecs that refuse blocks of the group, and first blocks that are no
 * number of them, which it returns.
 */
export function checkBlocks(
  given: Contributions,
  group: readonly Resolved[],
): number {
  const { codec, codecBy, tierCodecs, layout } = group[0]!;
  const { blockTokens } = layout;
  const plugins = codecBy === undefined ? [] : [codecBy];
  for (const [tier, of] of [["", codec] as const, ...tierCodecs]) {
    const refusals = new Map<string, number[]>();
    for (const { layer } of group) {
      const s = of.supports?.(layer, blockTokens);
      if (s === undefined || s.ok) continue;
      refusals.set(s.why, [...refusals.get(s.why) ?? [], layer.layer]);
    }
    for (const [why, layers] of refusals) {
      const by = tier === ""
        ? plugins
        : given.of("codec").filter((c) => c.tier === tier).map((c) => c.plugin);
      given.report({
        code: "value",
        slot: "codec",
        plugins: by,
        message: `codec "${of.id}" of plugin ${
          by.map((p) => `"${p}"`).join(" and ")
        } does not take layers ${
          spans(layers)
        } with ${blockTokens} tokens per block: ${why}; choose another layout or codec for them`,
      });
    }
  }
  const { keepFirst = 0 } = codec;
  if (Number.isInteger(keepFirst) && keepFirst >= 0) return keepFirst;
  given.report({
    code: "value",
    slot: "codec",
    plugins,
    message:
      `codec "${codec.id}" of plugin "${codecBy}" keeps the first ${keepFirst} blocks open: a whole number from 0 is wanted`,
  });
  return 0;
}

/** What is taken off before coding, as a text to tell plans apart by. */
export function centresKey(codec: Codec, layers: readonly number[]): string {
  if (codec.centre === undefined) return "";
  return sha256Text(
    JSON.stringify(layers.map((l) => [...codec.centre!(l) ?? []])),
  );
}
