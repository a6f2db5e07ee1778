/**
 * GGUF models in several files.
 *
 * @module
 */
import { VALUE } from "../../models/gguf/value_types.ts";
import { type Entry, writeGguf } from "../../models/testing/gguf_writer.ts";
import { deeper, tinyLlama } from "../../models/testing/tiny_llama.ts";
import { gguf, mutateGguf } from "./gguf.ts";
import type { Sample, Target } from "./target.ts";

const PARTS = 3;

/** A tiny model whose tensors are dealt to three files. */
function seed(): Sample {
  const { changes, shapes } = deeper(2, 64);
  const { entries = [], tensors = [] } = tinyLlama(changes, shapes);
  const parts = Array.from({ length: PARTS }, (_, i) => {
    const split: Entry[] = [
      ["split.no", VALUE.U16, i],
      ["split.count", VALUE.U16, PARTS],
      ["split.tensors.count", VALUE.I32, tensors.length],
    ];
    const name = `model-0000${i + 1}-of-0000${PARTS}.gguf`;
    return [
      name,
      writeGguf({
        entries: i === 0 ? [...entries, ...split] : split,
        tensors: tensors.filter((_, t) => t % PARTS === i),
      }),
    ] as const;
  });
  return new Map(parts);
}

/** Parts that do not belong together, or not any more. */
export const splitGguf: Target = {
  name: "split gguf",
  weight: 1,
  runs: true,
  seeds: () => Promise.resolve([seed()]),
  mutate(seeds, random) {
    const bent = new Map(mutateGguf(seeds, random));
    if (random.once(8)) {
      const [a, b] = [random.pick([...bent]), random.pick([...bent])];
      bent.set(a[0], b[1]);
    }
    return bent;
  },
  read: gguf.read,
};
