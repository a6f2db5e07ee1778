/**
 * One file over HTTP: resumed where an earlier attempt stopped, checked, and
 * under its name only when whole.
 *
 * @module
 */

import { ModelError } from "../core/errors.ts";
import { type Expected, PartFile, type Sink } from "./part_file.ts";

/** How far a file is on its way to the cache folder. */
export interface PullProgress {
  /** What is going on: another process has the file, bytes arrive, an archive is opened, done. */
  readonly stage: "waiting" | "downloading" | "unpacking" | "ready";
  /** Name of the file, without folder. */
  readonly file: string;
  /** Bytes there. */
  readonly received: number;
  /** Bytes there will be; undefined until someone says. */
  readonly total: number | undefined;
}

/** What {@linkcode download} takes besides address and path. */
export interface DownloadOptions extends Expected {
  /** Called as bytes arrive, about twenty times a second. */
  readonly onProgress?: ((progress: PullProgress) => void) | undefined;
  /** Stops the download; what has arrived stays for the next attempt. */
  readonly signal?: AbortSignal | undefined;
  /** Attempts in a row that may bring less than a mebibyte before giving up. */
  readonly attempts?: number | undefined;
  /** Pause before the second attempt in milliseconds; doubled before each later one. */
  readonly pauseMs?: number | undefined;
  /** Longest silence of the server in milliseconds before the connection is given up. */
  readonly stallMs?: number | undefined;
  /** Opens the file that is written to. */
  readonly open?: ((part: string) => Promise<Sink>) | undefined;
}

/** Where the bytes of a part file came from, kept beside it. */
interface Origin {
  readonly url: string;
  /** Strong validator of the server's file, "" if it gave none. */
  readonly etag: string;
}

/** The server has no such file. */
export class NotThere extends ModelError {}

/** A failure that another attempt may not meet. */
class Interrupted extends Error {}

const PROGRESS_MS = 50;
const MIN_STEP = 1 << 20;

/**
 * Downloads `url` to `path`. A connection that breaks is taken up again with a
 * range request, in this run or, if the attempts run out, in a later one.
 *
 * @throws {ModelError} If the file is not there, is not what was expected, or does not arrive.
 */
export async function download(
  url: URL,
  path: string,
  options: DownloadOptions = {},
): Promise<void> {
  const { signal, attempts = 4, pauseMs = 500 } = options;
  using part = await PartFile.open(path, options.open);
  const origin = await readOrigin(path);
  const trusted = options.sha256 !== undefined ||
    (origin?.url === shown(url) && origin.etag !== "");
  if (!trusted || (options.bytes !== undefined && part.bytes > options.bytes)) {
    await part.restart();
  }
  const resumed = part.bytes > 0;
  for (
    let failures = 0;
    options.bytes === undefined || part.bytes < options.bytes;
  ) {
    const before = part.bytes;
    try {
      await receive(url, part, options);
      break;
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof Interrupted)) throw error;
      failures = part.bytes - before >= MIN_STEP ? 1 : failures + 1;
      if (failures >= attempts) {
        throw new ModelError(
          shown(url),
          `${error.message} after ${part.bytes} bytes, ${attempts} attempts in a row; try again ` +
            `when the connection is better, it goes on from there`,
          { cause: error.cause },
        );
      }
      await pause(pauseMs * 2 ** (failures - 1), signal);
    }
  }
  try {
    await part.finish(options);
  } catch (error) {
    await removeOrigin(path);
    if (!resumed || !(error instanceof ModelError)) throw error;
    // What lay there may have been another file's beginning: once more, from nothing.
    return await download(url, path, options);
  }
  await removeOrigin(path);
}

