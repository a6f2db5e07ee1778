/**
 * Which lane layout each weight format is repacked to, and its size.
 *
 * A layout's numbers are those of `assembly/kinds.ts`; its drawing stands above
 * the kernel that reads it. A new kernel is a file under `assembly/` and a row here.
 *
 * @module
 */
import type { TensorInfo, WeightType } from "../core/model.ts";

/** One lane layout: bytes of each plane for one panel of four outputs. */
export interface LaneLayout {
  /** Its number in the kernels. */
  readonly kind: number;
  /** Reads f32 activations instead of eight-bit codes. */
  readonly float: boolean;
  /** Bytes of codes per input (floats) or per block of 32 inputs. */
  readonly codes: number;
  /** Bytes of scales and of minima per block; for the `wide` layouts per 256 inputs. */
  readonly scales: number;
  readonly minima: number;
  /** Bytes of group scales per block. */
  readonly groups: number;
  /** Scales stand once per 256 inputs instead of 32. */
  readonly wide: boolean;
}

function lanes(
  kind: number,
  codes: number,
  scales: number,
  minima: number,
  groups = 0,
): LaneLayout {
  const float = scales === 0;
  return { kind, float, codes, scales, minima, groups, wide: groups > 0 };
}

const F32 = lanes(0, 16, 0, 0);
const F16 = lanes(1, 8, 0, 0);
const BF16 = lanes(2, 8, 0, 0);
const Q4 = lanes(3, 64, 8, 0);
const Q4M = lanes(4, 64, 8, 8);
const Q4MF = lanes(5, 64, 16, 16);
const Q5 = lanes(6, 80, 8, 0);
const Q5M = lanes(7, 80, 8, 8);
const Q5MF = lanes(8, 80, 16, 16);
const Q8 = lanes(9, 128, 8, 0);
const Q2K = lanes(10, 64, 16, 16, 16);
const Q3K = lanes(11, 64, 16, 0, 8);
const Q6K = lanes(12, 96, 16, 0, 8);

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
  Q2_K: { id: 10, values: 256, bytes: 84, layout: Q2K, note: "codes in 4 bits" },
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

/** Where the planes of one matrix lie, as offsets into its span. Bytes. */
export interface Planes {
  readonly layout: LaneLayout;
  readonly panels: number;
  readonly w: number;
  readonly d: number;
  readonly m: number;
  readonly sc: number;
  readonly bytes: number;
}

/** Rounds up to whole cache lines. */
export function lines(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

/** Lays out a matrix; `exact` decodes it to f32. */
export function planesOf(tensor: TensorInfo, exact: boolean): Planes {
  const layout = exact ? F32 : KERNELS[tensor.type].layout;
  const panels = Math.ceil(tensor.outputs / 4);
  const per = planeStrides(layout, tensor.inputs);
  const d = lines(per.w * panels);
  const m = d + lines(per.d * panels);
  const sc = m + lines(per.m * panels);
  return {
    layout,
    panels,
    w: 0,
    d,
    m,
    sc,
    bytes: sc + lines(per.sc * panels),
  };
}

/** Bytes from one panel to the next in each plane. */
export function planeStrides(
  layout: LaneLayout,
  inputs: number,
): { w: number; d: number; m: number; sc: number } {
  if (layout.float) return { w: layout.codes * inputs, d: 0, m: 0, sc: 0 };
  const blocks = inputs / 32, supers = layout.wide ? inputs / 256 : blocks;
  return {
    w: layout.codes * blocks,
    d: layout.scales * supers,
    m: layout.minima * supers,
    sc: layout.groups * blocks,
  };
}
