/**
 * Bends good files for as long as it is told, and sees that every one is either
 * refused with an error that names it or is what it says.
 *
 * ```text
 *  deno task fuzz [--count N] [--seconds S] [--seed N] [--workers N] [--targets a,b]
 *  deno task fuzz --seed N --at I      one input again
 * ```
 * Inputs that show a defect are saved in `.tmp/fuzz`. The exit status is 1 where
 * there was one.
 *
 * @module
 */

// deno-lint-ignore-file no-console
import { parseArgs } from "@std/cli/parse-args";
import { fuzz } from "./fuzz/crew.ts";
import { Inputs } from "./fuzz/inputs.ts";
import { summary } from "./fuzz/summary.ts";
import type { Sample, Target } from "./fuzz/target.ts";
import { removeSampleFolder } from "./fuzz/temp_folder.ts";
import { TARGETS } from "./fuzz/targets.ts";
import { ROOT } from "./root.ts";

/** Inputs where nothing is said. */
const COUNT = 100_000;
/** Defects that are saved; more of the same help nobody. */
const SAVED = 20;
/** Milliseconds between two lines that say how far it is. */
const TELL_MS = 10_000;

async function save(
  seed: number,
  index: number,
  sample: Sample,
): Promise<string> {
  const folder = new URL(`.tmp/fuzz/${seed}-${index}/`, ROOT);
  await Deno.mkdir(folder, { recursive: true });
  for (const [name, bytes] of sample) {
    await Deno.writeFile(new URL(name, folder), bytes);
  }
  return folder.pathname;
}

/** Tries one input again and says all there is to know of it. */
async function again(
  seed: number,
  index: number,
  targets: readonly Target[],
): Promise<boolean> {
  const inputs = await Inputs.open(seed, targets);
  const { target, sample, use } = inputs.at(index);
  console.log(
    `input ${index} of seed ${seed}, "${target.name}", in ${await save(
      seed,
      index,
      sample,
    )}`,
  );
  try {
    console.log(await target.read(sample, use) ?? "accepted");
    return true;
  } catch (error) {
    console.log(error);
    return false;
  }
}

async function main(args: readonly string[]): Promise<boolean> {
  const given = parseArgs([...args], {
    string: ["count", "seconds", "seed", "workers", "targets", "at"],
  });
  const number = (name: string): number | undefined => {
    const text = (given as Record<string, unknown>)[name];
    if (text === undefined) return undefined;
    const value = text === "" ? NaN : Number(text);
    if (Number.isSafeInteger(value) && value >= 0) return value;
    throw new TypeError(
      `Cannot use "--${name}" with "${text}": a whole number is wanted`,
    );
  };
  const names = given.targets?.split(",");
  const targets = TARGETS.filter((t) => names?.includes(t.name) ?? true);
  const seed = number("seed") ?? crypto.getRandomValues(new Uint32Array(1))[0]!;
  const at = number("at"), seconds = number("seconds");
  if (at !== undefined) return await again(seed, at, targets);
  const count = number("count") ??
    (seconds === undefined ? COUNT : 2 ** 31 - 1);
  const workers = number("workers") ?? navigator.hardwareConcurrency;
  const inputs = await Inputs.open(
    seed,
    targets,
    (why) => console.log(`left out, a good file is refused: ${why}`),
  );
  console.log(
    `seed ${seed}, ${workers} workers, targets ${
      targets.map((t) => t.name).join(", ")
    }`,
  );
  const start = performance.now();
  let told = start, shown = 0;
  const { tried, tally } = await fuzz({
    seed,
    targets: targets.map((t) => t.name),
    workers,
    count,
    ...seconds === undefined
      ? {}
      : { signal: AbortSignal.timeout(seconds * 1000) },
    onProgress: (tried, { defects }) => {
      for (; shown < Math.min(SAVED, defects.length); shown++) {
        const { index, target, what } = defects[shown]!;
        console.log(`input ${index}, "${target}": ${what}`);
      }
      const now = performance.now();
      if (now - told < TELL_MS) return;
      told = now;
      const rate = Math.round(tried / (now - start) * 1000);
      console.log(`${tried} inputs, ${rate}/s, ${defects.length} defects`);
    },
  });
  console.log(summary(seed, tried, (performance.now() - start) / 1000, tally));
  for (const { index } of tally.defects.slice(0, SAVED)) {
    if (index >= 0) await save(seed, index, inputs.at(index).sample);
  }
  return tally.defects.length === 0;
}

if (import.meta.main) {
  let sound = false;
  try {
    sound = await main(Deno.args);
  } finally {
    removeSampleFolder();
  }
  Deno.exit(sound ? 0 : 1);
}
