/**
 * Bending folders: one file or several by its kind, files left out or swapped.
 *
 * @module
 */
import { bendJson, writeJson } from "./bend_json.ts";
import { bendBytes, EDGES, howMany } from "./bytes.ts";
import { plainHeader, withPlainHeader } from "./plain_safetensors.ts";
import type { Random } from "./random.ts";
import type { Sample } from "./target.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Bends one file of a sample more often than two, and one that `often` matches more often. */
export function bendFolder(
  seeds: readonly Sample[],
  random: Random,
  often: RegExp,
): Sample {
  const sample = random.pick(seeds), other = random.pick(seeds);
  const out = new Map(sample);
  for (let n = random.once(4) ? 2 : 1; n > 0; n--) {
    const names = [...out.keys()],
      preferred = names.filter((n) => often.test(n));
    const name = random.pick(
      random.once(2) && preferred.length > 0 ? preferred : names,
    );
    const bytes = out.get(name)!;
    const rare = random.below(40);
    if (rare === 0) out.delete(name);
    else if (rare === 1) out.set(name, random.pick([...other.values()]));
    else out.set(name, bend(name, bytes, other.get(name) ?? bytes, random));
  }
  return out;
}

function bend(name: string, bytes: Bytes, other: Bytes, r: Random): Bytes {
  if (name.endsWith(".safetensors")) return bendSafetensors(bytes, other, r);
  if (!name.endsWith(".json") || r.once(5)) {
    return bendBytes(bytes, r, [], other, howMany(r));
  }
  try {
    const value = JSON.parse(new TextDecoder().decode(bytes));
    const second = JSON.parse(new TextDecoder().decode(other));
    for (let n = howMany(r); n > 0; n--) bendJson(value, r, second);
    return new TextEncoder().encode(writeJson(value, r));
  } catch {
    // Bent before: no JSON, or too deep to be written.
    return bendBytes(bytes, r, [], other, howMany(r));
  }
}

interface Stored {
  dtype?: unknown;
  shape?: unknown;
  data_offsets?: unknown;
}

function bendSafetensors(bytes: Bytes, other: Bytes, r: Random): Bytes {
  const how = r.below(4);
  if (how === 0) {
    return bendBytes(bytes, r, [{ at: 0, bytes: 8 }], other, howMany(r));
  }
  try {
    const header = plainHeader(bytes), second = plainHeader(other);
    for (let n = howMany(r); n > 0; n--) {
      if (how === 1) bendJson(header, r, second);
      else bendTensor(header as Record<string, Stored>, r);
    }
    return withPlainHeader(bytes, writeJson(header, r));
  } catch {
    return bendBytes(bytes, r, [{ at: 0, bytes: 8 }], other, howMany(r));
  }
}

/** What a header may get wrong that is sound as JSON. */
function bendTensor(header: Record<string, Stored>, r: Random): void {
  const names = Object.keys(header).filter((n) => n !== "__metadata__");
  if (names.length === 0) return;
  const name = r.pick(names),
    tensor = header[name]!,
    second = header[r.pick(names)]!;
  if (typeof tensor !== "object" || tensor === null) return;
  const shape = Array.isArray(tensor.shape) ? tensor.shape : [];
  const range = Array.isArray(tensor.data_offsets) ? tensor.data_offsets : [];
  const edge = (): number => Number(r.pick(EDGES));
  switch (r.below(12)) {
    case 0:
    case 1:
    case 2:
      return void (tensor.dtype = r.pick([
        "F32",
        "F16",
        "BF16",
        "F64",
        "I8",
        "Q4",
        "f32",
      ]));
    case 3:
      return void (tensor.shape = shape.toReversed());
    case 4:
      return void (tensor.shape = [...shape, 1]);
    case 5:
      return void (tensor.shape = shape.map((d) => r.once(2) ? edge() : d));
    case 6:
      return void (tensor.data_offsets = range.map((d) =>
        r.once(2) ? edge() : d
      ));
    case 7:
      return void (tensor.data_offsets = range.map((d) =>
        Number(d) + r.pick([-4, -1, 1, 4])
      ));
    case 8:
      return void ([tensor.data_offsets, second.data_offsets] = [
        second.data_offsets,
        range,
      ]);
    case 9:
      header[name.replace(/\d+/, String(r.below(40)))] = tensor;
      return void delete header[name];
    case 10:
      return void (header[`${name}${r.pick(["x", ".bias", "\n"])}`] = {
        ...tensor,
      });
    default:
      return void delete header[name];
  }
}
