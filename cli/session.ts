/**
 * A conversation that goes on another time.
 *
 * @module
 */
import { dirname, join, resolve } from "node:path";
import {
  type ChatMessage,
  type Engine,
  type RestoredSession,
  SessionError,
} from "../mod.ts";
import { cacheFolder } from "../models/cache_folder.ts";
import type { Conversation } from "./conversation.ts";
import { type Host, UsageError } from "./host.ts";

/**
 * Where a session is kept: a name stands for a file in the folder for sessions, what
 * has a separator in it is a path.
 *
 * @throws {UsageError} for a name that is none.
 */
export function sessionPath(
  name: string,
  home: () => string = cacheFolder,
): string {
  if (/[\\/]/.test(name)) return resolve(name);
  if (/^[\p{L}\p{N}_-][\p{L}\p{N}._-]{0,99}$/u.test(name)) {
    return join(home(), "sessions", `${name}.quire`);
  }
  throw new UsageError(
    `Cannot keep a session as "${name}": letters, digits, "-", "_" and "." are wanted, at most 100, or a path`,
  );
}

/** The file of a conversation, as `quire chat --session` uses it. */
export class ChatSession {
  /** What was said before. */
  readonly messages: readonly ChatMessage[];
  readonly #engine: Engine;
  readonly #path: string;
  readonly #host: Host;

  private constructor(
    engine: Engine,
    path: string,
    host: Host,
    messages: readonly ChatMessage[],
  ) {
    this.#engine = engine;
    this.#path = path;
    this.#host = host;
    this.messages = messages;
  }

  /**
   * Takes up what is there, and says so unless `silent`; nothing is there the first
   * time.
   *
   * @throws {SessionError} where it cannot be used, with what to do.
   */
  static async open(
    engine: Engine,
    path: string,
    host: Host,
    { replay, silent }: { readonly replay: boolean; readonly silent: boolean },
  ): Promise<ChatSession> {
    const restored = await restore(engine, path, replay);
    if (restored === undefined) return new ChatSession(engine, path, host, []);
    if (!silent) host.err(`(${words(restored)})\n`);
    const { conversation: { messages } } = restored;
    return new ChatSession(engine, path, host, messages);
  }

  /** Writes it anew. What goes wrong is said, and false returned. */
  async save({ messages, turns }: Conversation): Promise<boolean> {
    try {
      await Deno.mkdir(dirname(this.#path), { recursive: true });
      const session = turns > 0 ? { messages } : { messages, tokens: [] };
      await this.#engine.save(session, this.#path);
      return true;
    } catch (error) {
      if (!isTrouble(error)) throw error;
      this.#host.err(`${error.message}\n`);
      return false;
    }
  }
}

async function restore(
  engine: Engine,
  path: string,
  replay: boolean,
): Promise<RestoredSession | undefined> {
  try {
    return await engine.restore(path, { replay });
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    if (error.cause instanceof Deno.errors.NotFound) return undefined;
    if (error.differs.length === 0) throw error;
    throw new SessionError("restore", path, `${error.problem} (--replay)`, {
      differs: error.differs,
    });
  }
}

/** What a disk or a permission does; all else is our own fault. */
function isTrouble(error: unknown): error is Error {
  return error instanceof SessionError ||
    Object.values(Deno.errors).some((kind) => error instanceof kind);
}

function words(restored: RestoredSession): string {
  const { tokens, cachedTokens, savedTokens, loss, ms } = restored;
  const { messages } = restored.conversation;
  const turns = messages.filter(({ role }) => role === "user").length;
  const said = `session of ${turns} turn${turns === 1 ? "" : "s"}`;
  if (loss === "differs") return `${said}, computed anew`;
  const why = loss === undefined
    ? ""
    : loss === "damaged"
    ? ", others are damaged and computed anew"
    : `, of ${savedTokens}: there is no room for more`;
  return `${said}: K and V of ${cachedTokens} of ${tokens.length} tokens restored in ${
    Math.round(ms)
  } ms${why}`;
}
