/**
 * Calibrations beside the models they belong to: `model.gguf.kv.json`.
 *
 * @module
 */
import { ModelError } from "../core/errors.ts";
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
 * The calibration of a model, by what `load()` takes, which is fetched first if this
 * machine does not have it. Whether it is of these weights is found when the model is
 * loaded with it.
 *
 * @throws {ModelError} for a file that is no calibration, and where there is none.
 */
export async function readCalibration(
  model: string | URL,
): Promise<Calibration> {
  const { path, calibration } = await look(model);
  if (calibration !== undefined) return calibration;
  throw new ModelError(
    `${model}`,
    `it is not calibrated, there is no "${path}"; ${remedy(model)}`,
  );
}

/**
 * `readCalibration()`, undefined where there is none.
 *
 * @throws {ModelError} for a file that is no calibration.
 */
export async function findCalibration(
  model: string | URL,
): Promise<Calibration | undefined> {
  return (await look(model)).calibration;
}

async function look(
  model: string | URL,
): Promise<{ path: string; calibration: Calibration | undefined }> {
  const { pull } = await import("../models/pull.ts");
  const path = calibrationPath(await pull(model));
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    return { path, calibration: undefined };
  }
  try {
    return { path, calibration: parseCalibration(text, path) };
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    const problem = cause.message.replace(/^Cannot/, "cannot");
    const message = `${problem}; ${remedy(model)}`;
    throw new ModelError(`${model}`, message, { cause });
  }
}

function remedy(model: string | URL): string {
  return `run "quire calibrate ${model} --text FILE"`;
}

/** Writes a calibration beside the model's file: all of it or nothing. */
export async function writeCalibration(
  model: string,
  calibration: Calibration,
): Promise<string> {
  const path = calibrationPath(model);
  // A name of its own: two that write at once do not mix.
  const part = `${path}.${crypto.randomUUID()}.part`;
  try {
    await Deno.writeTextFile(part, formatCalibration(calibration));
    await Deno.rename(part, path);
  } catch (error) {
    await Deno.remove(part).catch(() => {});
    throw error;
  }
  return path;
}
