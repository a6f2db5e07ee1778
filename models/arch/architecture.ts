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
  readonly scaledEmbedding: boolean;
  /** Whether each head's q and k pass through an RMS norm before they turn. */
  readonly qkNorm: boolean;
  /** Whether the outputs of attention and MLP are normed before they are added. */
  readonly postNorm: boolean;
  /** Whether "rope_freqs.weight" may divide the frequencies. */
  readonly ropeFactors: boolean;
  /** Whether heads may turn only in part ("rope.dimension_count"). */
  readonly partialRope: boolean;
  /** Which layers see a window, where the file gives its size; undefined for none. */
  readonly windows: WindowPattern | undefined;
  /**
   * How rows weigh their experts, where a file may have some ("expert_count"):
   * whether the weights of those taken are made to sum to 1.
   */
  readonly experts?: { readonly normalised: boolean };
  /** A layer count whose models scale scores by hidden / heads, not by head size. */
  readonly scaleByHiddenAt?: number;
  /** Keys, without the prefix, that change the arithmetic in a way not modelled. */
  readonly refuses: readonly string[];
}

/** Windowed layers: all, or all but each `period`-th, unless the file says otherwise. */
export interface WindowPattern {
  /** Layer i sees everything where i + 1 is a multiple of this. */
  readonly period?: number;
  /**
   * Rotation base of windowed layers, which then have no position scaling. Without
   * it they rotate like the others.
   */
  readonly ropeBase?: number;
}
