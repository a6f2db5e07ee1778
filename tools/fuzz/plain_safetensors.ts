/**
 * A second reader of safetensors, as simple as it can be.
 *
 * @module
 */

/** A tensor as the header has it; offsets from the start of the file. */
export interface PlainStored {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly from: number;
  readonly to: number;
}

/** Bytes of a value of each type that weights may have. */
const BYTES: Readonly<Record<string, number>> = { F32: 4, F16: 2, BF16: 2 };

/**
 * The tensors of a file; throws an Error for one that is not whole: a header beyond
 * the file, lengths that are not the shape's, holes, overlaps, an end that is not the
 * file's.
 */
export function readPlainSafetensors(bytes: Uint8Array): PlainStored[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = Number(view.getBigUint64(0, true)), start = 8 + length;
  if (start > bytes.length) throw new Error("the header ends beyond the file");
  const text = new TextDecoder("utf-8", { fatal: true })
    .decode(bytes.subarray(8, start));
  const header = JSON.parse(text) as Record<string, {
    dtype: string;
    shape: number[];
    data_offsets: [number, number];
  }>;
  const tensors = Object.entries(header).filter(([name]) =>
    name !== "__metadata__"
  ).map(([name, { dtype, shape, data_offsets: [from, to] }]) => ({
    ...{ name, dtype, shape },
    from: start + from,
    to: start + to,
  }));
  let at = start;
  for (const t of tensors.toSorted((a, b) => a.from - b.from || a.to - b.to)) {
    const values = t.shape.reduce((n, d) => n * d, 1), size = BYTES[t.dtype];
    if (size !== undefined && values * size !== t.to - t.from) {
      throw new Error(`${t.name} has another length than its shape`);
    }
    if (t.from !== at) {
      throw new Error(`${t.name} begins at ${t.from}, not ${at}`);
    }
    at = t.to;
  }
  if (at !== bytes.length) throw new Error(`tensors end at ${at}`);
  return tensors;
}

/** A file with this header and the data of another. */
export function withPlainHeader(
  bytes: Uint8Array,
  header: string,
): Uint8Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const start = 8 + Number(view.getBigUint64(0, true));
  const text = new TextEncoder().encode(header), data = bytes.subarray(start);
  const out = new Uint8Array(8 + text.length + data.length);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  out.set(data, 8 + text.length);
  return out;
}

/** The header of a good file as JSON. */
export function plainHeader(bytes: Uint8Array): Record<string, unknown> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = 8 + Number(view.getBigUint64(0, true));
  return JSON.parse(new TextDecoder().decode(bytes.subarray(8, end)));
}
