/**
 * Low-rank adapters (LoRA): small matrices that are added to a model's own while it
 * computes, for some rows and not for others.
 *
 * ```text
 *  x ──▶ W ──────────────────▶ + ─▶ y        W   outputs × inputs, the model's
 *   └──▶ A ─▶ t · factor · scale             A   rank × inputs
 *             └──▶ B ─────────▶ +            B   outputs × rank
 * ```
 *
 * @module
 */
import { sha256Text } from "./sha256.ts";
import type { MaybePromise } from "./types.ts";

/** A matrix of an adapter; quantised ones are given as F32. */
export interface AdapterMatrix {
  /** Of the values that `read()` gives. */
  readonly type: "F32" | "F16" | "BF16";
  /** Outputs. */
  readonly rows: number;
  /** Inputs. */
  readonly columns: number;
  /** The values row by row, little-endian. Rejects where the file is not as it was. */
  read(): MaybePromise<Uint8Array>;
}

/** What an adapter adds to one matrix of the model. */
export interface AdapterModule {
  /** The model's matrix, as its spec calls it. */
  readonly tensor: string;
  /** Rows of `a`, columns of `b`. */
  readonly rank: number;
  /** The product is multiplied by this: alpha / rank, or alpha / √rank. */
  readonly factor: number;
  /** Rank × inputs. */
  readonly a: AdapterMatrix;
  /** Outputs × rank. */
  readonly b: AdapterMatrix;
}

/** One adapter, fitted to a model. */
export interface Adapter {
  /** As requests call it. */
  readonly name: string;
  /** Fingerprint of its content: part of the content addresses of what it computes. */
  readonly id: string;
  /** By the model's matrices, at most one for each. */
  readonly modules: ReadonlyMap<string, AdapterModule>;
}

/** The adapters of one request. */
export interface AdapterSet {
  /** Equal for sets that compute the same; never empty. */
  readonly key: string;
  /** By place among those loaded; 0: not in it. */
  readonly scales: Float32Array;
}

/** Which sequences of a step use which adapters. */
export interface AdapterBatch {
  /** Adapters that are loaded. */
  readonly count: number;
  /** `scales[seq * count + adapter]`; 0: it does not use it. */
  readonly scales: Float32Array;
  /** Whether any sequence of the step uses any: where none does, `scales` is not read. */
  active: boolean;
}

/**
 * A set of the adapters that have a scale other than 0; undefined for none. They are
 * added in the order they were loaded in, which is that of their ids.
 */
export function adapterSet(
  adapters: readonly Adapter[],
  scales: Float32Array,
): AdapterSet | undefined {
  const used = [...scales.entries()].filter(([, scale]) => scale !== 0);
  if (used.length === 0) return undefined;
  const words = used.map(([i, scale]) => [adapters[i]!.id, scale]);
  return { key: sha256Text(JSON.stringify(words)), scales };
}

/** Whose a request is, and with what it computes. */
export interface Salted {
  /** Default "". */
  readonly tenant?: string | undefined;
  /** Default: nothing but the model. */
  readonly adapters?: AdapterSet | undefined;
}

/** What stands before a set's key, and behind it, in a salt. */
const MARK = "\0";

/**
 * What a request's content addresses begin with: tenant and adapters. Two salts are
 * equal only where both are; without adapters it is the tenant's name.
 *
 * ```text
 *  no adapters     tenant                  ( \0 \0 tenant  where that begins with \0 )
 *  adapters        \0 key \0 tenant
 * ```
 */
export function saltOf({ tenant = "", adapters }: Salted): string {
  if (adapters !== undefined) return MARK + adapters.key + MARK + tenant;
  return tenant.startsWith(MARK) ? MARK + MARK + tenant : tenant;
}

/** The salt of the same adapters and no tenant. */
export function anyonesSalt(salt: string): string {
  const end = salt.startsWith(MARK) ? salt.indexOf(MARK, 1) : 0;
  return end <= 1 ? "" : salt.slice(0, end + 1);
}

/** The tenant's part of a salt. */
export function tenantOf(salt: string): string {
  return salt.startsWith(MARK) ? salt.slice(salt.indexOf(MARK, 1) + 1) : salt;
}

/** Writes what the i-th sequence of a step uses. Throws a TypeError where it cannot. */
export function fillAdapters(
  i: number,
  set: AdapterSet | undefined,
  batch: AdapterBatch | undefined,
): void {
  if (set === undefined) {
    if (batch?.active) {
      batch.scales.fill(0, i * batch.count, (i + 1) * batch.count);
    }
    return;
  }
  if (batch === undefined || batch.count !== set.scales.length) {
    throw new TypeError(
      `Cannot compute with ${set.scales.length} adapters: the backend has ${
        batch?.count ?? 0
      }`,
    );
  }
  // Until now nothing was written for those before it.
  if (!batch.active) batch.scales.fill(0, 0, i * batch.count);
  batch.scales.set(set.scales, i * batch.count);
  batch.active = true;
}
