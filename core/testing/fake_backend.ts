/**
 * A backend for tests of the cache and the scheduler.
 *
 * Its "model" keeps the position and the token of each row in the row's block,
 * and the next token is a hash of all that the row sees, read back from the
 * blocks. Any fault in tables, windows, copies or releases changes a token.
 *
 * ```text
 *  block   layer 0: [position i32][token i32] × tokens, layer 1: …
 * ```
 * Where it is told to fuse a codec, it seals blocks that are filled and reads them
 * back through the codec, as the batch says, and throws where the batch says another
 * form than the rule: own and first blocks open, earlier ones sealed.
 *
 * @module
 */
import type {
  Backend,
  BackendLimits,
  BoundGroup,
  HiddenBatch,
  OpenBlocks,
  StepBatch,
  StepResult,
} from "../backend.ts";
import { rawFloats } from "../defaults.ts";
import type { LedgerLine } from "../ledger.ts";
import type { CachePlan } from "../plan.ts";
import { visible } from "../ranges.ts";
import type { AttendKernel } from "../slots.ts";
import type { BlockShape } from "../types.ts";
import type { FakeCodec } from "./fake_codec.ts";
import { FakeMemory } from "./fake_memory.ts";

/** Sizes of a fake backend, each with a small default. */
export interface FakeOptions {
  readonly bytes?: number;
  readonly rows?: number;
  readonly seqs?: number;
  readonly wanted?: number;
  /** Ids of codecs that its kernel reads. Default none: then it has no kernel. */
  readonly fused?: readonly string[];
  /** Whether its open blocks can be read as values. Default true. */
  readonly opens?: boolean;
  /** Positions it reads at a time of blocks that are away. Default 0: it cannot. */
  readonly segmentTokens?: number;
}

/** Values of a row's hidden state. */
const HIDDEN = 3;

/** Tokens are 0 to this, exclusive. */
export const FAKE_VOCAB = 97;

/** See the module. Call `bind()` before the first step. */
export class FakeBackend implements Backend {
  readonly id = "reference";
  readonly rawFormat = "f32";
  readonly hidden = true;
  readonly kernels: readonly AttendKernel[];
  readonly transcoders = [];
  readonly limits: BackendLimits;
  readonly memory: FakeMemory;
  readonly openBlocks?: OpenBlocks;
  batch!: StepBatch;
  #groups: readonly BoundGroup[] = [];
  /** Sealed blocks of this step that were read, by their place. */
  readonly #opens = new Map<string, Float32Array>();
  /** What was fed to this step, by group, layer and segment. */
  readonly #fed = new Map<string, Uint8Array>();
  readonly #segmentTokens: number;

