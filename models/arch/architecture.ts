/**
 * What distinguishes one decoder architecture from another, as data.
 *
 * @module
 */
import type { LayerSpec, RopeSpec } from "../../core/model.ts";

/** A record that `modelSpec()` reads together with a file's metadata. */
export interface Architecture {
  /** Value of "general.architecture", and the prefix of its metadata keys. */
  readonly name: string;
  /** Which values of a head turn together. */
  readonly ropeStyle: RopeSpec["style"];
  /** What the MLP's gate passes through. */
  readonly activation: LayerSpec["activation"];
  /** Whether embeddings are multiplied by the square root of the hidden size. */
  readonly scaledEmbedding?: boolean;
  /** Whether each head's q and k pass through an RMS norm before they turn. */
  readonly qkNorm?: boolean;
  /** Whether something is added to queries, keys and values; "maybe": as the file has it. */
  readonly biases?: boolean | "maybe";
  /** Projections stored as one matrix, where the file has it: q, k and v; gate and up. */
  readonly fused?: readonly ("qkv" | "up")[];
  /** What the file calls the norm before the MLP. Default "ffn_norm". */
  readonly ffnNorm?: string;
  /** Whether the outputs of attention and MLP are normed before they are added. */
  readonly postNorm?: boolean;
  /** Soft caps of scores and logits where the file gives none. Default: there are none. */
  readonly caps?: { readonly attention: number; readonly logits: number };
  /**
   * Whether "embedding_scale", "residual_scale" and "logit_scale" are multipliers of
   * embeddings and sums, and a divisor of logits.
   */
  readonly scales?: boolean;
  /** Whether "rope_freqs.weight" may divide the frequencies. */
  readonly ropeFactors?: boolean;
  /** Whether heads may turn only in part ("rope.dimension_count"). */
  readonly partialRope?: boolean;
  /** Each layer of a number that this divides, counted from 1, turns nothing. */
  readonly stillEvery?: number;
  /** Which layers see a window, where the file gives its size. Default: none. */
  readonly windows?: WindowPattern | undefined;
  /**
   * How rows weigh their experts, where a file may have some ("expert_count"):
   * whether the weights of those taken are made to sum to 1, and whether there is one
   * more that all rows take, by a gate of its own.
   */
  readonly experts?: {
    readonly normalised: boolean;
    readonly shared?: boolean;
  };
  /** A layer count whose models scale scores by hidden / heads, not by head size. */
  readonly scaleByHiddenAt?: number;
  /** Keys, without the prefix, that change the arithmetic in a way not modelled. */
  readonly refuses: readonly string[];
}

/** Windowed layers: all, or all but each `period`-th, unless the file says otherwise. */
export interface WindowPattern {
  /** Layer i sees everything where i + 1 is a multiple of this. */
  readonly period?: number;
  /** Its size where the file gives none. */
  readonly assumed?: number;
  /**
   * Rotation base of windowed layers, which then have no position scaling. Without
   * it they rotate like the others.
   */
  readonly ropeBase?: number;
}
