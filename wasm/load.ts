/**
 * Placing weights: a span for every tensor, and the list of tasks that fill them.
 *
 * @module
 */
import type { Allocator, Span } from "../core/allocator.ts";
import type { ModelSpec, TensorInfo, WeightType } from "../core/model.ts";
import type { WeightPlan, WeightSource } from "../core/weight_plan.ts";
import {
  KERNELS,
  type LaneLayout,
  lines,
  PANEL,
  panelBytes,
  roundingOf,
} from "./kernels.ts";
import { expertItems, mostExperts } from "./expert_cache.ts";
import type { LoadTask } from "./task_reader.ts";
import { type Weight, weightList } from "./weight_list.ts";

/** A matrix in the shared memory. */
export interface Matrix {
  readonly tensor: TensorInfo;
  readonly layout: LaneLayout;
  readonly panels: number;
  /** Its address; of an expert that comes and goes, that of the first slot. */
  readonly w: number;
  /** Where it begins in its expert's slot. */
  readonly within?: number;
}

/** All weights: matrices in lane layouts, vectors as plain f32. */
export interface Weights {
  readonly matrices: ReadonlyMap<string, Matrix>;
  readonly vectors: ReadonlyMap<string, number>;
  /** What is read once, when the model is loaded. */
  readonly tasks: readonly LoadTask[];
  /** Bytes of those that stay. */
  readonly bytes: number;
  /**
   * Bytes one worker needs to decode a panel: in its layout, as f32 rows, and as rows
   * of the format that it is rounded to.
   */
  readonly decoding: readonly [number, number, number];
  /** Layers that come and go. */
  readonly ring: Ring | undefined;
}

/** Slots, and what goes through them: layer k of those lies in slot k mod depth first. */
export interface Ring {
  readonly from: WeightSource;
  /** Address of slot 0; the others follow. */
  readonly base: number;
  readonly slotBytes: number;
  readonly depth: number;
  readonly layers: readonly RingLayer[];
  /**
   * There where it is experts that come and go, each when it is asked for: `layers` are
   * experts then, and this is how many a layer may have.
   */
  readonly most?: number;
  /** From "host": the layers' bytes, ready to be copied. */
  readonly hosts: readonly SharedArrayBuffer[];
}

/** A layer that is streamed, or an expert of it. */
export interface RingLayer {
  readonly layer: number;
  readonly expert?: number;
  readonly bytes: number;
  /** Its rows in the file; addresses count from the start of a slot. */
  readonly tasks: readonly LoadTask[];
}

/** Rows are read about this many bytes at a time. */
const CHUNK = 1 << 20;

/** Of streamed layers less: what was read is packed while it is in the L2 cache. */
const STREAM_CHUNK = 1 << 18;

/** Memory ran out while loading; the message has the numbers. */
export class NoRoom extends RangeError {
  override readonly name = "NoRoom";
}

/** The part of a memory that says where spans are. */
export type Books = Pick<Allocator, "alloc" | "stat">;

/** Takes `bytes` or says what for. */
export function take(memory: Books, bytes: number, what: string): Span {
  const span = memory.alloc(bytes);
  if (span !== undefined) return span;
  const { capacity, used, largestFree } = memory.stat();
  throw new NoRoom(
    `Cannot place ${what}: ${bytes} bytes wanted, ${largestFree} free in one piece ` +
      `(${used} of ${capacity} in use); raise "budget", lower "context" or stream layers with weightOffload()`,
  );
}

/**
 * Places every tensor the model names; of layers that are streamed, in slots. Throws
 * {@linkcode NoRoom}.
 */
