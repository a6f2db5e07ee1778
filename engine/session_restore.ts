/**
 * Restoring a session.
 *
 * ```text
 *  head ── damaged, or of another version ──▶ SessionError
 *   │
 *  fingerprints ── differ, no replay ──▶ SessionError
 *   │
 *  blocks ── damaged, or no room ──▶ those before it count, the rest is computed anew
 * ```
 *
 * @module
 */
import { saltOf } from "../core/adapters.ts";
import type { KeptPrefix } from "../core/kept_prefix.ts";
import { type AdapterMark, adapterWords } from "./adapters.ts";
import { type ConversationState, newState } from "./conversation.ts";
import { differences, fingerprintsOf, planWords } from "./fingerprints.ts";
import {
  damaged,
  SessionError,
  type SessionMark,
  unreadable,
} from "./session_error.ts";
import {
  BLOCK_HEAD,
  isSound,
  type ReadBytes,
  readHead,
  type SessionHead,
} from "./session_format.ts";
import { nameOf } from "./session_save.ts";
import type {
  RestoredSession,
  RestoreOptions,
  SessionEngine,
  SessionLoss,
} from "./session_types.ts";

/** What a file gave: all but the conversation, and its state. */
export interface Restored extends Omit<RestoredSession, "conversation"> {
  readonly state: ConversationState;
}

/** Bytes that are read in one go, or a block where that is larger. */
const PIECE = 1 << 20;
/** What blocks are worth that a request without a say in it computes. */
const PRIORITY = 50;

/**
 * Reads a session, and puts its blocks where requests find them.
 *
 * @throws {SessionError} where there is none, it is damaged, or it was saved with
 * something else; nothing has changed then.
 */
export async function restoreSession(
  engine: SessionEngine,
  path: string,
  options: RestoreOptions,
): Promise<Restored> {
  const { tenant = "", replay = false, cachePriority, signal } = options;
  const started = performance.now();
  signal?.throwIfAborted();
  using file = await openSession(path);
  let bytes = 0;
  const read: ReadBytes = async (out) => {
    for (let done = 0; done < out.length;) {
      signal?.throwIfAborted();
      // What cannot be read is as good as not there.
      const count = await file.read(out.subarray(done)).catch(() => null);
      if (count === null) return false;
      bytes += count;
      done += count;
    }
    return true;
  };
  const head = await readHead(path, read, (await file.stat()).size);
  const adapters = engine.adapters.here(head.text.adapters);
  const differs: readonly SessionMark[] = [
    ...differences(fingerprintsOf(engine), head.text.prints),
    ...adapters === undefined ? ["adapters" as const] : [],
  ];
  if (differs.length > 0 && !replay) throw refusal(engine, path, head, differs);
  const state = stateOf(engine, path, head, differs, adapters ?? [], options);
  const { positions } = head;
  let loss: SessionLoss | undefined = differs.length > 0
    ? "differs"
    : undefined;
  let cachedTokens = 0;
  if (loss === undefined && positions > 0) {
    if (engine.plan.index === undefined) loss = "off";
    else {
      const kept = engine.cache.keptPrefix(head.tokens, {
        salt: saltOf({ tenant, adapters: engine.adapters.set({ adapters }) }),
        priority: cachePriority ?? PRIORITY,
        length: positions,
      });
      loss = await plantBlocks(engine, kept, read);
      cachedTokens = Math.min(kept.found, positions);
      if (cachedTokens < positions) loss ??= "full";
    }
  }
  const { text: { sampler } } = head;
  return {
    state,
    tokens: differs.includes("tokenizer") ? [] : head.tokens,
    sampler: head.text.cut ? state.cut : sampler,
    savedTokens: positions,
    cachedTokens,
    loss: cachedTokens < positions ? loss : undefined,
    differs,
    bytes,
    ms: performance.now() - started,
  };
}

async function openSession(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path, { read: true });
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) throw cause;
    const why = cause instanceof Deno.errors.NotFound
      ? "there is no such file"
      : cause instanceof Error
      ? cause.message
      : String(cause);
    throw new SessionError("restore", path, why, { cause });
  }
}

function refusal(
  { model, plan }: SessionEngine,
  path: string,
  { text }: SessionHead,
  differs: readonly SessionMark[],
): SessionError {
  const words: Readonly<Record<SessionMark, string>> = {
    weights: `other weights (model ${quoted(text.model)}, here ${
      quoted(nameOf(model))
    })`,
    tokenizer: "another tokenizer",
    rope: "other RoPE settings",
    plan: `another plan (${quoted(text.plan)}, here ${
      quoted(planWords(plan))
    })`,
    adapters: `adapters that are not loaded (${
      quoted(adapterWords(text.adapters))
    })`,
  };
  const way = !differs.includes("tokenizer")
    ? `restore it with "replay" to compute K and V anew from its tokens`
    : text.messages.length > 0
    ? `restore it with "replay" to compute all anew from its messages`
    : "its tokens mean nothing here";
  return new SessionError(
    "restore",
    path,
    `it was saved with ${differs.map((d) => words[d]).join(" and ")}; ${way}`,
    { differs },
  );
}

/** A file is not trusted with the terminal: neither long texts nor control codes. */
function quoted(text: string): string {
  const short = text.length > 300 ? `${text.slice(0, 300)}…` : text;
  return JSON.stringify(short).replace(/[\x7f-\x9f]/g, "\ufffd");
}

/** Where the conversation stands. Throws a SessionError for what cannot be. */
function stateOf(
  engine: SessionEngine,
  path: string,
  { text, tokens, positions }: SessionHead,
  differs: readonly SessionMark[],
  adapters: readonly AdapterMark[],
  { tenant }: RestoreOptions,
): ConversationState {
  const { messages, past, sampler, cut } = text;
  if (differs.includes("tokenizer")) {
    if (messages.length > 0) return { ...newState(messages, adapters), tenant };
    throw unreadable(
      path,
      "it was saved with another tokenizer and has no messages: its tokens mean nothing here",
    );
  }
  const { vocab } = engine.spec;
  const uneven = differs.length === 0 &&
    engine.plan.groups.some((g) => positions % g.shape.tokens !== 0);
  const made = cut ? sampler?.drawn ?? 0 : 0;
  if (tokens.some((t) => t >= vocab) || uneven || made > tokens.length) {
    throw damaged(path, "its text");
  }
  return {
    messages,
    text: past,
    tokens: past === "" ? [] : tokens,
    cut: cut && past !== "" ? sampler : undefined,
    tenant,
    adapters,
  };
}

/** Puts blocks into the cache until one is damaged or finds no room. */
async function plantBlocks(
  { requireOpen }: SessionEngine,
  kept: KeptPrefix,
  read: ReadBytes,
): Promise<SessionLoss | undefined> {
  const { blocks } = kept;
  for (let i = 0; i < blocks.length;) {
    let end = i, length = 0;
    do length += BLOCK_HEAD + blocks[end++]!.bytes; while (
      end < blocks.length && length + BLOCK_HEAD + blocks[end]!.bytes <= PIECE
    );
    const piece = new Uint8Array(length);
    const whole = await read(piece);
    requireOpen();
    let at = 0;
    for (; i < end; i++) {
      const { content, bytes } = blocks[i]!;
      const record = piece.subarray(at, at += BLOCK_HEAD + bytes);
      if (!isSound(record, content)) return "damaged";
      if (!kept.plant(blocks[i]!, record.subarray(BLOCK_HEAD))) return "full";
    }
    if (!whole) return "damaged";
  }
  return undefined;
}
