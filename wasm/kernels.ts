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
const NL = codes(13, 144);
const NLF = codes(14, 160);
const BOOK3 = codes(15, 160);
const BOOK2 = codes(16, 160);
const E2M1 = codes(17, 160);
const BOOK3S = codes(18, 160);
const BOOK1 = codes(19, 160);

/** A weight format of the file: its GGUF number, block and layout here. */
interface Row {
  readonly id: number;
  readonly values: number;
  readonly bytes: number;
  readonly layout: LaneLayout;
  /** What it is rounded to, where no layout has room for it. */
  readonly via?: RoundedType;
  /** What the layout keeps, where it is not the format's own. */
  readonly note?: string;
}

/** A format with a layout of its own, or one that keeps every value of it. */
function row(
  id: number,
  values: number,
  bytes: number,
  layout: LaneLayout,
  note?: string,
): Row {
  return { id, values, bytes, layout, ...(note === undefined ? {} : { note }) };
}

/** A format whose scales belong to 16 values each. */
function rounded(id: number, values: number, bytes: number): Row {
  return { ...row(id, values, bytes, Q8, "rounded to Q8_0"), via: "Q8_0" };
}

const WIDER = "codes in 4 bits";
const BOOK = "codes of a book of 16 values, f32 scales";

/** Every format, and what becomes of it. */
export const KERNELS: { readonly [T in WeightType]: Row } = {
  F32: row(0, 1, 4, F32),
  F16: row(1, 1, 2, F16),
  BF16: row(30, 1, 2, BF16),
  Q4_0: row(2, 32, 18, Q4),
  Q4_1: row(3, 32, 20, Q4M),
  Q5_0: row(6, 32, 22, Q5),
  Q5_1: row(7, 32, 24, Q5M),
  Q8_0: row(8, 32, 34, Q8),
  Q2_K: row(10, 256, 84, Q2K, WIDER),
  Q3_K: row(11, 256, 110, Q3K, WIDER),
  Q4_K: row(12, 256, 144, Q4MF, "f32 scales"),
  Q5_K: row(13, 256, 176, Q5MF, "f32 scales"),
  Q6_K: row(14, 256, 210, Q6K),
  IQ4_NL: row(20, 32, 18, NL),
  IQ4_XS: row(23, 256, 136, NLF, "f32 scales"),
  MXFP4: row(39, 32, 17, E2M1, "f32 scales"),
  NVFP4: rounded(40, 64, 36),
  TQ1_0: row(34, 256, 54, Q4, "as Q4_0"),
  TQ2_0: row(35, 256, 66, Q4, "as Q4_0"),
  IQ3_S: row(21, 256, 110, BOOK3S, BOOK),
  IQ3_XXS: row(18, 256, 98, BOOK3, BOOK),
  IQ2_S: rounded(22, 256, 82),
  IQ2_XS: rounded(17, 256, 74),
  IQ2_XXS: row(16, 256, 66, BOOK2, BOOK),
  IQ1_M: rounded(29, 256, 56),
  IQ1_S: row(19, 256, 50, BOOK1, BOOK),
};

/** Outputs in a panel. */
export const PANEL = 8;

/** Rounds up to whole cache lines. */
export function lines(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

/**
 * The format that a matrix is rounded to on its way to lanes, by request or because no
 * layout has room for its own; undefined where nothing is rounded.
 */
export function roundingOf(
  { as, type }: TensorInfo,
  exact: boolean,
): RoundedType | undefined {
  return as ?? (exact ? undefined : KERNELS[type].via);
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
