/**
 * Where an answer may be in a grammar, found as it grows.
 *
 * @module
 */
import type { Option, Place } from "./grammar.ts";
import type { Mask } from "./masks.ts";

/** Most ways that are followed side by side; those farthest from an end are left. */
const MOST_WAYS = 64;

/** Once so many are remembered, all are forgotten. */
const MOST_KNOWN = 50_000;

/** What is not at its end yet, innermost first. Equal ones are one object. */
export interface Frame {
  /** Goes on behind `option`, of which the inside is being read. */
  readonly option: Option | undefined;
  readonly parent: Frame | undefined;
  /** Fewest tokens to the end of everything, once the inside is at its end. */
  readonly rest: number;
  readonly frames: Map<number, Frame>;
  readonly ways: Map<number, Way>;
}

/** A terminal in the middle of being read. Equal ones are one object. */
export interface Way {
  readonly id: number;
  readonly option: Option;
  readonly state: number;
  readonly frame: Frame;
  /** Fewest tokens to the end of everything. */
  readonly rest: number;
}

/** All ways there are after some bytes. Equal ones are one object. */
export interface Spot {
  readonly ways: readonly Way[];
  /** The answer may end here. */
  readonly done: boolean;
  /** Fewest tokens to the end. */
  readonly rest: number;
  /** Spots behind bytes that were asked for; null for none. */
  readonly next: Map<number, Spot | null>;
  /** See masks.ts. */
  mask: Mask | undefined;
  readonly nearer: Map<number, Mask>;
}

/** Goes through a grammar that was measured, byte by byte. */
export class Machine {
  readonly #root: Place;
  #top: Frame = emptyFrame();
  #spots = new Map<string, Spot>();
  #ids = 0;
  #known = 0;

  constructor(root: Place) {
    this.#root = root;
  }

  /** Before anything is read. */
  get start(): Spot {
    const gathered = new Gathered();
    this.#enter(this.#root, this.#top, gathered, new Set());
    return this.#spot(gathered);
  }

  /** Behind a byte; undefined where none may follow. */
  step(spot: Spot, byte: number): Spot | undefined {
    const known = spot.next.get(byte);
    if (known !== undefined) return known ?? undefined;
    const gathered = new Gathered();
    for (const { option, state, frame } of spot.ways) {
      const to = option.terminal!.step(state, byte);
      if (to >= 0) this.#arrive(option, to, frame, gathered);
    }
    const next = gathered.isEmpty ? null : this.#spot(gathered);
    spot.next.set(byte, next);
    return next ?? undefined;
  }

  /** Behind the end of a way's terminal, whatever else may be. */
  ending({ option, frame }: Way, tag: number): Spot | undefined {
    const gathered = new Gathered();
    this.#leave(option, tag, frame, gathered, new Set());
    return gathered.isEmpty ? undefined : this.#spot(gathered);
  }

  #arrive(option: Option, state: number, frame: Frame, to: Gathered): void {
    const rest = option.rest(state) + frame.rest;
    const tag = option.terminal!.tag(state);
    // Infinity comes of a vocabulary that lacks bytes.
    if (rest < Infinity && !option.terminal!.isLast(state)) {
      to.ways.add(this.#way(option, state, frame, rest));
    }
    if (tag >= 0) this.#leave(option, tag, frame, to, new Set());
  }

  #leave(
    option: Option,
    tag: number,
    frame: Frame,
    to: Gathered,
    seen: Set<string>,
  ): void {
    let at: Frame | undefined = frame;
    let place = option.then[tag];
    while (place === undefined) {
      if (at!.option === undefined) {
        to.done = true;
        return;
      }
      place = at!.option.then[0];
      at = at!.parent;
    }
    this.#enter(place, at!, to, seen);
  }

  #enter(place: Place, frame: Frame, to: Gathered, seen: Set<string>): void {
    for (const option of place.options) {
      if (option.terminal !== undefined) {
        const rest = option.rest(0) + frame.rest;
        if (rest < Infinity) to.ways.add(this.#way(option, 0, frame, rest));
        continue;
      }
      const behind = option.then[0];
      const inside = option.place!;
      if (inside.rest + (behind?.rest ?? 0) === Infinity) continue;
      const within = behind === undefined ? frame : this.#frame(option, frame);
      // A place may begin with itself.
      const key = `${option.id} ${within === frame}`;
      if (within === frame) {
        if (seen.has(key)) continue;
        seen.add(key);
      }
      this.#enter(inside, within, to, within === frame ? seen : new Set());
    }
  }

  #frame(option: Option, parent: Frame): Frame {
    let frame = parent.frames.get(option.id);
    if (frame === undefined) {
      const rest = parent.rest + (option.then[0]?.rest ?? 0);
      frame = { ...emptyFrame(), option, parent, rest };
      parent.frames.set(option.id, frame);
      this.#known++;
    }
    return frame;
  }

  #way(option: Option, state: number, frame: Frame, rest: number): Way {
    const key = option.id * 2 ** 32 + state;
    let way = frame.ways.get(key);
    if (way === undefined) {
      way = { id: this.#ids++, option, state, frame, rest };
      frame.ways.set(key, way);
      this.#known++;
    }
    return way;
  }

  #spot({ ways: all, done }: Gathered): Spot {
    let ways = [...all].sort((a, b) => a.id - b.id);
    if (ways.length > MOST_WAYS) {
      ways = ways.sort((a, b) => a.rest - b.rest || a.id - b.id)
        .slice(0, MOST_WAYS).sort((a, b) => a.id - b.id);
    }
    const key = ways.map((way) => way.id).join() + (done ? "." : "");
    let spot = this.#spots.get(key);
    if (spot === undefined) {
      const rest = ways.reduce((r, w) => Math.min(r, w.rest), Infinity);
      spot = {
        ways,
        done,
        rest: done ? 0 : rest,
        next: new Map(),
        mask: undefined,
        nearer: new Map(),
      };
      if (++this.#known > MOST_KNOWN) this.#forget();
      this.#spots.set(key, spot);
    }
    return spot;
  }

  /** What is in use goes on; it only is not found again. */
  #forget(): void {
    this.#known = 0;
    this.#spots = new Map();
    this.#top = emptyFrame();
  }
}

/** What is found to follow. */
class Gathered {
  readonly ways = new Set<Way>();
  done = false;

  get isEmpty(): boolean {
    return this.ways.size === 0 && !this.done;
  }
}

function emptyFrame(): Frame {
  return {
    option: undefined,
    parent: undefined,
    rest: 0,
    frames: new Map(),
    ways: new Map(),
  };
}
