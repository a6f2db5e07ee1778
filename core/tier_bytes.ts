/**
 * A block as tiers have it, and back.
 *
 * @module
 */
import type { DeviceMemory } from "./backend.ts";
import type { BlockStore } from "./block_store.ts";
import type { GroupPlan } from "./plan.ts";
import type { Codec } from "./slots.ts";

/**
 * What a block is coded with in a tier. Open blocks have positions that nobody
 * wrote. Codes are not coded again where that would save nothing by rule.
 */
export function blockCodec(
  groups: readonly GroupPlan[],
  tier: string,
  id: number,
  store: BlockStore,
): Codec | undefined {
  const group = groups[store.group(id)]!;
  const codec = group.tierCodecs.get(tier);
  if (codec === undefined || !store.isSealed(id)) return undefined;
  if (!store.isCoded(id)) return store.values.opens ? codec : undefined;
  return codec.lossy && codec.id !== group.codec.id ? codec : undefined;
}

/** A block as it goes down; false where the device does not give it at once. */
export function readBlock(
  groups: readonly GroupPlan[],
  memory: DeviceMemory,
  id: number,
  codec: Codec | undefined,
  out: Uint8Array,
  store: BlockStore,
): boolean {
  const group = store.group(id);
  if (codec !== undefined) {
    const raw = store.values.scratch(group);
    if (!store.values.read(id, group, raw)) return false;
    codec.seal(groups[group]!.shape, raw, out);
    return true;
  }
  let at = 0;
  for (const span of store.spans(id)) {
    const part = out.subarray(at, at += span.bytes);
    if (memory.read(span, part) instanceof Promise) return false;
  }
  return true;
}

/** The way back, to the place the block has now. */
export function writeBlock(
  groups: readonly GroupPlan[],
  memory: DeviceMemory,
  id: number,
  codec: Codec | undefined,
  bytes: Uint8Array,
  store: BlockStore,
): void {
  const group = store.group(id);
  if (codec !== undefined) {
    const raw = store.values.scratch(group);
    // A codec may want memory that is not shared.
    codec.open(groups[group]!.shape, bytes.slice(), raw);
    store.values.write(id, group, raw);
    return;
  }
  let at = 0;
  for (const span of store.spans(id)) {
    memory.write(span, bytes.subarray(at, at += span.bytes));
  }
}
