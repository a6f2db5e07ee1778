/**
 * Which format each layer's K and V get, so that they take the fewest bytes within a
 * stated divergence.
 *
 * Divergences of layers add up, about: each is measured alone, and errors of layers
 * are not alike. Of the loss in 8 bits a layer has as large a share as of that in 4.
 * The choice is a knapsack, solved exactly over divergence in steps, each choice
 * rounded up.
 *
 * @module
 */
import type { Losses } from "./calibration.ts";

/** Formats of one layer; "raw": it is left as it is. */
export interface LayerChoice {
  readonly k: "int8" | "int4" | "raw";
  readonly v: "int8" | "int4" | "raw";
}

/** What was chosen. */
export interface Choice {
  /** By layer. */
  readonly layers: readonly LayerChoice[];
  /** Mean KL divergence that is expected of it, nats. */
  readonly predicted: number;
}

/** Divergence is counted in this many steps. */
const STEPS = 2000;

/** Bits of a value, about; what matters is their order. */
const BITS = { raw: 16, int8: 8.25, int4: 4.5 } as const;

interface Option {
  readonly choice: LayerChoice;
  readonly loss: number;
  readonly bits: number;
}

/**
 * The fewest bytes within `divergence`. Where nothing else fits, layers stay raw,
 * which costs nothing.
 */
export function chooseFormats(
  { int4, int8, values: sizes }: Losses,
  divergence: number,
): Choice {
  const all = int4.reduce((sum, { k, v }) => sum + k + v, 0);
  const share = (loss: number): number =>
    all > 0 ? int8 * loss / all : int8 / (2 * int4.length);
  const perLayer = int4.map(({ k, v }, i): readonly Option[] => {
    const values = sizes[i]!;
    const sides = (loss: number) =>
      [["int8", share(loss)], ["int4", loss]] as const;
    const coded = sides(k).flatMap(([kf, kl]) =>
      sides(v).map(([vf, vl]): Option => ({
        choice: { k: kf, v: vf },
        loss: kl + vl,
        bits: values * (BITS[kf] + BITS[vf]),
      }))
    );
    const raw: Option = {
      choice: { k: "raw", v: "raw" },
      loss: 0,
      bits: values * 2 * BITS.raw,
    };
    return [...coded, raw];
  });
  return solve(perLayer, divergence);
}

/** Fewest bits in all whose losses, rounded up to steps, fit. */
function solve(
  perLayer: readonly (readonly Option[])[],
  divergence: number,
): Choice {
  const step = divergence / STEPS;
  const stepsOf = (loss: number): number =>
    loss === 0 ? 0 : step > 0 ? Math.ceil(loss / step) : STEPS + 1;
  // best[s]: fewest bits of the layers so far with s steps at most.
  let best = new Float64Array(STEPS + 1);
  const taken: Uint8Array[] = [];
  for (const options of perLayer) {
    const next = new Float64Array(STEPS + 1).fill(Infinity);
    const pick = new Uint8Array(STEPS + 1);
    for (const [o, { loss, bits }] of options.entries()) {
      const used = stepsOf(loss);
      for (let s = used; s <= STEPS; s++) {
        const all = best[s - used]! + bits;
        if (all < next[s]!) {
          next[s] = all;
          pick[s] = o;
        }
      }
    }
    best = next;
    taken.push(pick);
  }
  const layers: LayerChoice[] = [];
  let at = STEPS, predicted = 0;
  for (let i = perLayer.length - 1; i >= 0; i--) {
    const option = perLayer[i]![taken[i]![at]!]!;
    layers.unshift(option.choice);
    predicted += option.loss;
    at -= stepsOf(option.loss);
  }
  return { layers, predicted };
}
