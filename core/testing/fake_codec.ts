/**
 * Codecs over the blocks of the fake backend, whose keys are positions and whose
 * values are tokens.
 *
 * ```text
 *  cell    position << 8 | token, turned over     4 bytes a token and layer
 * ```
 *
 * @module
 */
import type { Plugin } from "../plugin.ts";
import type { Codec } from "../slots.ts";
import type { LayerShape } from "../types.ts";

/** How a fake codec behaves. */
export interface FakeCodecOptions {
  /** Default "fake". */
  readonly id?: string;
  /** Whether tokens come back rounded down to even ones. Default false. */
  readonly lossy?: boolean;
  readonly keepFirst?: number;
  readonly blockTokens?: number;
  readonly supports?: NonNullable<Codec["supports"]>;
  readonly centre?: NonNullable<Codec["centre"]>;
}

/** A codec that says what becomes of a token. */
export interface FakeCodec extends Codec {
  /** What `open()` gives for a token that was sealed. */
  token(token: number): number;
}

/** Bits of zeros and ones: what was never sealed does not open. */
const TURN = 0x5bd1e995;

/** Makes one. */
export function fakeCodec(options: FakeCodecOptions = {}): FakeCodec {
  const { id = "fake", lossy = false, ...rest } = options;
  const token = (t: number): number => lossy ? t & ~1 : t;
  return {
    ...rest,
    id,
    lossy,
    token,
    bytes: (shape) => 4 * shape.tokens * shape.layers,
    seal(shape, raw, out) {
      const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
      for (let i = 0; i < shape.tokens * shape.layers; i++) {
        const cell = raw[2 * i]! << 8 | token(raw[2 * i + 1]!);
        view.setInt32(4 * i, cell ^ TURN);
      }
    },
    open(shape, sealed, raw) {
      const { buffer, byteOffset, byteLength } = sealed;
      const view = new DataView(buffer, byteOffset, byteLength);
      for (let i = 0; i < shape.tokens * shape.layers; i++) {
        const cell = view.getInt32(4 * i) ^ TURN;
        raw[2 * i] = cell >> 8;
        raw[2 * i + 1] = cell & 255;
      }
    },
  };
}

/** A plugin with a codec. */
export function codecPlugin(
  codec: Codec,
  scope: {
    readonly tier?: string;
    readonly layers?: (l: LayerShape) => boolean;
  } = {},
): Plugin {
  return {
    name: `codec-${codec.id}${
      scope.tier === undefined ? "" : `-${scope.tier}`
    }`,
    setup: (host) => host.provide("codec", codec, scope),
  };
}
