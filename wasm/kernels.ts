/**
 * Which lane layout each weight format is repacked to, and its size.
 *
 * A layout's numbers are those of `assembly/kinds.ts`; its drawing stands above
 * the kernel that reads it. A new kernel is a file under `assembly/` and a row here.
 *
 * @module
 */
import type { RoundedType, TensorInfo, WeightType } from "../core/model.ts";

/** One lane layout. */
export interface LaneLayout {
  /** Its number in the kernels. */
  readonly kind: number;
  /** Reads f32 activations instead of eight-bit codes. */
  readonly float: boolean;
  /** Inputs in a block, and the bytes a block of one panel (eight outputs) takes. */
  readonly inputs: number;
  readonly bytes: number;
}

function floats(kind: number, bytes: number): LaneLayout {
  return { kind, float: true, inputs: 1, bytes };
}

function codes(kind: number, bytes: number, inputs = 32): LaneLayout {
  return { kind, float: false, inputs, bytes };
}

const F32 = floats(0, 32);
const F16 = floats(1, 16);
const BF16 = floats(2, 16);
const Q4 = codes(3, 144);
const Q4M = codes(4, 160);
const Q4MF = codes(5, 192);
const Q5 = codes(6, 176);
const Q5M = codes(7, 192);
const Q5MF = codes(8, 224);
const Q8 = codes(9, 272);
const Q2K = codes(10, 1344, 256);
const Q3K = codes(11, 1184, 256);
const Q6K = codes(12, 1696, 256);

/** A weight format of the file: its GGUF number, block and layout here. */
interface Row {
  readonly id: number;
  readonly values: number;
  readonly bytes: number;
  readonly layout: LaneLayout;
  /** Why the layout is not the format's own, where it is not. */
  readonly note?: string;
}

/** Every format, and what becomes of it. */
export const KERNELS: { readonly [T in WeightType]: Row } = {
  F32: { id: 0, values: 1, bytes: 4, layout: F32 },
  F16: { id: 1, values: 1, bytes: 2, layout: F16 },
  BF16: { id: 30, values: 1, bytes: 2, layout: BF16 },
  Q4_0: { id: 2, values: 32, bytes: 18, layout: Q4 },
  Q4_1: { id: 3, values: 32, bytes: 20, layout: Q4M },
  Q5_0: { id: 6, values: 32, bytes: 22, layout: Q5 },
  Q5_1: { id: 7, values: 32, bytes: 24, layout: Q5M },
  Q8_0: { id: 8, values: 32, bytes: 34, layout: Q8 },
  Q2_K: {
    id: 10,
    values: 256,
    bytes: 84,
    layout: Q2K,
    note: "codes in 4 bits",
  },
  Q3_K: {
    id: 11,
    values: 256,
    bytes: 110,
    layout: Q3K,
    note: "codes in 4 bits",
  },
  Q4_K: { id: 12, values: 256, bytes: 144, layout: Q4MF },
  Q5_K: { id: 13, values: 256, bytes: 176, layout: Q5MF },
  Q6_K: { id: 14, values: 256, bytes: 210, layout: Q6K },
  IQ4_NL: {
    id: 20,
    values: 32,
    bytes: 18,
    layout: Q8,
    note: "codes in 8 bits",
  },
};

/** Outputs in a panel. */
export const PANEL = 8;

/** Rounds up to whole cache lines. */
export function lines(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

/**
 * The format that a matrix is rounded to on its way to lanes; undefined where nothing
 * is rounded.
 */
export function roundingOf(
  { as }: TensorInfo,
  _exact: boolean,
): RoundedType | undefined {
  return as;
}

/** The layout a matrix gets; `exact` decodes it to f32. */
export function layoutOf(tensor: TensorInfo, exact: boolean): LaneLayout {
  if (exact) return F32;
  return KERNELS[roundingOf(tensor, exact) ?? tensor.type].layout;
}

/** Bytes from one panel of a matrix to the next. */
export function panelBytes(layout: LaneLayout, inputs: number): number {
  return inputs / layout.inputs * layout.bytes;
}

/** Panels of a matrix. */
export function panelsOf(outputs: number): number {
  return Math.ceil(outputs / PANEL);
}
