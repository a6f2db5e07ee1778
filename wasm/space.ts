/**
 * The backend's working memory: what a step reads and writes besides weights and
 * K/V, laid out once for the largest step.
 *
 * @module
 */
import type { BackendLimits } from "../core/backend.ts";
import type { Owner } from "../core/ledger.ts";
import type { ModelSpec } from "../core/model.ts";
import { type Books, take } from "./load.ts";

/** Positions in a split of attention; `SPLIT` in assembly/attention.ts. */
export const SPLIT = 256;

/** Steps of at most this many rows spread their splits over the workers. */
export const SPREAD_ROWS = 16;

/** Queries (row, head) that one unit of attention takes together, at least. */
const QUERIES = 16;

/** One set of activations in the forms that matrices read; see assembly/quants.ts. */
export interface Forms {
  readonly xq: number;
  readonly xs: number;
  readonly xf: number;
  readonly xi: number;
  readonly x16: number;
  readonly xn: number;
}

/** Sizes that follow from the model and the limits. */
export interface Extent {
  /** Rows, whole tiles of four. */
  readonly rows: number;
  readonly wanted: number;
  /** Floats of a row of q, k and v together, and of the attention's output. */
  readonly qkv: number;
  readonly heads: number;
  /** Width of MLPs that are no experts. */
  readonly ffn: number;
  /** Vocabulary, whole panels. */
  readonly vocab: number;
  /** Rows of a sequence that attention takes together. */
  readonly tileRows: number;
  readonly splits: number;
  readonly scratch: number;
}

/** Works the sizes out. `context`: most positions of a sequence. */
export function extentOf(
  spec: ModelSpec,
  limits: BackendLimits,
  context: number,
): Extent {
  const rows = up(limits.rows, 4), wanted = up(limits.wanted, 4);
  let qkv = 0, heads = 0, ffn = 0, group = 1, dim = 0;
  for (const l of spec.layers) {
    qkv = Math.max(qkv, (l.qHeads + 2 * l.kvHeads) * l.headDim);
    heads = Math.max(heads, l.qHeads * l.headDim);
    ffn = Math.max(ffn, l.mlp?.ffn ?? 0);
    group = Math.max(group, l.qHeads / l.kvHeads);
    dim = Math.max(dim, l.headDim);
  }
  const tileRows = Math.max(1, Math.floor(QUERIES / group));
  const queries = up(tileRows * group, 4);
  // As drawn in assembly/room.ts.
  const form = queries * (1.5 * dim + 2);
  const open = queries * (dim + dim + SPLIT + dim + 2 + 4 + dim) +
    4 * SPLIT + dim + dim * SPLIT;
  const sealed = 2 * form + queries * (1 + SPLIT + SPLIT / 2 + 2 * dim) +
    2 * SPLIT;
  const scratch = 128 + 4 * (open + sealed);
  return {
    rows,
    wanted,
    qkv: up(qkv, 16),
    heads: up(heads, 16),
    ffn: up(ffn, 32),
    vocab: up(spec.vocab, 16),
    tileRows,
    splits: Math.ceil(context / SPLIT),
    scratch: up(Math.max(scratch, spec.hidden * 4, 4096), 64),
  };
}

function up(n: number, to: number): number {
  return Math.ceil(n / to) * to;
}

/** Takes spans under an owner and remembers whose bytes they are, for the ledger. */
export class Space {
  readonly #memory: Books;
  readonly #bytes = new Map<string, { owner: Owner; bytes: number }>();

  /** `memory`: where, or only the books of it, to learn what it would take. */
  constructor(memory: Books) {
    this.#memory = memory;
  }

  /** Address of `bytes` new bytes, counted under `owner` and `component`. */
  take(owner: Owner, component: string, bytes: number): number {
    const span = take(this.#memory, Math.max(64, bytes), component);
    const old = this.#bytes.get(component);
    this.#bytes.set(component, {
      owner,
      bytes: (old?.bytes ?? 0) + up(span.bytes, 64),
    });
    return span.offset;
  }

  /** Activations of `rows` rows of up to `n` values, in every form. */
  forms(component: string, rows: number, n: number): Forms {
    const blocks = Math.ceil(n / 32), tiles = rows / 4;
    const own = (bytes: number): number =>
      this.take("activations", component, bytes);
    return {
      xq: own(rows * blocks * 32),
      xs: own(tiles * blocks * 32),
      xf: own(tiles * blocks * 32),
      xi: own(tiles * blocks * 16),
      x16: own(tiles * blocks * 32),
      xn: own(rows * n * 4),
    };
  }

  /** Bytes by owner and component. */
  entries(): { owner: Owner; component: string; bytes: number }[] {
    return [...this.#bytes].map(([component, e]) => ({ component, ...e }));
  }
}
