/**
 * What K and V of a token take in each format.
 *
 * @module
 */
import type { ModelSpec } from "../../core/model.ts";
import type { CachePlan } from "../../core/plan.ts";
import { PlanError } from "../../core/plugin.ts";
import {
  kvCache,
  type KvFormat,
  type LoadOptions,
  pagedAttention,
  prefixCache,
} from "../../mod.ts";
import type { ModelFile } from "../../models/model_file.ts";
import { planOnly } from "../plan_only.ts";

/** K and V in formats of their own. */
export interface KvShare {
  readonly k: string;
  readonly v: string;
  /** Of all layers, for one token of a full block; null where it cannot be had. */
  readonly bytesPerToken: number | null;
  /** The same for a token that all windows have left. */
  readonly bytesBeyondWindows: number | null;
  /** Why there is none, or no fewer bytes; null: nothing is to be said. */
  readonly note: string | null;
}

/** The pairs that are worth looking at. */
const PAIRS: readonly (readonly [KvFormat, KvFormat])[] = [
  ["f16", "f16"],
  ["int8", "int8"],
  ["int8", "int4"],
  ["int4", "int4"],
  ["nvfp4", "nvfp4"],
  ["mxfp4", "mxfp4"],
];

/** Bytes of a token's K and V in a plan: of all layers, or of those without a window. */
export function tokenBytes(plan: CachePlan, beyond = false): number {
  return plan.groups.filter((g) => !beyond || g.sight.full).reduce(
    (sum, g) => sum + g.sealedBytes / g.shape.tokens,
    0,
  );
}

/** Every pair, on the backend and in the precision that `options` ask for. */
export async function kvOf(
  file: ModelFile,
  spec: ModelSpec,
  options: LoadOptions,
): Promise<KvShare[]> {
  const shares: KvShare[] = [];
  for (const [k, v] of PAIRS) {
    const plugins = [
      pagedAttention(),
      prefixCache(),
      ...k === "f16" ? [] : [kvCache({ k, v })],
    ];
    try {
      const plan = await planOnly(file, spec, { ...options, plugins });
      const place = plan.groups.some((g) => g.rounds);
      shares.push({
        k: k === "f16" ? plan.rawFormat : k,
        v: v === "f16" ? plan.rawFormat : v,
        bytesPerToken: tokenBytes(plan),
        bytesBeyondWindows: tokenBytes(plan, true),
        note: place ? "no kernel here reads it: it saves nothing" : null,
      });
    } catch (error) {
      if (!(error instanceof PlanError)) throw error;
      const none = { bytesPerToken: null, bytesBeyondWindows: null };
      const note = error.conflicts.map((c) => c.message).join("; ");
      shares.push({ k, v, ...none, note });
    }
  }
  return shares;
}
