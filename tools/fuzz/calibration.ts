/**
 * Calibrations.
 *
 * @module
 */
import {
  type Calibration,
  formatCalibration,
  parseCalibration,
} from "../../plugins/kv/calibration.ts";
import { bendJson, writeJson } from "./bend_json.ts";
import { bendBytes, howMany } from "./bytes.ts";
import { checkMessage, claim, type Sample, type Target } from "./target.ts";

const NAME = "model.gguf.kv.json";

function seed(losses: boolean): Sample {
  const text = formatCalibration({
    model: "m",
    tokens: 100,
    centre: [
      Float32Array.of(1, -2, 3, 4),
      Float32Array.of(),
      Float32Array.of(0.5),
    ],
    ...losses
      ? {
        losses: {
          int4: [{ k: 0.1, v: 0.2 }, { k: 0, v: 1 }, { k: 0, v: 0 }],
          values: [4, 4, 1],
          int8: 0.001,
        },
      }
      : {},
  });
  return new Map([[NAME, new TextEncoder().encode(text)]]);
}

function check({ model, tokens, centre, losses }: Calibration): void {
  claim(typeof model === "string" && model !== "", "no model");
  claim(Number.isSafeInteger(tokens) && tokens > 0, `${tokens} tokens`);
  claim(
    centre.every((c) => c instanceof Float32Array && c.every(Number.isFinite)),
    "a middle is none",
  );
  if (losses === undefined) return;
  const { int4, int8, values } = losses;
  const all = [int8, ...int4.flatMap(({ k, v }) => [k, v])];
  claim(all.every((x) => Number.isFinite(x) && x >= 0), "a loss is none");
  claim(values.length === int4.length, "values of other layers");
  claim(
    values.every((n) => Number.isSafeInteger(n) && n > 0),
    "values are none",
  );
}

/** What `quire calibrate` writes. */
export const calibration: Target = {
  name: "calibration",
  weight: 1,
  seeds: () => Promise.resolve([seed(true), seed(false)]),
  mutate(seeds, r) {
    const bytes = r.pick(seeds).get(NAME)!, other = r.pick(seeds).get(NAME)!;
    if (r.once(4)) {
      return new Map([[NAME, bendBytes(bytes, r, [], other, howMany(r))]]);
    }
    const value = JSON.parse(new TextDecoder().decode(bytes));
    const second = JSON.parse(new TextDecoder().decode(other));
    for (let n = howMany(r); n > 0; n--) bendJson(value, r, second);
    return new Map([[NAME, new TextEncoder().encode(writeJson(value, r))]]);
  },
  read(sample) {
    const text = new TextDecoder().decode(sample.get(NAME)!);
    let read: Calibration;
    try {
      read = parseCalibration(text, NAME);
    } catch (error) {
      const says = (error as Error).message ?? "";
      // Its own errors are of a common kind; their words are not.
      if (!(error instanceof TypeError) || !says.startsWith("Cannot read ")) {
        throw error;
      }
      return Promise.resolve(checkMessage(says));
    }
    check(read);
    return Promise.resolve(undefined);
  },
};
