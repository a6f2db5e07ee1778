/**
 * Sessions that clients name by number, and their files.
 *
 * A slot remembers the tokens of the last request that was made with its number, so
 * that it can be saved with its K and V, and restored after a restart. Slots of one
 * tenant are not those of another.
 *
 * @module
 */
import { join } from "node:path";
import type { Engine } from "../engine/engine.ts";
import { SessionError } from "../engine/session_error.ts";
import { ApiError, badRequest, notFound } from "./errors.ts";

/** What a slot has. */
export interface Slot {
  /** Model that it was computed with. */
  readonly model: string;
  /** Prompt and answer. */
  readonly tokens: readonly number[];
}

/** Most tenants whose slots are remembered; those not used for longest are forgotten. */
const MOST_TENANTS = 1024;

/** The slots of all tenants. */
export class Slots {
  /** Of each tenant. */
  readonly most: number;
  readonly #folder: string | undefined;
  readonly #slots = new Map<string, Map<number, Slot>>();

  /** `folder`: for files; without one, nothing can be saved. */
  constructor(most: number, folder: string | undefined) {
    this.most = most;
    this.#folder = folder;
  }

  /** A tenant's slot; undefined while it is empty. */
  get(tenant: string, id: number): Slot | undefined {
    return this.#slots.get(tenant)?.get(id);
  }

  /** Remembers what a slot has. */
  set(tenant: string, id: number, slot: Slot): void {
    const own = this.#slots.get(tenant) ?? new Map<number, Slot>();
    this.#slots.delete(tenant);
    this.#slots.set(tenant, own.set(id, slot));
    for (const oldest of this.#slots.keys()) {
      if (this.#slots.size <= MOST_TENANTS) break;
      this.#slots.delete(oldest);
    }
  }

  /** Forgets what a slot has: how many tokens it were. */
  erase(tenant: string, id: number): number {
    const tokens = this.get(tenant, id)?.tokens.length ?? 0;
    this.#slots.get(tenant)?.delete(id);
    return tokens;
  }

  /** Writes a slot to a file of the tenant's. */
  async save(
    engine: Engine,
    tenant: string,
    id: number,
    name: string,
    signal: AbortSignal,
  ): Promise<
    { tokens: number; cachedTokens: number; bytes: number; ms: number }
  > {
    const path = await this.#path(tenant, name);
    const slot = this.get(tenant, id);
    if (slot === undefined) {
      throw badRequest(
        `Cannot save slot ${id}: it is empty, make a request with "id_slot" ${id} first`,
        "id_slot",
        "slot_empty",
      );
    }
    try {
      await Deno.mkdir(this.#folder!, { recursive: true });
      return await engine.save({ tokens: slot.tokens }, path, {
        tenant,
        signal,
      });
    } catch (error) {
      throw sessionError("save", name, error);
    }
  }

  /** Reads a file of the tenant's into a slot. */
  async restore(
    engine: Engine,
    model: string,
    tenant: string,
    id: number,
    name: string,
    signal: AbortSignal,
  ): Promise<
    { tokens: number; cachedTokens: number; bytes: number; ms: number }
  > {
    const path = await this.#path(tenant, name);
    try {
      const restored = await engine.restore(path, { tenant, signal });
      const { tokens, cachedTokens, bytes, ms } = restored;
      this.set(tenant, id, { model, tokens });
      return { tokens: tokens.length, cachedTokens, bytes, ms };
    } catch (error) {
      throw sessionError("restore", name, error);
    }
  }

  /**
   * Where a session is: a flat name in one folder. What stands before it keeps tenants
   * apart, and names of devices and hidden files out.
   */
  async #path(tenant: string, name: string): Promise<string> {
    if (this.#folder === undefined) {
      throw new ApiError(501, "This server does not keep sessions", {
        code: "sessions_off",
      });
    }
    if (!/^[\w-][\w.-]{0,99}$/.test(name)) {
      throw badRequest(
        `Cannot use "${
          name.slice(0, 100)
        }" as the name of a session: up to 100 letters, digits, "_", "-" and, not first, "." are wanted`,
        "filename",
      );
    }
    const bytes = new TextEncoder().encode(tenant);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return join(
      this.#folder,
      `session-${digest.slice(0, 16).toHex()}-${name}`,
    );
  }
}

/** What a client is told; the folder's name is none of its business. */
function sessionError(
  action: "save" | "restore",
  name: string,
  error: unknown,
): unknown {
  if (!(error instanceof SessionError)) return error;
  const { cause, problem, differs } = error;
  if (cause instanceof Deno.errors.NotFound) {
    return notFound(
      `Cannot restore session "${name}": there is none of that name`,
      "filename",
      "session_not_found",
    );
  }
  const kind = differs.length > 0 ? "session_differs" : "session_error";
  return badRequest(
    `Cannot ${action} session "${name}": ${problem}`,
    "filename",
    kind,
  );
}