/** One request, from the first missing byte to the end. */
async function receive(
  url: URL,
  part: PartFile,
  options: DownloadOptions,
): Promise<void> {
  const { signal, stallMs = 30_000 } = options;
  const stall = new AbortController();
  const silent = new Interrupted(`the server was silent for ${stallMs} ms`);
  const heard = () => setTimeout(() => stall.abort(silent), stallMs);
  let timer = heard();
  try {
    const response = await network(fetch(url, {
      headers: await requestHeaders(part),
      signal: AbortSignal.any(signal ? [signal, stall.signal] : [stall.signal]),
    }));
    const body = response.body?.getReader();
    try {
      const total = await begin(url, response, part, options);
      if (total === part.bytes || body === undefined) return;
      const report = reporter(part, total, options.onProgress);
      for (;;) {
        const { done, value } = await network(body.read());
        if (done) break;
        clearTimeout(timer);
        timer = heard();
        if (total !== undefined && part.bytes + value.length > total) {
          throw new ModelError(
            shown(url),
            `the server sent more than the ${total} bytes it said`,
          );
        }
        await part.write(value);
        report();
      }
      if (total !== undefined && part.bytes < total) {
        throw new Interrupted(
          `the connection closed before the last of ${total} bytes`,
        );
      }
      report(true);
    } finally {
      await body?.cancel().catch(() => {});
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Tells the failures of a connection, which may pass, from a refused permission and an abort. */
async function network<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const passing = error instanceof Error && error.name !== "AbortError" &&
      !(error instanceof Deno.errors.NotCapable ||
        error instanceof Interrupted);
    if (!passing) throw error;
    throw new Interrupted(`the connection failed (${error.message})`, {
      cause: error,
    });
  }
}

async function requestHeaders(part: PartFile): Promise<Headers> {
  // A compressed answer would make byte counts and ranges mean something else.
  const headers = new Headers({ "accept-encoding": "identity" });
  if (part.bytes > 0) {
    headers.set("range", `bytes=${part.bytes}-`);
    const etag = (await readOrigin(part.path))?.etag;
    if (etag) headers.set("if-range", etag);
  }
  return headers;
}

/** Reads status and headers, places the part file to match, and returns the size of the file. */
async function begin(
  url: URL,
  response: Response,
  part: PartFile,
  options: DownloadOptions,
): Promise<number | undefined> {
  let total: number | undefined;
  if (response.status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(
      response.headers.get("content-range") ?? "",
    );
    if (range?.[1] !== `${part.bytes}`) {
      await part.restart();
      throw new Interrupted(
        "the server answered with another range than was asked for",
      );
    }
    total = range[2] === "*" ? undefined : Number(range[2]);
  } else if (response.status === 416 && part.bytes > 0) {
    await part.restart();
    throw new Interrupted("the server's file is shorter than what was there");
  } else if (response.status === 200) {
    await part.restart();
    const length = response.headers.get("content-length");
    total = length === null ? undefined : Number(length);
    await writeOrigin(part.path, {
      url: shown(url),
      etag: strongTag(response),
    });
  } else {
    throw refusal(url, response.status);
  }
  if (
    options.bytes !== undefined && total !== undefined &&
    total !== options.bytes
  ) {
    throw new ModelError(
      shown(url),
      `wrong size, wanted ${options.bytes} bytes, the server has ${total}`,
    );
  }
  if (total === 0) {
    throw new ModelError(shown(url), "the server's file is empty");
  }
  total ??= options.bytes;
  if (total === undefined && options.sha256 === undefined) {
    throw new ModelError(
      shown(url),
      "the server does not say how long the file is, so a cut download could not be told from a " +
        "whole one; download it by other means and give its path",
    );
  }
  return total;
}

function refusal(url: URL, status: number): Error {
  if (status === 408 || status === 429 || status >= 500) {
    return new Interrupted(`the server answered with status ${status}`);
  }
  const hint = status === 401 || status === 403
    ? "it wants a login or an accepted licence; download it by other means and give its path"
    : "look at the address";
  const Kind = status === 404 ? NotThere : ModelError;
  return new Kind(
    shown(url),
    `the server answered with status ${status}, wanted 200; ${hint}`,
  );
}

function reporter(
  part: PartFile,
  total: number | undefined,
  onProgress: DownloadOptions["onProgress"],
): (last?: boolean) => void {
  const file = part.path.replace(/^.*[\\/]/, "");
  let next = 0;
  return (last = false) => {
    if (onProgress === undefined || (!last && performance.now() < next)) return;
    next = performance.now() + PROGRESS_MS;
    onProgress({ stage: "downloading", file, received: part.bytes, total });
  };
}

/** An address as it may be printed: without the user's name, password and query. */
export function shown(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** A weak validator does not promise equal bytes, so it is no ground to resume on. */
function strongTag(response: Response): string {
  const etag = response.headers.get("etag") ?? "";
  return etag.startsWith('"') ? etag : "";
}

async function readOrigin(path: string): Promise<Origin | undefined> {
  try {
    const { url, etag } = JSON.parse(
      await Deno.readTextFile(`${path}.part.json`),
    );
    return typeof url === "string" && typeof etag === "string"
      ? { url, etag }
      : undefined;
  } catch {
    return undefined;
  }
}

/** Without it a later run starts again, nothing worse. */
async function writeOrigin(path: string, origin: Origin): Promise<void> {
  await Deno.writeTextFile(`${path}.part.json`, JSON.stringify(origin)).catch(
    () => {},
  );
}

async function removeOrigin(path: string): Promise<void> {
  await Deno.remove(`${path}.part.json`).catch(() => {});
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
