/**
 * GGUF model files: what is in them and where, for whole and split models.
 *
 * @module
 */
import { ModelError } from "../core/errors.ts";
import type { TensorInfo } from "../core/model.ts";
import { fingerprintOf } from "./evidence.ts";
import { type GgufPart, readPart } from "./gguf/part.ts";
import type { OpenFile } from "./gguf/source.ts";
import { quote, show } from "./gguf/quote.ts";
import type { ModelFile, ModelVocabulary } from "./model_file.ts";

/** How a model is opened. */
export interface OpenOptions {
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
  /** Where the bytes of its files come from; default: the file system. */
  readonly open?: OpenFile | undefined;
  /**
   * Lists tensors of types that are not read in `unread` instead of refusing the
   * file, which then cannot be run. Default false.
   */
  readonly listUnread?: boolean | undefined;
}

/** An opened GGUF model. */
export interface GgufFile extends ModelFile {
  /** GGUF version, 2 or 3. */
  readonly version: number;
}

const SPLIT_NAME = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/;

/**
 * Opens a GGUF model and checks its structure. Of a split model, any part may
 * be named; all must lie beside it as `NAME-00001-of-0000N.gguf`.
 *
 * ```ts
 * const file = await openGguf("model.gguf");
 * console.log(file.metadata["general.architecture"], file.tensors.size);
 * ```
 *
 * @throws {ModelError} that names the file, what is wrong, wanted and actual.
 */
export async function openGguf(
  path: string,
  options: OpenOptions = {},
): Promise<GgufFile> {
  const paths = partPaths(path);
  const parts: GgufPart[] = [];
  for (const [i, part] of paths.entries()) {
    parts.push(await readPart(part, i, options));
    checkSplit(parts[i]!, i, paths.length);
  }
  const first = parts[0]!;
  return {
    path,
    files: parts.map(({ path, bytes }) => ({ path, bytes })),
    format: `GGUF ${first.version}`,
    version: first.version,
    metadata: first.metadata,
    vocabulary: vocabularyOf(first),
    tensors: joinTensors(parts),
    unread: parts.flatMap((part) => part.unread),
    fingerprint: await fingerprintOf(
      parts.map((part) => part.bytes),
      parts.flatMap((part) => part.evidence),
    ),
  };
}

function partPaths(path: string): string[] {
  const match = SPLIT_NAME.exec(path);
  if (match === null) return [path];
  const [, prefix, no, of] = match;
  const count = Number(of), index = Number(no);
  if (index < 1 || index > count) {
    throw new ModelError(
      path,
      `the name says part ${index} of ${count}, wanted 1 to ${count}`,
    );
  }
  return Array.from(
    { length: count },
    (_, i) => `${prefix}-${String(i + 1).padStart(5, "0")}-of-${of}.gguf`,
  );
}

/** A part says itself which one it is, from 0, and how many there are. */
function checkSplit(part: GgufPart, index: number, count: number): void {
  const has = (key: string, absent: number): number => {
    const value = part.metadata[key] ?? absent;
    if (typeof value === "number" && Number.isInteger(value)) return value;
    throw new ModelError(
      part.path,
      `"${key}" is ${show(value)}, wanted a whole number`,
    );
  };
  const saysCount = has("split.count", 1), saysNo = has("split.no", 0);
  if (Math.max(1, saysCount) !== count) {
    throw new ModelError(
      part.path,
      count === 1
        ? `"split.count" is ${saysCount}: this is a part of a split model, ` +
          `wanted the name NAME-0000I-of-0000N.gguf and all parts beside it`
        : `"split.count" is ${saysCount}, the name says ${count}`,
    );
  }
  if (saysNo !== index) {
    throw new ModelError(
      part.path,
      `"split.no" is ${saysNo}, wanted ${index}: is the file misnamed?`,
    );
  }
}

function joinTensors(parts: readonly GgufPart[]): Map<string, TensorInfo> {
  const tensors = new Map<string, TensorInfo>();
  for (const part of parts) {
    for (const tensor of part.tensors) {
      if (tensors.has(tensor.name)) {
        throw new ModelError(
          part.path,
          `tensor ${quote(tensor.name)} occurs twice, wanted once`,
        );
      }
      tensors.set(tensor.name, tensor);
    }
  }
  const count = tensors.size + parts.flatMap((part) => part.unread).length;
  for (const { path, metadata } of parts) {
    const says = metadata["split.tensors.count"] ?? count;
    if (says === count) continue;
    throw new ModelError(
      path,
      `"split.tensors.count" is ${show(says)}, the parts hold ${count}`,
    );
  }
  return tensors;
}

function vocabularyOf(part: GgufPart): ModelVocabulary | undefined {
  const array = <T extends object>(
    key: string,
    kind: { readonly name: string; new (...args: never[]): T },
  ): T | undefined => {
    const value = part.metadata[`tokenizer.ggml.${key}`];
    if (value === undefined || value instanceof kind) return value;
    throw new ModelError(
      part.path,
      `"tokenizer.ggml.${key}" is ${describe(value)}, wanted ${kind.name}`,
    );
  };
  const strings = (key: string): readonly string[] | undefined => {
    const value = array<unknown[]>(key, Array);
    return value as string[] | undefined;
  };
  const tokens = strings("tokens");
  if (tokens === undefined) return undefined;
  const vocabulary = {
    tokens,
    scores: array("scores", Float32Array),
    types: array("token_type", Int32Array),
    merges: strings("merges"),
  };
  for (const key of ["scores", "types"] as const) {
    const length = vocabulary[key]?.length ?? tokens.length;
    if (length !== tokens.length) {
      throw new ModelError(
        part.path,
        `the vocabulary has ${length} ${key} for ${tokens.length} tokens, ` +
          `wanted as many`,
      );
    }
  }
  return vocabulary;
}

function describe(value: unknown): string {
  return typeof value === "object" && value !== null
    ? value.constructor.name
    : `${typeof value} ${quote(String(value))}`;
}
