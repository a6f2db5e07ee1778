/**
 * Calibrations beside the models they belong to: `model.gguf.kv.json`.
 *
 * @module
 */
import {
  type Calibration,
  formatCalibration,
  parseCalibration,
} from "../plugins/kv/calibration.ts";

/** Where the calibration of a model's file is kept. */
export function calibrationPath(model: string): string {
  return `${model}.kv.json`;
}

/**
 * The calibration of a model that is on this machine, by what `load()` takes.
 *
 * @throws {TypeError} for a file that is no calibration.
 * @throws {RangeError} where there is none, with what to do.
 */
export async function readCalibration(
  model: string | URL,
): Promise<Calibration> {
  const { pull } = await import("../models/pull.ts");
  const path = calibrationPath(await pull(model));
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new RangeError(
      `Cannot find the calibration of "${model}": there is no "${path}", make it with "quire calibrate ${model} --text FILE"`,
      { cause },
    );
  }
  return parseCalibration(text, path);
}

/** Writes a calibration beside the model's file: all of it or nothing. */
export async function writeCalibration(
  model: string,
  calibration: Calibration,
): Promise<string> {
  const path = calibrationPath(model), part = `${path}.part`;
  try {
    await Deno.writeTextFile(part, formatCalibration(calibration));
    await Deno.rename(part, path);
  } catch (error) {
    await Deno.remove(part).catch(() => {});
    throw error;
  }
  return path;
}
