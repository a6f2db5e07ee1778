/**
 * Readers with one fault each, to see that the fuzzer finds it. Only tests name them.
 *
 * @module
 */
import { bendBytes } from "./bytes.ts";
import { claim, type Target } from "./target.ts";

const NAME = "number", GOOD = 7;

/** A file is one u32, of which only 7 is right; what else is done with it is `wrong`. */
function planted(
  name: string,
  wrong: (value: number) => string | undefined,
): Target {
  return {
    name,
    weight: 1,
    seeds: () =>
      Promise.resolve([new Map([[NAME, Uint8Array.of(GOOD, 0, 0, 0)]])]),
    mutate(seeds, r) {
      const bytes = seeds[0]!.get(NAME)!;
      return new Map([[
        NAME,
        bendBytes(bytes, r, [{ at: 0, bytes: 4 }], bytes, 1),
      ]]);
    },
    read(sample) {
      const bytes = sample.get(NAME)!;
      if (bytes.length < 4) return Promise.resolve("it is cut short");
      const value = new DataView(bytes.buffer).getUint32(0, true);
      return Promise.resolve(value === GOOD ? undefined : wrong(value));
    },
  };
}

/** Never ends, allocates what a file says, throws another error, takes what is wrong. */
export const PLANTED: readonly Target[] = [
  planted("endless", (value) => {
    while (value === 0xffffffff);
    return "wrong";
  }),
  planted("greedy", (value) => `wrong ${new Uint8Array(value).length}`),
  planted("crashing", (value) => {
    if (value === 0x80000000) throw new RangeError("out of range");
    return "wrong";
  }),
  planted("lenient", (value) => {
    claim(value !== GOOD + 1, "accepted, and is not 7");
    return "wrong";
  }),
];
