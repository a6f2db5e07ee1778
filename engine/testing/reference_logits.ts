/**
 * The reference backend as a function from ids to logits.
 *
 * @module
 */
import type { ModelSpec } from "../../core/model.ts";
import {
  createReference,
  referenceBytes,
} from "../../core/reference/backend.ts";
import { driveSequence, windowGroups } from "../../core/testing/drive.ts";
import type { TinyLogits } from "./tiny_fixtures.ts";

/** How to cut sequences of up to `length` positions. */
export interface ReferenceCut {
  readonly length: number;
  readonly blockTokens: number;
  readonly chunk: number;
  /** This many of the last positions run one at a time. */
  readonly decode?: number;
}

/** A reference backend, just large enough, that runs one sequence at a time. */
export function referenceLogits(
  spec: ModelSpec,
  read: (name: string) => Promise<Float32Array>,
  cut: ReferenceCut,
): TinyLogits {
  const blocks = Math.ceil(cut.length / cut.blockTokens);
  const limits = { rows: cut.chunk, wanted: cut.chunk, seqs: 1, top: 0 };
  const groups = windowGroups(spec, cut.blockTokens);
  const kv = groups.reduce((sum, { shape: s }) => {
    const floats = s.layers * 2 * s.kvHeads * s.tokens * s.headDim;
    return sum + blocks * (floats * 4 + 64);
  }, 0);
  const bytes = kv + referenceBytes(spec, limits, groups.length, blocks);
  const backend = createReference({ spec, read, limits: { ...limits, bytes } });
  const options = { ...cut, tokens: cut.blockTokens, blocks };
  return driveSequence(backend, spec, options);
}
