/**
 * What a model's K look like on a text, for codecs that code K better around its
 * middle. Holds for the weights it was made with and no others.
 *
 * @module
 */
import type { ModelShape } from "../../core/types.ts";
import { LARGEST } from "./finite.ts";

/** Made once for a model, from a text. */
export interface Calibration {
  /** `id` of the model: a fingerprint of its weights. */
  readonly model: string;
  /** Tokens of the text it was made from. */
  readonly tokens: number;
  /**
   * What is taken from each K before it is coded, by layer, [head][dim]. Attention
   * stays the same, whatever the values. None for layers that are left alone.
   */
  readonly centre: readonly Float32Array[];
  /** What coding costs; absent where only centres were measured. */
  readonly losses?: Losses;
}

/** Mean KL divergence from the run without codes that each choice causes, nats. */
export interface Losses {
  /** Of one layer's K or V alone in 4 bits, by layer. */
  readonly int4: readonly { readonly k: number; readonly v: number }[];
  /** Values of a token's K, as many as of its V, by layer. */
  readonly values: readonly number[];
  /** Of all K and V in 8 bits. */
  readonly int8: number;
}

const KIND = "quire-calibration";
const VERSION = 1;

/**
 * A calibration as JSON; vectors are base64 of f32, lower byte first.
 *
 * @throws {TypeError} for numbers that `parseCalibration()` would refuse.
 */
export function formatCalibration(calibration: Calibration): string {
  const { model, tokens, centre, losses } = calibration;
  const text = JSON.stringify({
    kind: KIND,
    version: VERSION,
    model,
    tokens,
    centre: centre.map((c) =>
      new Uint8Array(c.buffer, c.byteOffset, c.byteLength).toBase64()
    ),
    ...(losses ? { losses } : {}),
  });
  parseCalibration(text, "to be written");
  return text;
}

/**
 * Reads what `formatCalibration()` wrote; `file` names it in errors.
 *
 * @throws {TypeError} for anything else.
 */
export function parseCalibration(
  text: string,
  file: string = "calibration",
): Calibration {
  const { kind, version, model, tokens, centre, losses } = entries(text, file);
  if (kind !== KIND) {
    refuse(file, `"kind" "${KIND}" is wanted, not ${quote(kind)}`);
  }
  if (version !== VERSION) {
    refuse(
      file,
      `version ${VERSION} is wanted, not ${quote(version)}: calibrate again`,
    );
  }
  if (typeof model !== "string" || model === "") {
    refuse(file, `"model" is to be the id of a model, not ${quote(model)}`);
  }
  if (!Number.isSafeInteger(tokens) || (tokens as number) < 1) {
    refuse(
      file,
      `"tokens" is to be a whole number above 0, not ${quote(tokens)}`,
    );
  }
  if (!Array.isArray(centre)) {
    refuse(file, `"centre" is to be a list, not ${quote(centre)}`);
  }
  return {
    model: model as string,
    tokens: tokens as number,
    centre: (centre as unknown[]).map((c, layer) => vector(c, layer, file)),
    ...(losses === undefined ? {} : { losses: lossesOf(losses, file) }),
  };
}

/**
 * Throws a TypeError where a calibration is not this model's, or has other layers
 * or heads, or numbers that no K has.
 */
export function checkCalibration(
  { model, centre, losses }: Calibration,
  shape: ModelShape,
): void {
  const refuseIt = (problem: string): never => {
    throw new TypeError(
      `Cannot use calibration of model "${model}": ${problem}, calibrate this model`,
    );
  };
  if (model !== shape.id) refuseIt(`the model here is "${shape.id}"`);
  if (centre.length !== shape.layers.length) {
    refuseIt(`it has ${centre.length} layers, not ${shape.layers.length}`);
  }
  if (losses !== undefined && losses.int4.length !== shape.layers.length) {
    refuseIt(
      `it has losses of ${losses.int4.length} layers, not ${shape.layers.length}`,
    );
  }
  for (const [i, { kvHeads, headDim }] of shape.layers.entries()) {
    const values = losses?.values[i] ?? kvHeads * headDim;
    if (values === kvHeads * headDim) continue;
    refuseIt(
      `it has losses of ${values} values in layer ${i}, not of ${kvHeads} heads of ${headDim}`,
    );
  }
  for (const [i, { kvHeads, headDim }] of shape.layers.entries()) {
    const { length } = centre[i]!;
    if (length !== 0 && length !== kvHeads * headDim) {
      refuseIt(
        `it has ${length} values in layer ${i}, not ${kvHeads} heads of ${headDim}`,
      );
    }
    const bad = firstBad(centre[i]!);
    if (bad !== undefined) refuseIt(`it has ${bad} in layer ${i}`);
  }
}

function entries(text: string, file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TypeError(`Cannot read "${file}": it is no JSON`, { cause });
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    refuse(file, `an object is wanted, not ${quote(value)}`);
  }
  return value as Record<string, unknown>;
}

/** Losses are small numbers, none of them below 0 or without an end. */
function lossesOf(value: unknown, file: string): Losses {
  const { int4, int8, values } = (value ?? {}) as Partial<Losses>;
  const isLoss = (x: unknown): x is number =>
    typeof x === "number" && x >= 0 && x < Infinity;
  if (!Array.isArray(int4) || !isLoss(int8) || !Array.isArray(values)) {
    refuse(file, `"losses" are not those of layers: ${quote(value)}`);
  }
  const none = (values as unknown[]).find((n) =>
    !(Number.isSafeInteger(n) && n as number > 0)
  );
  if (none !== undefined || values!.length !== int4!.length) {
    refuse(
      file,
      `"losses" are not of so many values in each of ${int4!.length} layers: ${
        quote(values)
      }`,
    );
  }
  return {
    int4: (int4 as { k?: unknown; v?: unknown }[]).map((loss, layer) => {
      const { k, v } = loss ?? {};
      if (isLoss(k) && isLoss(v)) return { k, v };
      return refuse(file, `"losses" of layer ${layer} are ${quote(loss)}`);
    }),
    int8: int8 as number,
    values: values as number[],
  };
}

function vector(value: unknown, layer: number, file: string): Float32Array {
  let bytes = new Uint8Array(0);
  try {
    bytes = Uint8Array.fromBase64(value as string);
  } catch {
    refuse(file, `"centre" of layer ${layer} is no base64`);
  }
  if (bytes.length % 4 !== 0) {
    refuse(
      file,
      `"centre" of layer ${layer} has ${bytes.length} bytes, no whole f32`,
    );
  }
  const out = new Float32Array(bytes.buffer, bytes.byteOffset);
  const bad = firstBad(out);
  if (bad !== undefined) refuse(file, `"centre" of layer ${layer} has ${bad}`);
  return out;
}

/** The first value that no centre of f16 values can have. */
function firstBad(values: Float32Array): number | undefined {
  return values.find((x) => !(Math.abs(x) <= LARGEST));
}

function refuse(file: string, problem: string): never {
  throw new TypeError(`Cannot read calibration "${file}": ${problem}`);
}

/** What a terminal acts on, and JSON leaves as it is. */
const UNSAFE = /[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]/g;

function quote(value: unknown): string {
  try {
    return JSON.stringify(value)?.slice(0, 60).replace(UNSAFE, "\uFFFD") ??
      "nothing";
  } catch {
    return "something nested too deep";
  }
}
