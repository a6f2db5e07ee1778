/**
 * A plan as text.
 *
 * @module
 */
import type { CachePlan, GroupPlan } from "./plan.ts";
import type { Restorer, Tier } from "./slots.ts";

/** Who filled the slots that hold for the whole cache; undefined: the default. */
export interface Deciders {
  readonly index: string | undefined;
  readonly evict: string | undefined;
  readonly admission: string | undefined;
  readonly draft: string | undefined;
  readonly weights: string | undefined;
  /** What the backend makes of the model's weights. */
  readonly kept: readonly string[];
  readonly plugins: readonly string[];
}

/** Says what a plan decided, by whom and why. */
export function explain(
  plan: Omit<CachePlan, "explain">,
  by: Deciders,
): string {
  const lines = [
    `cache plan ${plan.fingerprint} for model "${plan.model.id}" on backend "${plan.backend}"`,
    `plugins: ${by.plugins.map((n) => `"${n}"`).join(", ") || "none"}`,
  ];
  for (const [i, g] of plan.groups.entries()) lines.push(...group(plan, g, i));
  const tiers = plan.tiers.map((t) =>
    `"${t.id}" (rank ${t.rank}, ${t.capacity} bytes)`
  );
  lines.push(`tiers: ${["device", ...tiers].join(" > ")}`);
  for (const t of plan.tiers) lines.push(`tier "${t.id}": ${takes(t)}`);
  lines.push(
    `index: ${
      by.index ? `"${by.index}"` : "none, nothing is shared by content"
    }`,
    `evict: ${by.evict ? `"${by.evict}"` : "default, least recently used"}`,
    `admission: ${
      by.admission
        ? `"${by.admission}"`
        : "default, by priority, then first come, first served"
    }`,
  );
  if (plan.draft !== undefined) {
    lines.push(
      `draft: "${by.draft}", up to ${plan.draft.most} tokens at once`,
    );
  }
  if (by.weights !== undefined) lines.push(...weights(plan, by.weights));
  lines.push(...by.kept.map((note) => `weights: ${note}`));
  if (plan.restore !== undefined) lines.push(restoring(plan.restore));
  return lines.join("\n");
}

/** What a tier is for. */
function takes({ content, slice }: Tier): string {
  const of = ["requests that give way"];
  if (content !== undefined) {
    of.unshift(
      content.when === "full"
        ? "prefixes, as soon as they are computed"
        : "prefixes that the device gives up",
    );
  }
  if (slice !== undefined) of.push("contexts larger than the device");
  return of.join("; ");
}

/** What K and V that are gone are computed from. */
function restoring({ id, boundaries, capacity }: Restorer): string {
  return boundaries.length === 0
    ? `restore: "${id}" keeps tokens only, all of K and V is computed again`
    : `restore: "${id}" keeps hidden states before layers ${
      spans(boundaries)
    }, up to ${capacity} bytes`;
}

/** Where weights are, for a plugin that has a say in it. */
function weights(
  { weights: plan, backend, model }: Omit<CachePlan, "explain">,
  by: string,
): string[] {
  if (plan === undefined) {
    return [
      `weights: "${by}" is not asked, backend "${backend}" keeps all of them`,
    ];
  }
  const { streamed, depth, slotBytes, from, notes, experts } = plan;
  const stay = model.layers.length - streamed.length;
  return [
    experts !== undefined
      ? `weights: experts come one by one from ${from} through ${experts.slots} slots of ${experts.slotBytes} bytes, decided by "${by}"`
      : streamed.length === 0
      ? `weights: all ${stay} layers stay, decided by "${by}"`
      : `weights: layers ${
        spans(streamed)
      } stream from ${from} through ${depth} ${
        depth === 1 ? "slot" : "slots"
      } of ${slotBytes} bytes, ${stay} stay, decided by "${by}"`,
    ...notes.map((n) => `  ${n}`),
  ];
}

function group(
  plan: Omit<CachePlan, "explain">,
  g: GroupPlan,
  i: number,
): string[] {
  const { shape } = g;
  const sees = g.retention.length === 0
    ? "everything before them"
    : g.retention.map((r) => `"${r.id}"`).join(" and ");
  const perToken = Math.ceil(g.blockBytes / shape.tokens);
  return [
    `group ${i}: layers ${
      spans(g.layers)
    }, ${shape.kvHeads} KV heads of ${shape.headDim}`,
    `  blocks: ${shape.tokens} tokens, ${g.blockBytes} bytes (${perToken} per token), layout "${g.layout.id}"`,
    `  format: "${plan.rawFormat}" open, ${sealing(plan, g)}`,
    ...(g.codec.id === "raw" || g.keepFirst === 0 ? [] : [
      `  the first ${g.keepFirst} ${
        g.keepFirst === 1 ? "block stays" : "blocks stay"
      } open`,
    ]),
    `  queries see ${sees}`,
    `  decided by ${g.by.join(", ")}`,
    ...[...g.kernels].map(([format, k]) =>
      `  kernel for "${format}": "${k.id}"`
    ),
    ...g.notes.map((n) => `  note: ${n}`),
  ];
}

/** What becomes of full blocks. */
function sealing(
  { rawFormat }: Pick<CachePlan, "rawFormat">,
  { codec, fused, rounds, shape, sealedBytes, blockBytes }: GroupPlan,
): string {
  if (codec.id === "raw") return `full blocks stay as they are`;
  const perToken = (sealedBytes / shape.tokens).toFixed(1);
  if (fused !== undefined) {
    return `"${codec.id}" sealed, fused: ${sealedBytes} bytes (${perToken} per token, ${
      (sealedBytes / blockBytes).toFixed(3)
    } of "${rawFormat}")`;
  }
  return rounds
    ? `"${codec.id}" sealed, decoded in place, no bytes saved: rows of a sequence in one step end with its block`
    : `"${codec.id}" sealed, which changes no value and saves no bytes here`;
}

/** "0-3, 5" for 0, 1, 2, 3, 5. */
export function spans(layers: readonly number[]): string {
  const out: string[] = [];
  for (let i = 0; i < layers.length; i++) {
    const first = layers[i]!;
    while (layers[i + 1] === layers[i]! + 1) i++;
    out.push(first === layers[i] ? `${first}` : `${first}-${layers[i]}`);
  }
  return out.join(", ");
}
