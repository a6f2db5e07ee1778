/**
 * Input number n of a seed: which target, bent how. The same on every machine with
 * the same seeds.
 *
 * @module
 */
import { Random } from "./random.ts";
import type { Sample, Target, Use } from "./target.ts";

/** One input. */
export interface Input {
  readonly target: Target;
  readonly sample: Sample;
  /** What is done with it, if it is accepted. */
  readonly use: Use;
}

/** One input in so many is run too, if it is accepted, and one of these in so many loaded. */
const RUN = 8, LOAD = 16;

/** Makes the inputs of one seed. */
export class Inputs {
  readonly #seed: number;
  readonly #bag: readonly Target[];
  readonly #seeds: ReadonlyMap<Target, readonly Sample[]>;

  private constructor(
    seed: number,
    seeds: ReadonlyMap<Target, readonly Sample[]>,
  ) {
    this.#seed = seed;
    this.#seeds = seeds;
    this.#bag = [...seeds.keys()].flatMap((t) =>
      new Array<Target>(t.weight).fill(t)
    );
  }

  /** Gets the good files; each has to be accepted, or is left out and named. */
  static async open(
    seed: number,
    targets: readonly Target[],
    leftOut: (why: string) => void = () => {},
  ): Promise<Inputs> {
    const all = new Map<Target, readonly Sample[]>();
    for (const target of targets) {
      const good: Sample[] = [], refused = new Set<string>();
      for (const sample of await target.seeds()) {
        const why = await target.read(sample, "run");
        if (why === undefined) good.push(sample);
        else refused.add(why);
      }
      refused.forEach((why) => leftOut(`${target.name}: ${why}`));
      if (good.length === 0) {
        throw new Error(
          `Cannot fuzz "${target.name}": no good file is accepted`,
        );
      }
      all.set(target, good);
    }
    return new Inputs(seed, all);
  }

  /** Input number `index`. */
  at(index: number): Input {
    const random = new Random(this.#seed, index);
    const target = random.pick(this.#bag);
    const use = !random.once(RUN) ? "read" : random.once(LOAD) ? "load" : "run";
    return {
      target,
      sample: target.mutate(this.#seeds.get(target)!, random),
      use,
    };
  }
}
