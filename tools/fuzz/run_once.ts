/**
 * One token through a model that was accepted, on the reference backend.
 *
 * @module
 */
import type { ModelSpec } from "../../core/model.ts";
import {
  createReference,
  referenceBytes,
} from "../../core/reference/backend.ts";
import { Driver, windowGroups } from "../../core/testing/drive.ts";
import { dequantise } from "../../models/dequantise.ts";
import type { ModelFile } from "../../models/model_file.ts";
import { claim, type Sample } from "./target.ts";

const TOKENS = 16, LIMITS = { rows: 1, seqs: 1, wanted: 1, top: 1 };
/** Models that would take more are not run. */
const MOST = 64 << 20;

/** Throws where it cannot be run; the logits may be anything that is a number or NaN. */
export async function runOnce(
  spec: ModelSpec,
  file: ModelFile,
  sample: Sample,
): Promise<void> {
  const groups = windowGroups(spec, TOKENS);
  const kv = groups.reduce(
    (sum, { shape: s }) =>
      sum + 8 * s.tokens * s.layers * s.kvHeads * s.headDim,
    0,
  );
  const bytes = referenceBytes(spec, LIMITS, groups.length, 1) + kv + (1 << 16);
  if (bytes > MOST) return;
  await using backend = createReference({
    spec,
    read: (name) => Promise.resolve(decode(spec, file, sample, name)),
    limits: { ...LIMITS, bytes },
  });
  const driver = new Driver(backend, spec, { tokens: TOKENS, blocks: 1 });
  const ids = [spec.vocab - 1];
  const { logits } = await driver.step([{ seq: 0, from: 0, ids }]);
  claim(logits.length === spec.vocab, `${logits.length} logits`);
}

function decode(
  spec: ModelSpec,
  file: ModelFile,
  sample: Sample,
  name: string,
): Float32Array {
  const t = spec.tensors.get(name)!;
  const bytes = sample.get(file.files[t.file]!.path)!;
  const out = new Float32Array(t.inputs * t.outputs * t.stack);
  dequantise(t.type, bytes.slice(t.offset, t.offset + t.bytes), out);
  const { plus = 0 } = t;
  return plus === 0 ? out : out.map((x) => x + plus);
}
