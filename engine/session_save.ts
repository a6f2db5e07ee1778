/**
 * Saving a session.
 *
 * A step may run between any two pieces that are copied here; `KeptPrefix` says why
 * that does no harm.
 *
 * @module
 */
import { saltOf } from "../core/adapters.ts";
import type { KeptPrefix } from "../core/kept_prefix.ts";
import { fingerprintsOf, planWords } from "./fingerprints.ts";
import { samplingOf, settingsOf } from "./sampling_settings.ts";
import { SessionError } from "./session_error.ts";
import {
  BLOCK_HEAD,
  encodeHead,
  finishHead,
  sealRecord,
} from "./session_format.ts";
import type {
  SavedSession,
  SaveOptions,
  SessionEngine,
  SessionState,
} from "./session_types.ts";
import type { Sink } from "../models/part_file.ts";
import { replaceFile, type Writer } from "./whole_file.ts";

/** Bytes that are copied in one go, or a block where that is larger. */
const PIECE = 1 << 20;

/**
 * Writes a session, with what is cached of its tokens. `open`: opens the file, for
 * tests.
 *
 * @throws {SessionError} where the file cannot be written; the one before stays.
 */
export async function saveSession(
  engine: SessionEngine,
  { tokens, ...state }: SessionState,
  path: string,
  { tenant = "", signal }: SaveOptions,
  open?: (part: string) => Promise<Sink>,
): Promise<SavedSession> {
  const started = performance.now(), { sampler } = state;
  if (sampler !== undefined) settingsOf(sampler);
  signal?.throwIfAborted();
  const head = encodeHead({
    ...state,
    model: nameOf(engine.model),
    plan: planWords(engine.plan),
    prints: fingerprintsOf(engine),
    sampler: sampler && samplingOf(sampler),
  }, tokens);
  const write = async (writer: Writer) => {
    const { adapters } = state, { cache } = engine;
    const salt = saltOf({
      tenant,
      adapters: engine.adapters.set({ adapters }),
    });
    const kept = cache.keptPrefix(tokens, { salt });
    await writer.append(head);
    const count = await writeBlocks(engine, kept, writer);
    const cachedTokens = kept.reach(count);
    let bytes = head.length;
    for (const block of kept.blocks) {
      if (block.end > cachedTokens) break;
      bytes += BLOCK_HEAD + block.bytes;
    }
    finishHead(head, cachedTokens, bytes);
    await writer.finish(bytes, head);
    return { tokens: tokens.length, cachedTokens, bytes };
  };
  try {
    const options = open === undefined ? { signal } : { signal, open };
    const written = await replaceFile(path, write, options);
    return { ...written, ms: performance.now() - started };
  } catch (cause) {
    signal?.throwIfAborted();
    engine.requireOpen();
    // A permission that is not given stays the error that names it.
    if (cause instanceof Deno.errors.NotCapable) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    const problem = `${why}; what was saved there before is as it was`;
    throw new SessionError("save", path, problem, { cause });
  }
}

/** Copies blocks to the file until one is gone; returns how many came. */
async function writeBlocks(
  { requireOpen }: SessionEngine,
  kept: KeptPrefix,
  writer: Writer,
): Promise<number> {
  const most = Math.max(0, ...kept.blocks.map((b) => BLOCK_HEAD + b.bytes));
  const piece = new Uint8Array(Math.max(PIECE, most));
  let used = 0;
  for (const [i, { content, bytes }] of kept.blocks.entries()) {
    if (used + BLOCK_HEAD + bytes > piece.length) {
      await writer.append(piece.subarray(0, used));
      requireOpen();
      used = 0;
    }
    const record = piece.subarray(used, used + BLOCK_HEAD + bytes);
    const there = kept.read(kept.blocks[i]!, record.subarray(BLOCK_HEAD));
    if (!(there === true || await there)) {
      await writer.append(piece.subarray(0, used));
      return i;
    }
    sealRecord(record, content);
    used += record.length;
  }
  await writer.append(piece.subarray(0, used));
  return kept.blocks.length;
}

/** A path without its folder. */
export function nameOf(path: string): string {
  return path.slice(path.search(/[^\\/]*$/));
}
