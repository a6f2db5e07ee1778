/**
 * Small plugins for tests: one of each kind that no built-in plugin is yet.
 *
 * @module
 */
import { rawFloats } from "../defaults.ts";
import type { CachePlan } from "../plan.ts";
import type { Plugin } from "../plugin.ts";
import type {
  Admission,
  CacheEvent,
  Codec,
  Drafter,
  Restorer,
} from "../slots.ts";
import { fakeNext } from "./fake_backend.ts";

/** Eight bits a value and one scale a block; off by at most `toyBound()`. */
export function toyCodec(): Codec {
  return {
    id: "toy8",
    lossy: true,
    bytes: (shape) => 4 + rawFloats(shape),
    seal(_shape, raw, out) {
      let most = 0;
      for (const x of raw) most = Math.max(most, Math.abs(x));
      // A view: f32 as it is stored.
      const scale = new Float32Array([most / 127]);
      out.set(new Uint8Array(scale.buffer));
      for (let i = 0; i < raw.length; i++) {
        const code = scale[0] === 0 ? 0 : Math.round(raw[i]! / scale[0]!);
        out[4 + i] = Math.max(-127, Math.min(127, code));
      }
    },
    open(_shape, sealed, raw) {
      const scale = new Float32Array(sealed.slice(0, 4).buffer)[0]!;
      for (let i = 0; i < raw.length; i++) {
        raw[i] = ((sealed[4 + i]! << 24) >> 24) * scale;
      }
    },
  };
}

/** Most that a value of a block comes out off, `peak` being the block's largest. */
export function toyBound(_value: number, peak: number): number {
  return peak / 127 * 0.501 + 1e-37;
}

/** Keeps hidden states before some layers, the least recently used go first. */
export function toyRestorer(
  boundaries: readonly number[] = [1],
  capacity = 1 << 20,
): Restorer {
  const kept = new Map<string, { rows: Float32Array; sum: number }>();
  let used = 0;
  const drop = (key: string): void => {
    used -= kept.get(key)!.rows.byteLength;
    kept.delete(key);
  };
  return {
    id: "toy",
    boundaries,
    capacity,
    get used() {
      return used;
    },
    keep(key, rows) {
      if (kept.has(key) || rows.byteLength > capacity) return;
      for (const old of kept.keys()) {
        if (used + rows.byteLength <= capacity) break;
        drop(old);
      }
      kept.set(key, { rows, sum: sumOf(rows) });
      used += rows.byteLength;
    },
    has: (key) => kept.has(key),
    get(key) {
      const found = kept.get(key);
      if (found === undefined) return undefined;
      if (sumOf(found.rows) !== found.sum) return void drop(key);
      kept.delete(key);
      kept.set(key, found);
      return found.rows;
    },
  };
}

function sumOf({ buffer, byteOffset, length }: Float32Array): number {
  const words = new Uint32Array(buffer, byteOffset, length);
  return words.reduce((sum, word) => Math.imul(sum, 31) + word | 0, 0);
}

/** A restorer as a plugin. */
export function restorerPlugin(restorer: Restorer): Plugin {
  return {
    name: "restorer",
    setup: (host) => host.provide("restore", restorer),
  };
}

/** Newest first, and the oldest gives way: the contrary of the default. */
export function toyAdmission(): Admission {
  return {
    order: (waiting) => waiting.toReversed(),
    victim: (running) => running[0]!,
  };
}

/** A plugin that writes events down. */
export function observerPlugin(events: CacheEvent[] = []): Plugin {
  return {
    name: "observer",
    setup: (host) =>
      host.provide("observe", { event: (e) => void events.push(e) }),
  };
}

/**
 * A drafter that knows what the fake model says, once it is told the plan, and is
 * wrong every `wrong`-th time.
 */
export class ToyDrafter implements Drafter {
  readonly id = "toy";
  readonly most: number;
  readonly #wrong: number;
  #calls = 0;
  #plan: Pick<CachePlan, "groups"> | undefined;

  constructor(most: number, wrong: number = Infinity) {
    this.most = most;
    this.#wrong = wrong;
  }

  /** The plan whose model it guesses. */
  learn(plan: Pick<CachePlan, "groups">): void {
    this.#plan = plan;
  }

  propose(tokens: Int32Array, length: number, room: number): number {
    if (this.#plan === undefined) return 0;
    for (let i = 0; i < room; i++) {
      const next = fakeNext(this.#plan, tokens, length + i);
      tokens[length + i] = ++this.#calls % this.#wrong === 0
        ? (next + 1) % 97
        : next;
    }
    return room;
  }

  /** It as a plugin. */
  get plugin(): Plugin {
    return { name: "toy-drafter", setup: (h) => h.provide("draft", this) };
  }
}
