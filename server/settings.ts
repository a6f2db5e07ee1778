/**
 * What a server may be told, and what it is without.
 *
 * @module
 */
import type { LogLine } from "./log.ts";

/** How much one tenant, or one key, may have. */
export interface Quota {
  /** Requests at a time. Default: as many as the server takes. */
  readonly mostRequests?: number | undefined;
  /** Tokens of prompts and answers in a minute. Default: no bound. */
  readonly tokensPerMinute?: number | undefined;
}

/** Settings of a server; every one has a default. */
export interface ServerOptions {
  /** Name of a model that is given as an engine. Default "default". */
  readonly model?: string | undefined;
  /** Other names that models are asked for by. */
  readonly aliases?: Readonly<Record<string, string>> | undefined;
  /** Keys, one of which every request needs. Default: none is asked for. */
  readonly apiKeys?: readonly string[] | undefined;
  /** Requests at a time, running and waiting; more are refused. Default 256. */
  readonly mostRequests?: number | undefined;
  /** Bound for each tenant (`user`, of a key). */
  readonly tenantQuota?: Quota | undefined;
  /** Bound for each key. */
  readonly keyQuota?: Quota | undefined;
  /** Ends every answer after so many milliseconds. Default: none does. */
  readonly deadlineMs?: number | undefined;
  /** Largest body, bytes. Default 8 MiB. */
  readonly bodyBytes?: number | undefined;
  /** Longest time for a body to come, milliseconds. Default 30,000. */
  readonly bodyMs?: number | undefined;
  /** A comment is sent where a stream rests for so long, milliseconds. Default 15,000. */
  readonly keepAliveMs?: number | undefined;
  /** Origins of web pages that may ask; "*": all. Default: none. */
  readonly cors?: readonly string[] | undefined;
  /** Names the server may be addressed by; "*", the default: any. */
  readonly hosts?: readonly string[] | undefined;
  /** Folder for saved sessions. Default: they cannot be saved. */
  readonly sessions?: string | undefined;
  /** Slots for sessions, of each tenant. Default 8. */
  readonly slots?: number | undefined;
  /** Temperature of requests that name none. Default 0.8. */
  readonly temperature?: number | undefined;
  /** Hears of every request. Default: nobody does. */
  readonly log?: ((line: LogLine) => void) | undefined;
}

/** Settings that have a default. */
export type Filled =
  | "mostRequests"
  | "bodyBytes"
  | "bodyMs"
  | "keepAliveMs"
  | "slots"
  | "temperature"
  | "apiKeys"
  | "cors"
  | "hosts";

/** Settings, defaults filled in. */
export type Settings =
  & ServerOptions
  & { readonly [K in Filled]: NonNullable<ServerOptions[K]> };

/** Fills defaults in. Throws a RangeError for a setting out of bounds. */
export function settingsOf(options: ServerOptions): Settings {
  const whole = (
    name:
      | "mostRequests"
      | "bodyBytes"
      | "bodyMs"
      | "keepAliveMs"
      | "slots"
      | "deadlineMs",
    fallback: number,
  ): number => {
    const value = options[name] ?? fallback;
    if (Number.isInteger(value) && value >= 1 && value < 2 ** 31) return value;
    throw new RangeError(
      `Cannot serve with "${name}" ${value}: a whole number above 0 is wanted`,
    );
  };
  if (options.deadlineMs !== undefined) whole("deadlineMs", 1);
  for (const key of options.apiKeys ?? []) {
    if (key.length < 8 || /\s/.test(key)) {
      throw new RangeError(
        "Cannot serve with an API key of less than 8 characters, or with spaces",
      );
    }
  }
  return {
    ...options,
    mostRequests: whole("mostRequests", 256),
    bodyBytes: whole("bodyBytes", 8 << 20),
    bodyMs: whole("bodyMs", 30_000),
    keepAliveMs: whole("keepAliveMs", 15_000),
    slots: whole("slots", 8),
    temperature: options.temperature ?? 0.8,
    apiKeys: options.apiKeys ?? [],
    cors: options.cors ?? [],
    hosts: options.hosts ?? ["*"],
  };
}