export function placeWeights(
  spec: ModelSpec,
  memory: Books,
  exact: boolean,
  plan?: WeightPlan,
): Weights {
  const { from = "disk", streamed = [] } = plan ?? {};
  const depth = plan?.experts?.slots ?? plan?.depth ?? 0;
  const slotBytes = plan?.experts?.slotBytes ?? plan?.slotBytes ?? 0;
  const matrices = new Map<string, Matrix>();
  const vectors = new Map<string, number>();
  const tasks: LoadTask[] = [];
  const list = weightList(spec, exact);
  let bytes = 0;
  const items = plan?.experts === undefined ? [] : expertItems(spec);
  const itemOf = new Map(items.flatMap((e, i) => e.names.map((n) => [n, i])));
  const slots = depth === 0
    ? 0
    : take(memory, slotBytes * depth, `${depth} slots of weights`).offset;
  const layers = [
    ...items.map(({ layer, expert }) => ({ layer, expert })),
    ...streamed.map((layer) => ({ layer })),
  ].map((of) => ({ ...of, bytes: 0, tasks: [] as LoadTask[] }));
  // Where in the ring layer k starts in the first pass.
  const slot = (k: number): number => slots + k % depth * slotBytes;
  for (const weight of list) {
    const { name, tensor, layout, panels, vector } = weight;
    const k = weight.layer === undefined
      ? -1
      : itemOf.get(name) ?? streamed.indexOf(weight.layer);
    if (k >= 0) {
      const at = layers[k]!, within = at.bytes;
      const w = items.length > 0 ? slots : slot(k) + within;
      matrices.set(name, { tensor, layout, panels, w, within });
      const chunk = from === "disk" ? STREAM_CHUNK : CHUNK;
      at.tasks.push(...tasksOf(weight, at.bytes, chunk));
      at.bytes += weight.bytes;
      continue;
    }
    const span = take(memory, weight.bytes, `weights "${name}"`);
    bytes += lines(span.bytes);
    const w = span.offset;
    if (vector) vectors.set(name, w);
    else matrices.set(name, { tensor, layout, panels, w });
    tasks.push(...tasksOf(weight, w, CHUNK));
  }
  // In the order of the file, so that what drives and systems read ahead is of use.
  for (const { tasks } of layers) {
    tasks.sort((a, b) => a.file - b.file || a.offset - b.offset);
  }
  const hosts = from === "disk" ? [] : layers.map((l, host) => {
    tasks.push(...l.tasks.map((task) => ({ ...task, host })));
    return new SharedArrayBuffer(l.bytes);
  });
  return {
    matrices,
    vectors,
    tasks,
    bytes,
    decoding: decodingOf(list),
    ring: layers.length === 0 ? undefined : {
      ...{ from, base: slots, slotBytes, depth, layers, hosts },
      ...items.length > 0 && { most: mostExperts(spec) },
    },
  };
}

/** See `Weights.decoding`. */
function decodingOf(
  list: readonly Weight[],
): readonly [number, number, number] {
  let lanes = 0, rows = 0, rounded = 0;
  for (const { tensor, vector, exact } of list) {
    const { type, inputs } = tensor, as = roundingOf(tensor, exact);
    if (!vector && !exact && as === undefined) continue;
    const laneBytes = (type: WeightType): number =>
      lines(panelBytes(KERNELS[type].layout, inputs));
    lanes = Math.max(lanes, laneBytes(type));
    rows = Math.max(rows, lines(inputs * 4 * PANEL));
    if (as === undefined) continue;
    lanes = Math.max(lanes, laneBytes(as));
    rounded = Math.max(rounded, lines(rowBytesOf(as, inputs) * PANEL));
  }
  return [lanes, rows, rounded];
}

function rowBytesOf(type: WeightType, inputs: number): number {
  const { values, bytes } = KERNELS[type];
  return inputs / values * bytes;
}

/** Runs of rows of about `chunk` bytes; the first goes to `w`. */
function tasksOf(
  { tensor, vector, exact, panelBytes }: Weight,
  w: number,
  chunk: number,
): LoadTask[] {
  const { type, inputs, plus } = tensor, { id, layout } = KERNELS[type];
  const as = vector ? undefined : roundingOf(tensor, exact);
  const rowBytes = rowBytesOf(type, inputs);
  // Whole groups of four panels, so that no two workers share a cache line.
  const step = Math.max(32, Math.floor(chunk / rowBytes / 32) * 32);
  const tasks: LoadTask[] = [];
  for (let row = 0; row < tensor.outputs; row += step) {
    const rows = Math.min(step, tensor.outputs - row);
    tasks.push({
      file: tensor.file,
      offset: tensor.offset + row * rowBytes,
      bytes: rows * rowBytes,
      rows,
      rowBytes,
      inputs,
      type: id,
      kind: layout.kind,
      form: vector ? "plain" : exact ? "f32" : "lanes",
      w: w + row / PANEL * panelBytes,
      packed: vector ? rows * inputs * 4 : Math.ceil(rows / PANEL) * panelBytes,
      ...(as === undefined ? {} : {
        round: {
          name: as,
          type: KERNELS[as].id,
          kind: KERNELS[as].layout.kind,
          rowBytes: rowBytesOf(as, inputs),
        },
      }),
      ...(vector && plus !== undefined ? { plus } : {}),
    });
  }
  return tasks;
}
