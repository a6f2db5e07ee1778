/**
 * What must hold of a GGUF file that was accepted, by the plain reader.
 *
 * @module
 */
import type { GgufFile } from "../../models/gguf.ts";
import { alignmentOf, type PlainGguf, readPlain } from "./plain_gguf.ts";
import { claim, Finding } from "./target.ts";

/** Values and bytes of a block by a format's number, as the format's authors say. */
const BLOCKS: Readonly<
  Record<number, readonly [name: string, values: bigint, bytes: bigint]>
> = {
  0: ["F32", 1n, 4n],
  1: ["F16", 1n, 2n],
  2: ["Q4_0", 32n, 18n],
  3: ["Q4_1", 32n, 20n],
  6: ["Q5_0", 32n, 22n],
  7: ["Q5_1", 32n, 24n],
  8: ["Q8_0", 32n, 34n],
  10: ["Q2_K", 256n, 84n],
  11: ["Q3_K", 256n, 110n],
  12: ["Q4_K", 256n, 144n],
  13: ["Q5_K", 256n, 176n],
  14: ["Q6_K", 256n, 210n],
  20: ["IQ4_NL", 32n, 18n],
  30: ["BF16", 1n, 2n],
  16: ["IQ2_XXS", 256n, 66n],
  17: ["IQ2_XS", 256n, 74n],
  18: ["IQ3_XXS", 256n, 98n],
  19: ["IQ1_S", 256n, 50n],
  21: ["IQ3_S", 256n, 110n],
  22: ["IQ2_S", 256n, 82n],
  23: ["IQ4_XS", 256n, 136n],
  29: ["IQ1_M", 256n, 56n],
  34: ["TQ1_0", 256n, 54n],
  35: ["TQ2_0", 256n, 66n],
  39: ["MXFP4", 32n, 17n],
  40: ["NVFP4", 64n, 36n],
};

/** Keys that the library puts among the file's own; theirs are lost. */
const HIDDEN = new Set(["version", "tensor_count", "kv_count", "__proto__"]);

/** What says which part of a model a file is. */
const SPLIT = new Set(["split.no", "split.count", "split.tensors.count"]);

/** Reads a file plainly; what the plain reader cannot read must not be accepted. */
export function plainly(bytes: Uint8Array): PlainGguf {
  try {
    return readPlain(bytes);
  } catch (error) {
    throw new Finding(`accepted, but ${(error as Error).message}`);
  }
}

/** Throws a Finding unless `file` is what the parts say and these are sound. */
export function checkGguf(file: GgufFile, parts: readonly Uint8Array[]): void {
  const plain = parts.map(plainly);
  claim(file.files.length === parts.length, "another number of files");
  parts.forEach((bytes, i) => {
    claim(file.files[i]!.bytes === bytes.length, "another length");
    checkPart(file, plain[i]!, bytes, i);
  });
  const first = plain[0]!;
  claim(file.version === first.version, "another version");
  checkMetadata(file, first);
  checkVocabulary(file, first);
  const count = plain.reduce((sum, p) => sum + p.tensors.length, 0);
  claim(
    file.tensors.size === count,
    `${file.tensors.size} tensors of ${count}`,
  );
  claim(/^[0-9a-f]{64}$/.test(file.fingerprint), "no fingerprint");
}

