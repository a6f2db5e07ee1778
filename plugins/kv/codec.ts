/**
 * A codec made of a format for K and one for V.
 *
 * ```text
 *  block   layer 0                         | layer 1 | …    layers of the group
 *  layer   head 0            | head 1 | …                   kvHeads
 *  head    K piece | V piece                                each whole 16 bytes
 * ```
 * Values are made finite first, then what K is centred by is taken from them.
 *
 * @module
 */
import { rawFloats } from "../../core/defaults.ts";
import {
  blockIndex,
  type KeyOrValue,
} from "../../core/reference/block_layout.ts";
import type { Codec } from "../../core/slots.ts";
import type { BlockShape, LayerShape, Support } from "../../core/types.ts";
import { finite } from "./finite.ts";
import type { KvPart } from "./part.ts";

/** Settings of `kvCodec()`. */
export interface KvCodecOptions {
  /** First blocks of a sequence that stay open. Default 0. */
  readonly keepFirst?: number | undefined;
  /** What is taken from each K of a layer of the model, [head][dim]. Default: nothing. */
  readonly centre?:
    | ((layer: number) => Float32Array | undefined)
    | undefined;
}

/** Name of a codec: "int8h/int4", or the one where K and V have the same. */
export function codecId(k: KvPart, v: KvPart): string {
  return k.id === v.id ? k.id : `${k.id}/${v.id}`;
}

/** The codec that keeps K as `k` and V as `v`. */
export function kvCodec(
  k: KvPart,
  v: KvPart,
  { keepFirst = 0, centre }: KvCodecOptions = {},
): Codec {
  const id = codecId(k, v);
  const parts = [k, v] as const;
  const blockTokens = Math.max(k.blockTokens ?? 0, v.blockTokens ?? 0);
  let head = new Float32Array(0);

  /** Calls `each` with every piece; `head` has room for its values. */
  const pieces = (
    action: string,
    shape: BlockShape,
    raw: Float32Array,
    sealed: Uint8Array,
    each: (part: KvPart, piece: Uint8Array, at: Place) => void,
  ): void => {
    const { tokens, layers, kvHeads, headDim } = shape;
    check(action, shape, raw, sealed);
    if (head.length !== tokens * headDim) {
      head = new Float32Array(tokens * headDim);
    }
    const bytes = parts.map((part) => part.bytes(tokens, headDim));
    let from = 0;
    for (let layer = 0; layer < layers; layer++) {
      const middle = centre && centreOf(centre, action, shape, layer);
      for (let h = 0; h < kvHeads; h++) {
        for (const which of [0, 1] as const) {
          const piece = sealed.subarray(from, from += bytes[which]!);
          const taken = which === 0 ? middle : undefined;
          each(parts[which], piece, { layer, which, head: h, centre: taken });
        }
      }
    }
  };

  const check = (
    action: string,
    shape: BlockShape,
    raw: Float32Array,
    sealed: Uint8Array,
  ): void => {
    const floats = rawFloats(shape), bytes = codec.bytes(shape);
    if (raw.length === floats && sealed.length === bytes) return;
    throw new RangeError(
      `Cannot ${action} a block of "${id}" with ${raw.length} values and ${sealed.length} bytes: its shape has ${floats} and ${bytes}`,
    );
  };

  const codec: Codec = {
    id,
    lossy: true,
    ...(blockTokens > 0 ? { blockTokens } : {}),
    keepFirst,
    supports: (layer, tokens) =>
      refusal(parts, tokens, layer.headDim) ??
        (centre && centreFits(id, centre, layer)) ?? { ok: true, cost: 1 },
    bytes({ tokens, layers, kvHeads, headDim }) {
      const no = refusal(parts, tokens, headDim);
      if (no?.ok === false) {
        throw new RangeError(`Cannot seal blocks: ${no.why}`);
      }
      const each = k.bytes(tokens, headDim) + v.bytes(tokens, headDim);
      return layers * kvHeads * each;
    },
    seal: (shape, raw, out) =>
      pieces("seal", shape, raw, out, (part, piece, at) => {
        gather(shape, raw, at, head);
        part.seal(head, shape.tokens, shape.headDim, piece);
      }),
    open: (shape, sealed, raw) =>
      pieces("open", shape, raw, sealed, (part, piece, at) => {
        part.open(piece, shape.tokens, shape.headDim, head);
        scatter(shape, raw, at, head);
      }),
    ...(centre ? { centre } : {}),
  };
  return codec;
}

/** A head of a block, and what its values are centred by. */
interface Place {
  readonly layer: number;
  readonly which: KeyOrValue;
  readonly head: number;
  readonly centre: Float32Array | undefined;
}

function gather(
  shape: BlockShape,
  raw: Float32Array,
  { layer, which, head, centre }: Place,
  to: Float32Array,
): void {
  const { tokens, headDim } = shape;
  for (let p = 0, i = 0; p < tokens; p++) {
    const from = blockIndex(shape, layer, which, head, p);
    for (let d = 0; d < headDim; d++, i++) {
      const x = finite(raw[from + d]!);
      to[i] = centre === undefined ? x : x - centre[head * headDim + d]!;
    }
  }
}

function scatter(
  shape: BlockShape,
  raw: Float32Array,
  { layer, which, head, centre }: Place,
  from: Float32Array,
): void {
  const { tokens, headDim } = shape;
  for (let p = 0, i = 0; p < tokens; p++) {
    const to = blockIndex(shape, layer, which, head, p);
    for (let d = 0; d < headDim; d++, i++) {
      const x = from[i]!;
      raw[to + d] = centre === undefined ? x : x + centre[head * headDim + d]!;
    }
  }
}

/** Why some part does not take such blocks; undefined where all do. */
function refusal(
  parts: readonly KvPart[],
  tokens: number,
  headDim: number,
): Support | undefined {
  for (const [which, part] of parts.entries()) {
    const support = part.supports(tokens, headDim);
    if (support.ok) continue;
    return { ok: false, why: `${"KV"[which]} as "${part.id}" ${support.why}` };
  }
  return undefined;
}

function centreFits(
  id: string,
  centre: NonNullable<KvCodecOptions["centre"]>,
  { layer, kvHeads, headDim }: LayerShape,
): Support | undefined {
  const actual = centre(layer)?.length;
  const wanted = kvHeads * headDim;
  if (actual === undefined || actual === wanted) return undefined;
  return {
    ok: false,
    why:
      `"${id}" is centred by ${actual} values in layer ${layer}, which has ${wanted} in its K heads: calibrate this model`,
  };
}

function centreOf(
  centre: NonNullable<KvCodecOptions["centre"]>,
  action: string,
  { layerIds }: BlockShape,
  layer: number,
): Float32Array | undefined {
  const id = layerIds?.[layer];
  if (id !== undefined) return centre(id);
  throw new TypeError(
    `Cannot ${action} a centred block: its shape does not say which layers of the model it holds, give "layerIds"`,
  );
}
