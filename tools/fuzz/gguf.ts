/**
 * GGUF models: header, metadata, places of tensors, vocabulary, model, parts.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import type { ModelSpec } from "../../core/model.ts";
import { ARCHITECTURES, modelSpec } from "../../models/arch/mod.ts";
import { type GgufFile, openGguf } from "../../models/gguf.ts";
import { createTokenizer, type Tokenizer } from "../../models/tokenizer.ts";
import { bendGguf } from "./bend_gguf.ts";
import { bendBytes, howMany } from "./bytes.ts";
import { checkGguf } from "./check_gguf.ts";
import { checkSpec, checkTokenizer } from "./check_spec.ts";
import { ggufSeeds } from "./gguf_seeds.ts";
import { openSample } from "./memory_file.ts";
import { type PlainGguf, readPlain, writePlain } from "./plain_gguf.ts";
import type { Random } from "./random.ts";
import { loadOnce } from "./load_once.ts";
import { runOnce } from "./run_once.ts";
import {
  checkMessage,
  claim,
  type Sample,
  type Target,
  type Use,
} from "./target.ts";

/** Seeds of a target, read plainly; made once. */
const PLAIN = new WeakMap<Uint8Array, PlainGguf>();

function plainOf(bytes: Uint8Array): PlainGguf {
  let plain = PLAIN.get(bytes);
  if (plain === undefined) PLAIN.set(bytes, plain = readPlain(bytes));
  return plain;
}

/** A copy whose entries and tensors may be changed. */
function copyOf(plain: PlainGguf): PlainGguf {
  return {
    ...plain,
    entries: plain.entries.map((e) => ({ ...e })),
    tensors: plain.tensors.map((t) => ({ ...t, dims: [...t.dims] })),
  };
}

/** Bends one file of a sample by structure, by bytes, or both. */
export function mutateGguf(seeds: readonly Sample[], random: Random): Sample {
  const sample = random.pick(seeds);
  const [name, bytes] = random.pick([...sample]);
  const other = [...random.pick(seeds).values()][0]!;
  let bent: Uint8Array<ArrayBuffer> = bytes;
  const how = random.below(5);
  if (how > 1) {
    const plain = copyOf(plainOf(bytes));
    bendGguf(plain, random, plainOf(other), howMany(random));
    bent = writePlain(plain);
  }
  if (how < 3) {
    const edits = how === 2 ? 1 : howMany(random);
    bent = bendBytes(bent, random, plainOf(bytes).fields, other, edits);
  }
  return new Map([...sample, [name, bent]]);
}

/** What loading does with a file, weights aside. */
async function load(
  sample: Sample,
): Promise<{ file: GgufFile; spec: ModelSpec; tokenizer: Tokenizer } | string> {
  const path = [...sample.keys()][0]!;
  try {
    const file = await openGguf(path, { open: openSample(sample) });
    const spec = modelSpec(file);
    return { file, spec, tokenizer: createTokenizer(file) };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    claim(sample.has(error.file), `an error of ${error.file}`);
    return checkMessage(error.message);
  }
}

async function read(
  sample: Sample,
  use: Use,
): Promise<string | undefined> {
  const found = await load(sample);
  if (typeof found === "string") return found;
  const { file, spec, tokenizer } = found;
  checkGguf(file, [...sample.values()]);
  checkSpec(spec, file);
  checkTokenizer(tokenizer, file);
  if (use !== "read") await runOnce(spec, file, sample);
  if (use === "load") await loadOnce(spec, sample);
  return undefined;
}

/** One file. */
export const gguf: Target = {
  name: "gguf",
  weight: 6,
  runs: true,
  seeds: () => ggufSeeds(new Set(ARCHITECTURES.keys())),
  mutate: mutateGguf,
  read,
};