function checkPart(
  file: GgufFile,
  plain: PlainGguf,
  bytes: Uint8Array,
  index: number,
): void {
  claim([2, 3].includes(plain.version), `version ${plain.version}`);
  const alignment = alignmentOf(plain.entries);
  claim((alignment & (alignment - 1n)) === 0n, `alignment ${alignment}`);
  const keys = new Set(plain.entries.map((e) => e.key));
  claim(keys.size === plain.entries.length, "a key occurs twice");
  claim(!keys.has(""), "a key is empty");
  for (const { key, value } of plain.entries) {
    if (!SPLIT.has(key)) continue;
    claim(Number.isInteger(small(value)), `"${key}" is no whole number`);
  }
  const taken: [from: bigint, to: bigint, name: string][] = [];
  for (const { name, dims, type, offset } of plain.tensors) {
    const block = BLOCKS[type];
    claim(block !== undefined, `type ${type} of ${name}`);
    const [label, values, size] = block;
    const [row = 1n, ...others] = dims;
    claim(dims.every((d) => d > 0n), `${name} has a dimension of 0`);
    claim(row % values === 0n, `a row of ${row} values of ${label}`);
    const outputs = others[0] ?? 1n,
      stack = (others[1] ?? 1n) * (others[2] ?? 1n);
    claim(dims.length <= 4, `${dims.length} dimensions`);
    const length = row / values * size * outputs * stack;
    const from = BigInt(plain.dataStart) + offset;
    claim(offset % alignment === 0n, `${name} is not aligned`);
    claim(
      from + length <= BigInt(bytes.length),
      `${name} ends beyond the file`,
    );
    taken.push([from, from + length, name]);
    const says = file.tensors.get(name);
    claim(says !== undefined, `${name} is not there`);
    const same = says.type === label && BigInt(says.inputs) === row &&
      BigInt(says.outputs) === outputs && BigInt(says.stack) === stack &&
      BigInt(says.offset) === from && BigInt(says.bytes) === length &&
      says.file === index && says.name === name;
    claim(same, () => `${name} is read otherwise: ${Deno.inspect(says)}`);
  }
  taken.sort((a, b) => a[0] < b[0] ? -1 : 1);
  taken.forEach(([from, , name], i) =>
    claim(i === 0 || taken[i - 1]![1] <= from, `${name} overlaps another`)
  );
}

function checkMetadata(file: GgufFile, { entries }: PlainGguf): void {
  for (const { key, kind, of, value } of entries) {
    if (HIDDEN.has(key)) continue;
    const read = file.metadata[key];
    const same = Array.isArray(value)
      ? sameList(read, value, of!)
      : Object.is(read, small(value));
    claim(
      same,
      () =>
        `${JSON.stringify(key)} of kind ${kind} is read as ${
          Deno.inspect(read).slice(0, 200)
        }`,
    );
  }
  const known = new Set(entries.map((e) => e.key));
  for (const key of Object.keys(file.metadata)) {
    claim(known.has(key), `${JSON.stringify(key)} is not in the file`);
  }
}

/** Whole numbers that a number can hold are read as numbers, in entries. */
function small(value: unknown): unknown {
  return typeof value === "bigint" && value >= -(2n ** 53n) + 1n &&
      value < 2n ** 53n
    ? Number(value)
    : value;
}

const LISTS = [
  ...[Uint8Array, Int8Array, Uint16Array, Int16Array, Uint32Array, Int32Array],
  ...[
    Float32Array,
    Uint8Array,
    Array,
    Array,
    BigUint64Array,
    BigInt64Array,
    Float64Array,
  ],
];

function sameList(
  read: unknown,
  values: readonly unknown[],
  of: number,
): boolean {
  if (!(read instanceof LISTS[of]!)) return false;
  const list = read as unknown as ArrayLike<unknown>;
  return list.length === values.length && values.every((v, i) =>
    // A truth value's byte is kept as it is.
    of === 7 ? Boolean(list[i]) === v : Object.is(list[i], v)
  );
}

function checkVocabulary(file: GgufFile, { entries }: PlainGguf): void {
  const list = (key: string): readonly unknown[] | undefined => {
    const value = entries.find((e) => e.key === `tokenizer.ggml.${key}`)?.value;
    return Array.isArray(value) ? value : undefined;
  };
  const tokens = list("tokens"), { vocabulary } = file;
  claim(
    (tokens === undefined) === (vocabulary === undefined),
    "a vocabulary or none",
  );
  if (vocabulary === undefined) return;
  for (const key of ["scores", "token_type"]) {
    claim(
      (list(key) ?? tokens!).length === tokens!.length,
      `too many or few ${key}`,
    );
  }
  claim(vocabulary.tokens.length === tokens!.length, "another vocabulary");
  claim(
    (list("token_type") ?? []).every((t) =>
      (t as number) >= 0 && (t as number) <= 6
    ),
    "a kind of token that there is not",
  );
}