  constructor(options: FakeOptions = {}) {
    this.#segmentTokens = options.segmentTokens ?? 0;
    const { bytes = 1 << 20, rows = 64, seqs = 16, wanted = rows } = options;
    const { fused = [], opens = true } = options;
    this.kernels = fused.length === 0 ? [] : [attendKernel(fused)];
    if (opens) {
      this.openBlocks = {
        read: (offset, shape, out) => this.#values(offset, shape, out, false),
        write: (offset, shape, raw) => this.#values(offset, shape, raw, true),
      };
    }
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

  bind(
    groups: readonly BoundGroup[],
    tableStride: number,
    _streams = false,
    boundaries: readonly number[] = [],
  ): void {
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
      sealed: groups.map(({ fused }) =>
        new Uint32Array(fused === undefined ? 0 : seqs * tableStride)
      ),
      seals: 0,
      starts: perGroup(() => new Int32Array(rows)),
      sinks: perGroup(() => new Int32Array(rows)),
      firsts: perGroup(() => new Int32Array(rows)),
      backs: perGroup(() => new Int32Array(rows)),
      wanted: 0,
      wantedRows: new Int32Array(wanted),
      top: 0,
      hidden: boundaries.length === 0 ? undefined : {
        boundaries,
        width: HIDDEN,
        mode: "none",
        rows: boundaries.map(() => new Float32Array(rows * HIDDEN)),
      },
      stream: this.#segmentTokens === 0 ? undefined : {
        segmentTokens: this.#segmentTokens,
        segments: 0,
        feed: undefined,
      },
    };
  }

  /** The rows' next tokens, in the order of the rows. Throws on a foreign block. */
  runRows(): Int32Array {
    const out = new Int32Array(this.batch.rows);
    let seals = 0;
    this.#opens.clear();
    if (this.batch.hidden?.mode === "keep") this.#keep(this.batch.hidden);
    if (this.batch.hidden?.mode === "inject" && this.batch.wanted > 0) {
      throw new Error("a step that restores rows wants some");
    }
    this.#fed.clear();
    for (let g = 0; g < this.#groups.length; g++) {
      for (let row = 0; row < out.length; row++) this.#write(row, g);
      for (let row = 0; row < out.length; row++) seals += this.#seal(row, g);
    }
    if (seals !== this.batch.seals) {
      throw new Error(
        `${seals} blocks are sealed, the batch says ${this.batch.seals}`,
      );
    }
    for (let row = 0; row < out.length; row++) {
      let hash = 0;
      for (let g = 0; g < this.#groups.length; g++) {
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
      state: (_row, out) => void out.fill(0),
    });
  }

  lines(): readonly LedgerLine[] {
    return [];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  /** Hidden states say whose they are: token, position, layer. */
  #keep({ boundaries, rows }: HiddenBatch): void {
    const { tokens, positions } = this.batch;
    for (const [k, layer] of boundaries.entries()) {
      for (let row = 0; row < this.batch.rows; row++) {
        rows[k]!.set([tokens[row]!, positions[row]!, layer], row * HIDDEN);
      }
    }
  }

  /** The token that a layer's K and V are computed from. Throws on foreign rows. */
  #tokenOf(row: number, layer: number): number {
    const { hidden, tokens, positions } = this.batch;
    if (hidden?.mode !== "inject") return tokens[row]!;
    const k = hidden.boundaries.findLastIndex((b) => b <= layer);
    if (k < 0) return tokens[row]!;
    const at = row * HIDDEN;
    const [token, position, of] = hidden.rows[k]!.subarray(at, at + HIDDEN);
    if (position !== positions[row] || of !== hidden.boundaries[k]) {
      throw new Error(
        `row ${row} at ${
          positions[row]
        } is given the hidden state of position ${position} before layer ${of}`,
      );
    }
    return token!;
  }

  /** Open blocks as values, and back. */
  #values(
    offset: number,
    { tokens, layers }: BlockShape,
    raw: Float32Array,
    write: boolean,
  ): void {
    const view = new DataView(this.memory.bytes.buffer, offset);
    for (let t = 0; t < tokens; t++) {
      for (let l = 0; l < layers; l++) {
        const i = (l * tokens + t) * 2, at = i * 4;
        if (write) {
          view.setInt32(at, raw[i]!);
          view.setInt32(at + 4, raw[i + 1]!);
        } else {
          raw[i] = view.getInt32(at);
          raw[i + 1] = view.getInt32(at + 4);
        }
      }
    }
  }

  /** The sealed place of block b of a row's sequence. */
  #sealedAt(row: number, g: number, b: number): number {
    const { sealed, tableStride, seqs } = this.batch;
    return sealed[g]![seqs[row]! * tableStride + b] ?? 0;
  }

  /** Seals the block a row fills, where it has a place; says how many. */
  #seal(row: number, g: number): number {
    const { shape, fused } = this.#groups[g]!;
    const { tables, tableStride, seqs, positions } = this.batch;
    const end = positions[row]! + 1, b = Math.floor((end - 1) / shape.tokens);
    if (fused === undefined || end % shape.tokens !== 0) return 0;
    const to = this.#sealedAt(row, g, b);
    if (to === 0) return 0;
    const raw = new Float32Array(rawFloats(shape));
    const from = tables[g]![seqs[row]! * tableStride + b]!;
    this.#values(from, shape, raw, false);
    const { bytes } = this.memory;
    fused.seal(shape, raw, bytes.subarray(to, to + fused.bytes(shape)));
    return 1;
  }

  /** Position and token as the codec gives them back. */
  #opened(
    row: number,
    g: number,
    position: number,
    layer: number,
  ): readonly [number, number] {
    const { shape, fused } = this.#groups[g]!;
    const b = Math.floor(position / shape.tokens);
    const at = this.#sealedAt(row, g, b);
    const name = `${g} ${b} ${at}`;
    let raw = this.#opens.get(name);
    if (raw === undefined) {
      const bytes = fused!.bytes(shape);
      const from = at % 2 === 1
        ? this.#away(g, b, at, bytes)
        : this.memory.bytes.subarray(at, at + bytes);
      raw = new Float32Array(rawFloats(shape));
      fused!.open(shape, from, raw);
      this.#opens.set(name, raw);
    }
    const i = (layer * shape.tokens + position % shape.tokens) * 2;
    return [raw[i]!, raw[i + 1]!];
  }

  /** Whether a row has to read a position sealed; throws on a batch that says else. */
  #readsSealed(row: number, g: number, position: number): boolean {
    const { shape, fused } = this.#groups[g]!;
    if (fused === undefined) return false;
    const b = Math.floor(position / shape.tokens);
    const own = Math.floor(this.batch.positions[row]! / shape.tokens);
    const must = b < own && b >= (fused.keepFirst ?? 0);
    const has = this.#sealedAt(row, g, b) !== 0;
    if (must !== has && b !== own) {
      throw new Error(
        `row ${row} at ${
          this.batch.positions[row]
        } wants position ${position} ${must ? "sealed" : "open"}`,
      );
    }
    return must;
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
    const at = (layer * shape.tokens + position % shape.tokens) * 8;
    if (offset % 2 === 1) {
      const bytes = this.#away(g, b, offset, this.blockBytes(shape));
      return new DataView(bytes.buffer, at, 8);
    }
    return new DataView(this.memory.bytes.buffer, offset + at, 8);
  }

  /** Block b of a group, whose layers' parts are fed to this step. */
  #away(g: number, b: number, entry: number, bytes: number): Uint8Array {
    const { layers, tokens } = this.#groups[g]!.shape, part = bytes / layers;
    const { segmentTokens, segments, feed } = this.batch.stream!;
    const blocks = segmentTokens / tokens, segment = Math.floor(b / blocks);
    if (segment >= segments) throw new Error(`block ${b} is in no segment`);
    const out = new Uint8Array(bytes);
    for (let l = 0; l < layers; l++) {
      const name = `${g} ${l} ${segment}`;
      let slot = this.#fed.get(name);
      if (slot === undefined) {
        slot = new Uint8Array(blocks * part);
        if (feed!(g, l, segment, slot) instanceof Promise) {
          throw new Error("a tier that answers at once is wanted here");
        }
        this.#fed.set(name, slot);
      }
      out.set(slot.subarray(entry - 1, entry - 1 + part), l * part);
    }
    return out;
  }

  #raw(
    row: number,
    g: number,
    position: number,
    layer: number,
  ): readonly [number, number] {
    const cell = this.#cell(row, g, position, layer);
    return [cell.getInt32(0), cell.getInt32(4)];
  }

  #write(row: number, g: number): void {
    const position = this.batch.positions[row]!;
    for (const [l, layer] of this.#groups[g]!.layers.entries()) {
      const cell = this.#cell(row, g, position, l);
      cell.setInt32(0, position);
      cell.setInt32(4, this.#tokenOf(row, layer));
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
      const sealed = this.#readsSealed(row, g, p);
      for (let l = 0; l < layers.length; l++) {
        const [position, token] = sealed
          ? this.#opened(row, g, p, l)
          : this.#raw(row, g, p, l);
        if (position !== p) {
          throw new Error(
            `row ${row} at ${
              end - 1
            } wants position ${p}, the block says ${position}`,
          );
        }
        const seenAt = p < sink ? p + back : p;
        hash = mix(hash, layers[l]!, seenAt, token);
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
    const { shape, keepFirst } = g, codec = g.codec as Partial<FakeCodec>;
    // [kept, own) is sealed.
    const kept = keepFirst * shape.tokens;
    const own = length - 1 - (length - 1) % shape.tokens;
    for (const r of ranges) {
      for (let p = r.start; p < r.end; p++) {
        const seenAt = p < recent ? p + back : p;
        const sealed = codec.token !== undefined && p >= kept && p < own;
        const token = sealed ? codec.token!(tokens[p]!) : tokens[p]!;
        for (const layer of g.layers) hash = mix(hash, layer, seenAt, token);
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

function attendKernel(fused: readonly string[]): AttendKernel {
  return {
    id: "fake-attend",
    backend: "reference",
    supports: (format) =>
      format === "f32" || fused.includes(format)
        ? { ok: true, cost: 1 }
        : { ok: false, why: `reads f32 and ${fused.join(", ")}` },
  };
}

function mix(hash: number, layer: number, p: number, token: number): number {
  let h = Math.imul(hash ^ token, 0x9E3779B1) ^
    Math.imul(p + 1, 0x85EBCA6B) ^ layer;
  h ^= h >>> 15;
  return Math.imul(h, 0xC2B2AE35) >>> 0;
}
