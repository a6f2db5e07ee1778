/**
 * One GGUF file: a whole model, or one part of a split one.
 *
 * The header goes three ways. Our own walk checks every length in it. Arrays
 * and texts are decoded here, fast. What remains once they are cut out, numbers
 * and tensor infos, is parsed by the library, which makes a copy and a decoder per
 * string, would take seconds over a large vocabulary, and cuts texts of megabytes
 * short.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import type { TensorInfo } from "../../core/model.ts";
import type { UnreadTensor } from "../model_file.ts";
import { sampleData, sampleTensor } from "../evidence.ts";
import { decodeArray } from "./arrays.ts";
import { HeaderSource, type OpenFile } from "./source.ts";
import { isUnread, placeTensors, unreadTensors } from "./tensors.ts";
import { type HeaderMap, walkHeader } from "./walk.ts";

/** What one file holds. */
export interface GgufPart {
  readonly path: string;
  /** Length of the file, bytes. */
  readonly bytes: number;
  readonly version: number;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly tensors: readonly TensorInfo[];
  /** Those of types that are not read; empty where they were not to be listed. */
  readonly unread: readonly UnreadTensor[];
  /** SHA-256 of the header, then pieces of the data; see `openGguf()`. */
  readonly evidence: readonly Uint8Array[];
}

/** How a part is read. */
export interface PartOptions {
  readonly signal?: AbortSignal | undefined;
  /** Where its bytes come from; default: the file system. */
  readonly open?: OpenFile | undefined;
  /** Lists tensors of types that are not read instead of refusing the file. */
  readonly listUnread?: boolean | undefined;
}

/**
 * Reads the header of one file.
 *
 * @param index Which part of a split model this is, from 0.
 * @throws {ModelError} if there is no such file or it is not a sound GGUF file.
 */
export async function readPart(
  path: string,
  index: number,
  { signal, open = openFile, listUnread = false }: PartOptions = {},
): Promise<GgufPart> {
  signal?.throwIfAborted();
  const { file, size } = await open(path);
  using _ = file;
  const src = new HeaderSource(path, file, size);
  const map = walkHeader(src);
  const header = src.bytes.subarray(0, map.end);
  // Runs elsewhere while this thread decodes.
  const digest = crypto.subtle.digest("SHA-256", header);
  const rest = await parseRest(path, cutValues(header, map));
  signal?.throwIfAborted();

  const metadata: Record<string, unknown> = Object.create(null);
  for (const [key, value] of Object.entries(rest.metadata)) {
    if (!COUNTS.has(key)) metadata[key] = plain(value);
  }
  for (const [key, range] of map.arrays) {
    metadata[key] = decodeArray(header, range);
  }
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  for (const [key, { start, end }] of map.texts) {
    metadata[key] = decoder.decode(header.subarray(start + 8, end));
  }
  const dataStart = Math.ceil(map.end / map.alignment) * map.alignment;
  const { alignment } = map;
  const place = { path, size, dataStart, alignment, index };
  const infos = rest.tensorInfos;
  const tensors = placeTensors(
    place,
    listUnread ? infos.filter((info) => !isUnread(info)) : infos,
  );
  return {
    path,
    bytes: size,
    version: src.view.getUint32(4, true),
    metadata,
    tensors,
    unread: listUnread ? unreadTensors(place, infos) : [],
    evidence: [
      new Uint8Array(await digest),
      ...sampleData(src, Math.min(dataStart, size)),
      ...tensors.map((tensor) => sampleTensor(src, tensor)),
    ],
  };
}

/** Entries the library adds of its own. */
const COUNTS = new Set(["version", "tensor_count", "kv_count"]);

async function openFile(path: string): ReturnType<OpenFile> {
  const size = await fileSize(path);
  return { file: await Deno.open(path, { read: true }), size };
}

async function fileSize(path: string): Promise<number> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      throw new ModelError(path, "there is no such file", { cause });
    }
    if (cause instanceof Deno.errors.PermissionDenied) {
      throw new ModelError(path, "the system does not let you read it", {
        cause,
      });
    }
    throw cause;
  }
  if (info.isDirectory) {
    throw new ModelError(path, "this is a directory, wanted a GGUF file");
  }
  if (!info.isFile) {
    throw new ModelError(
      path,
      "this is not a regular file, wanted a GGUF file",
    );
  }
  return info.size;
}

/** Small integers as numbers; those a number cannot hold stay as they are. */
function plain(value: unknown): unknown {
  if (typeof value !== "bigint") return value;
  return value >= BigInt(Number.MIN_SAFE_INTEGER) &&
      value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : value;
}

/** The header with arrays and texts left empty: lengths of 0, no values. */
function cutValues(
  header: Uint8Array<ArrayBuffer>,
  map: HeaderMap,
): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(header.length);
  let from = 0, to = 0;
  const cuts = [
    ...[...map.arrays.values()].map(({ values, end }) => [values, end]),
    ...[...map.texts.values()].map(({ start, end }) => [start + 8, end]),
  ] as [number, number][];
  for (const [values, end] of cuts.sort((a, b) => a[0] - b[0])) {
    out.set(header.subarray(from, values - 8), to);
    to += values - from; // the length stays zero
    from = end;
  }
  out.set(header.subarray(from), to);
  return out.subarray(0, to + header.length - from);
}

/** The library's view of a header, fed to it as if from a server. */
async function parseRest(
  path: string,
  cut: Uint8Array<ArrayBuffer>,
): Promise<import("npm:@huggingface/gguf@0.4.6").GGUFParseOutput> {
  // Loaded on first use: it brings a catalogue of the hub's tasks along.
  const { gguf } = await import("npm:@huggingface/gguf@0.4.6");
  const serve = (_: unknown, init?: RequestInit): Promise<Response> => {
    const range = new Headers(init?.headers).get("range") ?? "";
    const [, from, to] = range.match(/^bytes=(\d+)-(\d+)$/) ?? [];
    return Promise.resolve(
      new Response(cut.subarray(Number(from), Number(to) + 1)),
    );
  };
  try {
    return await gguf("http://localhost/header.gguf", {
      fetch: serve as typeof fetch,
    });
  } catch (cause) {
    throw new ModelError(
      path,
      `the header cannot be parsed: ${(cause as Error).message}`,
      { cause },
    );
  }
}
