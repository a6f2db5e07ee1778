/**
 * Recounts the cache's books.
 *
 * @module
 */
import type { BlockStore } from "./block_store.ts";
import type { CachePlan, GroupPlan } from "./plan.ts";
import { intersect, needed } from "./ranges.ts";
import type { Sequence } from "./sequence.ts";
import type { BlockId, SeqId } from "./types.ts";

/**
 * References are occurrences in tables; bytes are what the pools hold; what a
 * later query can see is there, and nothing else; an open block has no key; an idle block has
 * one; two blocks never overlap. Throws on the first disagreement.
 */
export function checkCache(
  plan: CachePlan,
  store: BlockStore,
  seqs: ReadonlyMap<SeqId, Sequence>,
  slack: number,
): void {
  const refs = new Int32Array(store.end);
  for (const s of seqs.values()) {
    countSequence(plan, store, s, refs, slack);
  }
  countBlocks(plan, store, refs);
  let held = 0;
  for (const p of store.places.pools()) {
    p.check();
    held += p.held;
  }
  agree("bytes held", store.places.quota.held, held);
  store.places.quota.check();
}

function countSequence(
  plan: CachePlan,
  store: BlockStore,
  s: Sequence,
  refs: Int32Array,
  slack: number,
): void {
  for (const [g, table] of s.tables.entries()) {
    const group = plan.groups[g]!;
    const { tokens } = group.shape;
    const name = `of sequence ${s.id} in group ${g}`;
    agree(`blocks ${name}`, table.count, Math.ceil(s.length / tokens));
    const end = table.count + table.pending;
    agree(
      `reserved blocks ${name}`,
      end,
      Math.ceil((s.length + s.pending) / tokens),
    );
    const live = needed(group.retention, s.length);
    const early = Math.max(0, s.length - slack);
    const kept = needed(group.retention, early);
    for (let b = 0; b < end; b++) {
      const id = table.ids[b]!;
      const range = { start: b * tokens, end: (b + 1) * tokens };
      if (id === 0) {
        if (b >= table.count || intersect(live, [range]).length > 0) {
          fail(`block ${b} ${name} is released, position ${s.length} sees it`);
        }
        continue;
      }
      refs[id]!++;
      checkForm(group, store, s, b, id);
      if (range.end <= early && intersect(kept, [range]).length === 0) {
        fail(`block ${b} ${name} is held, no position from ${early} sees it`);
      }
      agree(`group of block ${id}`, store.group(id), g);
      if (s.pending > 0 && range.end > s.length && store.refs(id) !== 1) {
        fail(`block ${id} ${name} will be written, ${store.refs(id)} use it`);
      }
    }
  }
}

/** An open block is as computed; a full one as the codec leaves it. */
function checkForm(
  { shape: { tokens }, fused, rounds, keepFirst }: GroupPlan,
  store: BlockStore,
  s: Sequence,
  b: number,
  id: number,
): void {
  const name = `of block ${b} of sequence ${s.id}`;
  const full = b < Math.floor(s.length / tokens);
  const sealed = full && b >= keepFirst;
  // A trimmed block that stays open is full until it is written to.
  if (full) agree(`fullness ${name}`, +store.isSealed(id), 1);
  agree(
    `finality ${name}`,
    +store.isFinal(id),
    +(sealed && (!!fused || rounds)),
  );
  agree(`coding ${name}`, +store.isCoded(id), +(sealed && !!fused));
  if (!store.isPlaced(id)) return;
  const fills = !full && b >= keepFirst && !!fused &&
    (b + 1) * tokens <= s.length + s.pending;
  agree(`open places ${name}`, +(store.offset(id) !== 0), +!store.isCoded(id));
  agree(
    `sealed places ${name}`,
    +(store.sealedAt(id) !== 0),
    +(store.isCoded(id) || fills),
  );
}

function countBlocks(
  plan: CachePlan,
  store: BlockStore,
  refs: Int32Array,
): void {
  let live = 0;
  let sealed = 0;
  let idle = 0;
  let idleBytes = 0;
  const { open, sealed: coded } = store.places;
  const perGroup = new Int32Array(open.length);
  const perSealed = new Int32Array(open.length);
  const offsets = new Set<number>();
  const away = new Set<number>();
  for (let id = 1; id < store.end; id++) {
    if (!store.isPlaced(id) && !store.isAway(id)) {
      agree(`references of free block ${id}`, refs[id]!, 0);
      continue;
    }
    const key = store.key(id);
    live++;
    if (store.isAway(id)) {
      away.add(id);
      if (store.refs(id) < 1) {
        fail(`block ${id} is away and nobody waits for it`);
      }
      if (key !== undefined && !store.isPlaced(id)) {
        fail(`block ${id} is away, has no place, and can be found`);
      }
      if (store.isSpilled(id) && store.isPlaced(id)) {
        fail(`block ${id} is spilled and has a place`);
      }
    }
    for (
      const [at, count] of [
        [store.offset(id), perGroup],
        [store.sealedAt(id), perSealed],
      ] as const
    ) {
      if (at === 0) continue;
      if (offsets.has(at)) fail(`block ${id} is where another is`);
      offsets.add(at);
      count[store.group(id)]!++;
    }
    agree(`references of block ${id}`, store.refs(id), refs[id]!);
    if (store.isSealed(id)) sealed++;
    else if (key !== undefined) fail(`open block ${id} has a key`);
    if (key !== undefined && plan.index?.get(key) !== (id as BlockId)) {
      fail(`block ${id} has a key that the index does not know`);
    }
    if (refs[id] !== 0) continue;
    if (key === undefined) fail(`block ${id} is of no use and not free`);
    idle++;
    idleBytes += store.blockBytes(id);
  }
  agree("uses of blocks", store.references, refs.reduce((a, b) => a + b, 0));
  agree("blocks", store.live, live);
  store.tiers.check(away);
  agree("sealed blocks", store.sealed, sealed);
  agree("idle blocks", store.idle, idle);
  agree("idle bytes", store.idleBytes, idleBytes);
  for (const [g, p] of open.entries()) {
    agree(`slots of group ${g}`, p.stat().used / p.slotBytes, perGroup[g]!);
    const sealing = coded[g];
    if (sealing === undefined) continue;
    const used = sealing.stat().used / sealing.slotBytes;
    agree(`sealed places of group ${g}`, used, perSealed[g]!);
  }
}

function agree(what: string, actual: number, wanted: number): void {
  if (actual !== wanted) fail(`${what}: ${actual}, recounted ${wanted}`);
}

function fail(what: string): never {
  throw new Error(`Cache check: ${what}`);
}
