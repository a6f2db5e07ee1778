// Experts that come and go: which of those a layer needs are there, and asking for the
// others. The words are drawn in ../expert_cache.ts.
import { EXPERT_RECORDS, Experts } from "./experts";
import { awaitWord } from "./ring";

// @ts-ignore: decorator
@inline const BELL: usize = 4;
// @ts-ignore: decorator
@inline const FAILED: usize = 8;
// @ts-ignore: decorator
@inline const ASKED: usize = 12;
// @ts-ignore: decorator
@inline const HITS: usize = 20;
// @ts-ignore: decorator
@inline const CLOCK: usize = 24;
// @ts-ignore: decorator
@inline const SLOTS: usize = 32;

/** Bytes of an item's words: its slot, when it was last used, how often it was read. */
// @ts-ignore: decorator
@inline const ITEM: usize = 12;

/** Where a product's matrix begins in its expert's slot. */
// @ts-ignore: decorator
@inline const WITHIN: usize = 112;

/**
 * Lists the experts with rows, those that are there first, and asks for the others:
 * these come while the former compute. Returns how many there are.
 */
export function bringExperts(a: Experts, record: usize, all: i32): i32 {
  const clock = load<i32>(a.words + CLOCK) + 1;
  store<i32>(a.words + CLOCK, clock);
  let listed = 0, asked = 0;
  // What all rows take always stays.
  if (all > a.experts) listed = list(a, listed, a.experts);
  for (let e = 0; e < a.experts; e++) {
    if (load<i32>(a.counts + (<usize> e << 2)) == 0) continue;
    const item = a.items + <usize> (a.first + e) * ITEM;
    store<i32>(item, clock, 4);
    const slot = load<i32>(item);
    if (slot < 0) continue;
    turnWeights(a, record, e, slot);
    listed = list(a, listed, e);
    store<i32>(a.words + HITS, load<i32>(a.words + HITS) + 1);
  }
  for (let e = 0; e < a.experts; e++) {
    if (load<i32>(a.counts + (<usize> e << 2)) == 0) continue;
    const item = a.items + <usize> (a.first + e) * ITEM;
    if (load<i32>(item) >= 0) continue;
    const slot = freeSlot(a, clock), owner = a.owners + (<usize> slot << 2);
    const old = load<i32>(owner);
    if (old >= 0) store<i32>(a.items + <usize> old * ITEM, -1);
    store<i32>(owner, a.first + e);
    store<i32>(item, slot);
    store<i32>(item, load<i32>(item, 8) + 1, 8);
    atomic.store<i32>(a.words + SLOTS + (<usize> slot << 3), 0);
    const now = load<i32>(a.words + ASKED) + asked++;
    const request = a.queue + (<usize> (now & a.mask) << 3);
    store<i32>(request, a.first + e);
    store<i32>(request, slot, 4);
    turnWeights(a, record, e, slot);
    listed = list(a, listed, e);
  }
  if (asked > 0) {
    atomic.add<i32>(a.words + ASKED, asked);
    atomic.add<i32>(a.words + BELL, 1);
    atomic.notify(a.words + BELL, -1);
  }
  return listed;
}

// @ts-ignore: decorator
@inline
function list(a: Experts, listed: i32, e: i32): i32 {
  store<i32>(a.list + (<usize> listed << 2), e);
  return listed + 1;
}

/**
 * A slot that nobody has, or whose expert was not used for longest. What this layer
 * needs was used just now, and there are more slots than that.
 */
function freeSlot(a: Experts, clock: i32): i32 {
  let best = 0, most = -1;
  for (let s = 0; s < a.depth; s++) {
    const owner = load<i32>(a.owners + (<usize> s << 2));
    if (owner < 0) return s;
    const age = clock - load<i32>(a.items + <usize> owner * ITEM, 4);
    if (age > most) {
      most = age;
      best = s;
    }
  }
  return best;
}

/** Turns an expert's products to where its matrices are. */
function turnWeights(a: Experts, record: usize, e: i32, slot: i32): void {
  const at = a.base + <usize> slot * a.slotBytes;
  const p = a.records + <usize> (e * EXPERT_RECORDS) * record;
  turned(p + record, at);
  turned(p + record * 2, at);
  turned(p + record * 4, at);
}

// @ts-ignore: decorator
@inline
function turned(p: usize, at: usize): void {
  store<usize>(p, at + load<usize>(p, WITHIN), 8);
}

/** Whether an item is in; false where it never will be, for all workers alike. */
export function waitItem(words: usize, items: usize, item: i32): bool {
  const slot = load<i32>(items + <usize> item * ITEM);
  return awaitWord(
    words + SLOTS + (<usize> slot << 3),
    1,
    words + BELL,
    words + FAILED,
  );
}
