/**
 * What each tenant, and each key, may have.
 *
 * @module
 */
import { tooMany } from "./errors.ts";
import type { Place } from "./queue.ts";
import type { Quota } from "./settings.ts";

/** What is kept of one that was seen of late. */
interface Account {
  /** Requests at the moment. */
  running: number;
  /** Tokens that may be used now; below 0 after an answer that was longer. */
  left: number;
  /** When `left` was right, milliseconds. */
  at: number;
}

/** A place in a quota; what was used is told at the end. */
export interface Charged extends Place {
  /** Takes tokens from what there is. */
  charge(tokens: number): void;
}

/**
 * Keeps the accounts of one kind. Tokens come back evenly, as many as a minute's
 * worth; a tenant whose account is full again is forgotten.
 */
export class Quotas {
  readonly #what: string;
  readonly #quota: Quota;
  readonly #now: () => number;
  readonly #accounts = new Map<string, Account>();

  /** `what`: "tenant" or "key", for messages. */
  constructor(
    what: string,
    quota: Quota = {},
    now: () => number = () => performance.now(),
  ) {
    for (const [name, value] of Object.entries(quota)) {
      if (value === undefined || value > 0) continue;
      throw new RangeError(
        `Cannot serve with "${name}" ${value} for each ${what}: a number above 0 is wanted`,
      );
    }
    this.#what = what;
    this.#quota = quota;
    this.#now = now;
  }

  /** Accounts that are kept. */
  get size(): number {
    return this.#accounts.size;
  }

  /** Takes `places` for a request of `who`. Throws an ApiError, 429, beyond its quota. */
  enter(who: string, places: number): Charged {
    const { mostRequests = Infinity, tokensPerMinute } = this.#quota;
    const account = this.#account(who);
    if (account.running + places > mostRequests) {
      throw tooMany(
        `Cannot take the request: its ${this.#what} has ${account.running} of ${mostRequests} at a time`,
        1,
        "too_many_requests",
      );
    }
    if (tokensPerMinute !== undefined && account.left <= 0) {
      throw tooMany(
        `Cannot take the request: its ${this.#what} has used its ${tokensPerMinute} tokens a minute`,
        (1 - account.left) * 60 / tokensPerMinute,
        "tokens_per_minute_exceeded",
      );
    }
    account.running += places;
    let over = false;
    return {
      charge: (tokens) => {
        this.#refill(account);
        account.left -= tokens;
      },
      [Symbol.dispose]: () => {
        if (over) return;
        over = true;
        account.running -= places;
        this.#forget();
      },
    };
  }

  #account(who: string): Account {
    let account = this.#accounts.get(who);
    if (account === undefined) {
      const left = this.#quota.tokensPerMinute ?? Infinity;
      account = { running: 0, left, at: this.#now() };
      this.#accounts.set(who, account);
    }
    this.#refill(account);
    return account;
  }

  #refill(account: Account): void {
    const { tokensPerMinute = Infinity } = this.#quota;
    const now = this.#now();
    if (tokensPerMinute !== Infinity) {
      const back = (now - account.at) * tokensPerMinute / 60_000;
      account.left = Math.min(tokensPerMinute, account.left + back);
    }
    account.at = now;
  }

  #forget(): void {
    const { tokensPerMinute = Infinity } = this.#quota;
    for (const [who, account] of this.#accounts) {
      this.#refill(account);
      if (account.running === 0 && account.left >= tokensPerMinute) {
        this.#accounts.delete(who);
      }
    }
  }
}
