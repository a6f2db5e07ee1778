/**
 * A backend for tests of the cache and the scheduler.
 *
 * Its "model" keeps the position and the token of each row in the row's block,
 * and the next token is a hash of all that the row sees, read back from the
 * blocks. Any fault in tables, windows, copies or releases changes a token.
 *
 * ```text
 *  block   token 0: [position i32][token i32] × layers, token 1: …
 * ```
 *
 * @module
 */
import type {
  Backend,
  BackendLimits,
  BoundGroup,
  StepBatch,
  StepResult,
} from "../backend.ts";
import type { LedgerLine } from "../ledger.ts";
import type { CachePlan } from "../plan.ts";
import { visible } from "../ranges.ts";
import type { BlockShape } from "../types.ts";
import { FakeMemory } from "./fake_memory.ts";

/** Sizes of a fake backend, each with a small default. */
export interface FakeOptions {
  readonly bytes?: number;
  readonly rows?: number;
  readonly seqs?: number;
  readonly wanted?: number;
}

/** Tokens are 0 to this, exclusive. */
export const FAKE_VOCAB = 97;

/** See the module. Call `bind()` before the first step. */
export class FakeBackend implements Backend {
  readonly id = "reference";
  readonly rawFormat = "f32";
  readonly kernels = [];
  readonly transcoders = [];
  readonly limits: BackendLimits;
  readonly memory: FakeMemory;
  batch!: StepBatch;
  #groups: readonly BoundGroup[] = [];

  constructor(options: FakeOptions = {}) {
    const { bytes = 1 << 20, rows = 64, seqs = 16, wanted = rows } = options;
    this.memory = new FakeMemory(bytes);
    this.limits = {
      bytes,
      maxSpan: bytes,
      align: this.memory.align,
      rows,
      seqs,
      wanted,
      top: 0,
    };
  }

  blockBytes(shape: BlockShape): number {
    return shape.tokens * shape.layers * 8;
  }

  bind(groups: readonly BoundGroup[], tableStride: number): void {
    const { rows, seqs, wanted } = this.limits;
    const perGroup = <T>(make: () => T) => groups.map(make);
    this.#groups = groups;
    this.batch = {
      rows: 0,
      tokens: new Int32Array(rows),
      positions: new Int32Array(rows),
      seqs: new Int32Array(rows),
      tableStride,
      tables: perGroup(() => new Uint32Array(seqs * tableStride)),
      starts: perGroup(() => new Int32Array(rows)),
      sinks: perGroup(() => new Int32Array(rows)),
      firsts: perGroup(() => new Int32Array(rows)),
      backs: perGroup(() => new Int32Array(rows)),
      wanted: 0,
      wantedRows: new Int32Array(wanted),
      top: 0,
    };
  }

  /** The rows' next tokens, in the order of the rows. Throws on a foreign block. */
  runRows(): Int32Array {
    const out = new Int32Array(this.batch.rows);
    for (let row = 0; row < out.length; row++) {
      let hash = 0;
      for (let g = 0; g < this.#groups.length; g++) {
        this.#write(row, g);
        hash = this.#read(row, g, hash);
      }
      out[row] = hash % FAKE_VOCAB;
    }
    return out;
  }

  run(): Promise<StepResult> {
    const next = this.runRows();
    const { wantedRows } = this.batch;
    const none = new Float32Array(0);
    return Promise.resolve({
      logits: (i) => {
        const logits = new Float32Array(FAKE_VOCAB);
        logits[next[wantedRows[i]!]!] = 1;
        return logits;
      },
      topIds: () => new Int32Array(0),
      topLogits: () => none,
    });
  }

  lines(): readonly LedgerLine[] {
    return [];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #cell(row: number, g: number, position: number, layer: number): DataView {
    const { shape } = this.#groups[g]!;
    const { tables, tableStride, seqs } = this.batch;
    const b = Math.floor(position / shape.tokens);
    const offset = tables[g]![seqs[row]! * tableStride + b]!;
    if (offset === 0) {
      throw new Error(
        `row ${row} at ${
          this.batch.positions[row]
        } wants position ${position}, whose block is released`,
      );
    }
    const at = ((position % shape.tokens) * shape.layers + layer) * 8;
    return new DataView(this.memory.bytes.buffer, offset + at, 8);
  }

  #write(row: number, g: number): void {
    const position = this.batch.positions[row]!;
    for (let l = 0; l < this.#groups[g]!.shape.layers; l++) {
      const cell = this.#cell(row, g, position, l);
      cell.setInt32(0, position);
      cell.setInt32(4, this.batch.tokens[row]!);
    }
  }

  #read(row: number, g: number, before: number): number {
    const { layers } = this.#groups[g]!;
    const end = this.batch.positions[row]! + 1;
    const sink = this.batch.sinks[g]![row]!;
    const start = this.batch.starts[g]![row]!;
    const first = this.batch.firsts[g]![row]!;
    const back = this.batch.backs[g]![row]!;
    let hash = before;
    for (let p = 0; p < end; p++) {
      if ((p < first || p >= sink) && p < start) continue;
      for (let l = 0; l < layers.length; l++) {
        const cell = this.#cell(row, g, p, l);
        if (cell.getInt32(0) !== p) {
          throw new Error(
            `row ${row} at ${end - 1} wants position ${p}, the block says ${
              cell.getInt32(0)
            }`,
          );
        }
        const seenAt = p < sink ? p + back : p;
        hash = mix(hash, layers[l]!, seenAt, cell.getInt32(4));
      }
    }
    return hash;
  }
}

/** The next token after `tokens`, computed from the plan's retentions alone. */
export function fakeNext(
  plan: Pick<CachePlan, "groups">,
  tokens: ArrayLike<number>,
  length: number = tokens.length,
): number {
  let hash = 0;
  for (const g of plan.groups) {
    const ranges = visible(g.retention, length - 1);
    let recent = length;
    for (const r of ranges.toReversed()) if (r.end >= recent) recent = r.start;
    const reach = Math.min(...g.retention.map((r) => r.reach ?? Infinity));
    const back = Math.max(0, length - reach);
    for (const r of ranges) {
      for (let p = r.start; p < r.end; p++) {
        const seenAt = p < recent ? p + back : p;
        for (const layer of g.layers) {
          hash = mix(hash, layer, seenAt, tokens[p]!);
        }
      }
    }
  }
  return hash % FAKE_VOCAB;
}

/** What greedy decoding gives. */
export function fakeGenerate(
  plan: Pick<CachePlan, "groups">,
  prompt: readonly number[],
  count: number,
): number[] {
  const tokens = [...prompt];
  for (let i = 0; i < count; i++) tokens.push(fakeNext(plan, tokens));
  return tokens.slice(prompt.length);
}

function mix(hash: number, layer: number, p: number, token: number): number {
  let h = Math.imul(hash ^ token, 0x9E3779B1) ^
    Math.imul(p + 1, 0x85EBCA6B) ^ layer;
  h ^= h >>> 15;
  return Math.imul(h, 0xC2B2AE35) >>> 0;
}
