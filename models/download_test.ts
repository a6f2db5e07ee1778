import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { ModelError } from "../core/errors.ts";
import {
  download,
  type DownloadOptions,
  type PullProgress,
} from "./download.ts";
import type { Sink } from "./part_file.ts";

const BYTES = 300_000;
const content = Uint8Array.from(
  { length: BYTES },
  (_, i) => (i * 2654435761) >>> 13,
);
const sha256 = createHash("sha256").update(content).digest("hex");

/** Tries again at once: these tests are about what happens, not when. */
const quick: DownloadOptions = { pauseMs: 1, attempts: 2 };

interface Site extends AsyncDisposable {
  readonly url: URL;
  readonly path: string;
  /** The range header of each request so far. */
  readonly ranges: (string | null)[];
  readonly names: () => string[];
}

type Answer = (request: Request, nth: number) => Response | Promise<Response>;

/** A server that answers as told, and an empty folder. */
async function site(answer: Answer): Promise<Site> {
  const folder = await Deno.makeTempDir();
  const ranges: (string | null)[] = [];
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
  }, (request) => {
    ranges.push(request.headers.get("range"));
    return answer(request, ranges.length);
  });
  return {
    url: new URL(
      `http://127.0.0.1:${server.addr.port}/dir/model.gguf?token=secret`,
    ),
    path: join(folder, "model.gguf"),
    ranges,
    names: () =>
      [...Deno.readDirSync(folder)].map((entry) => entry.name).sort(),
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

const headers = { "content-length": `${BYTES}`, etag: '"one"' };

const whole: Answer = () => new Response(content, { headers });

/** What a server with range requests does. */
const ranged: Answer = (request) => {
  const start = /^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1];
  const tag = request.headers.get("if-range");
  if (start === undefined || (tag !== null && tag !== '"one"')) {
    return whole(request, 0);
  }
  return new Response(content.subarray(Number(start)), {
    status: 206,
    headers: { "content-range": `bytes ${start}-${BYTES - 1}/${BYTES}` },
  });
};

/** Sends `bytes` of the file, then breaks the connection. */
const cut = (
  bytes: number,
  extra: HeadersInit = headers,
  of = content,
): Response =>
  new Response(
    new ReadableStream({
      start: (controller) => controller.enqueue(of.slice(0, bytes)),
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        controller.error(new Error("cut"));
      },
    }),
    { headers: extra },
  );

async function assertWhole(s: Site): Promise<void> {
  assert.deepEqual(s.names(), ["model.gguf"]);
  assert.equal(
    createHash("sha256").update(await Deno.readFile(s.path)).digest("hex"),
    sha256,
  );
}

Deno.test("download() brings a file and says how far it is", async () => {
  await using s = await site(whole);
  const seen: PullProgress[] = [];
  await download(s.url, s.path, {
    sha256,
    bytes: BYTES,
    onProgress: (p) => seen.push(p),
  });
  await assertWhole(s);
  assert.deepEqual(seen.at(-1), {
    stage: "downloading",
    file: "model.gguf",
    received: BYTES,
    total: BYTES,
  });
});

Deno.test("download() goes on after a broken connection, with a range request", async () => {
  await using s = await site((request, nth) =>
    nth === 1 ? cut(100_000) : ranged(request, nth)
  );
  await download(s.url, s.path, { ...quick, sha256 });
  await assertWhole(s);
  assert.deepEqual(s.ranges, [null, "bytes=100000-"]);
});

Deno.test("download() goes on where an earlier run stopped", async () => {
  await using s = await site((request, nth) =>
    nth === 1 ? cut(100_000) : ranged(request, nth)
  );
  await assert.rejects(
    download(s.url, s.path, { attempts: 1 }),
    /100000 bytes/,
  );
  assert.deepEqual(s.names(), ["model.gguf.part", "model.gguf.part.json"]);
  await download(s.url, s.path, quick);
  await assertWhole(s);
  assert.deepEqual(s.ranges, [null, "bytes=100000-"]);
});

Deno.test("download() starts again when the server's file has changed since", async () => {
  await using s = await site((request, nth) =>
    nth === 1
      ? cut(100_000, { ...headers, etag: '"zero"' }, content.toReversed())
      : ranged(request, nth)
  );
  await download(s.url, s.path, quick);
  await assertWhole(s);
});

Deno.test("download() does not trust a part whose origin it does not know", async () => {
  await using s = await site(ranged);
  await Deno.writeFile(`${s.path}.part`, content.subarray(0, 1000));
  await download(s.url, s.path, quick);
  assert.deepEqual(s.ranges, [null]);
  await assertWhole(s);
});

Deno.test("download() starts again when the part turns out to be another file's", async () => {
  await using s = await site(ranged);
  await Deno.writeFile(`${s.path}.part`, new Uint8Array(1000));
  await download(s.url, s.path, { ...quick, sha256 });
  await assertWhole(s);
});

Deno.test("download() of a part that is already whole asks for nothing", async () => {
  await using s = await site(ranged);
  await Deno.writeFile(`${s.path}.part`, content);
  await download(s.url, s.path, { ...quick, sha256, bytes: BYTES });
  assert.deepEqual(s.ranges, []);
  await assertWhole(s);
});

Deno.test("download() starts again from a server without ranges", async () => {
  await using s = await site((request, nth) =>
    nth === 1 ? cut(100_000) : whole(request, nth)
  );
  await download(s.url, s.path, { ...quick, sha256 });
  await assertWhole(s);
});

Deno.test("download() refuses a range that was not asked for, then starts again", async () => {
  await using s = await site((request, nth) =>
    nth === 1 ? cut(100_000) : nth === 2
      ? new Response(content, {
        status: 206,
        headers: { "content-range": "bytes 7-9/300000" },
      })
      : ranged(request, nth)
  );
  await download(s.url, s.path, { ...quick, attempts: 3, sha256 });
  await assertWhole(s);
});

Deno.test("download() of a wrong checksum leaves nothing", async () => {
  await using s = await site(whole);
  await assert.rejects(
    download(s.url, s.path, { ...quick, sha256: "0".repeat(64) }),
    (error) => error instanceof ModelError && error.message.includes(sha256),
  );
  assert.deepEqual(s.names(), []);
});

Deno.test("download() of a wrong size is refused before the body arrives", async () => {
  await using s = await site(whole);
  const seen: PullProgress[] = [];
  await assert.rejects(
    download(s.url, s.path, {
      ...quick,
      bytes: 5,
      onProgress: (p) => seen.push(p),
    }),
    /wanted 5 bytes, the server has 300000/,
  );
  assert.deepEqual(seen, []);
});

Deno.test("download() aborted in the middle leaves only a part", async () => {
  const abort = new AbortController();
  await using s = await site(() =>
    new Response(
      new ReadableStream({
        pull: (controller) => controller.enqueue(content.slice(0, 10_000)),
      }, { highWaterMark: 0 }),
      { headers: { "content-length": "1000000000" } },
    )
  );
  const onProgress = ({ received }: PullProgress) => {
    if (received > 50_000) abort.abort(new Error("enough"));
  };
  await assert.rejects(
    download(s.url, s.path, { ...quick, signal: abort.signal, onProgress }),
    /^Error: enough$/,
  );
  assert.ok(!s.names().includes("model.gguf"));
});

Deno.test("download() aborted beforehand asks for nothing", async () => {
  await using s = await site(whole);
  const signal = AbortSignal.abort(new Error("never"));
  await assert.rejects(download(s.url, s.path, { signal }), /never/);
  assert.deepEqual(s.ranges, []);
});

Deno.test("download() does not take a cut answer for a whole one", async () => {
  await using s = await site(() => cut(100_000));
  await assert.rejects(
    download(s.url, s.path, { ...quick, sha256 }),
    /100000 bytes, 2 attempts/,
  );
  assert.ok(!s.names().includes("model.gguf"));
});

Deno.test("download() refuses an answer of unknown length that nothing can check", async () => {
  await using s = await site(() => new Response(new Blob([content]).stream()));
  await assert.rejects(download(s.url, s.path, quick), /how long the file is/);
  await download(s.url, s.path, { ...quick, sha256 });
  await assertWhole(s);
});

Deno.test("download() refuses an empty file", async () => {
  await using s = await site(() =>
    new Response("", { headers: { "content-length": "0" } })
  );
  await assert.rejects(download(s.url, s.path, quick), /empty/);
  assert.ok(!s.names().includes("model.gguf"));
});

Deno.test("download() of what is not there fails at once and hides the query", async () => {
  await using s = await site(() => new Response("no", { status: 404 }));
  await assert.rejects(
    download(s.url, s.path, quick),
    (error) =>
      error instanceof ModelError && /status 404/.test(error.message) &&
      error.message.includes("/dir/model.gguf") &&
      !error.message.includes("secret"),
  );
  assert.equal(s.ranges.length, 1);
});

Deno.test("download() tries again when the server is busy, and gives up in the end", async () => {
  await using s = await site((request, nth) =>
    nth < 3 ? new Response("busy", { status: 503 }) : whole(request, nth)
  );
  await download(s.url, s.path, { ...quick, attempts: 3, sha256 });
  await assertWhole(s);
  await using t = await site(() => new Response("busy", { status: 503 }));
  await assert.rejects(download(t.url, t.path, quick), /status 503/);
  assert.equal(t.ranges.length, 2);
});

Deno.test("download() gives up on a server that falls silent", async () => {
  let release = () => {};
  const silence = new Promise<void>((resolve) => release = resolve);
  await using s = await site(() =>
    new Response(
      new ReadableStream({
        start: (controller) => controller.enqueue(content.slice(0, 1000)),
        pull: () => silence,
      }),
      { headers },
    )
  );
  await assert.rejects(
    download(s.url, s.path, { attempts: 1, stallMs: 100 }),
    /silent for 100 ms after 1000 bytes/,
  );
  release();
});

Deno.test("download() on a full disk stops, keeps no name, and goes on later", async () => {
  await using s = await site(ranged);
  const full = async (part: string): Promise<Sink> => {
    const file = await Deno.open(part, { write: true, create: true });
    let room = 120_000;
    return {
      write: (bytes) => {
        if (room === 0) {
          return Promise.reject(
            new Error("No space left on device (os error 28)"),
          );
        }
        const n = Math.min(room, bytes.length);
        room -= n;
        return file.write(bytes.subarray(0, n));
      },
      truncate: (length) => file.truncate(length),
      seek: (offset, whence) => file.seek(offset, whence),
      sync: () => file.sync(),
      close: () => file.close(),
    };
  };
  await assert.rejects(
    download(s.url, s.path, { ...quick, sha256, open: full }),
    /after 120000 bytes: No space left on device/,
  );
  assert.deepEqual(
    s.ranges,
    [null],
    "a full disk is not the connection's failure",
  );
  assert.ok(!s.names().includes("model.gguf"));
  await download(s.url, s.path, { ...quick, sha256 });
  await assertWhole(s);
  assert.deepEqual(s.ranges, [null, "bytes=120000-"]);
});

Deno.test("download() does not give a file its name when it cannot be synced", async () => {
  await using s = await site(whole);
  const open = async (part: string): Promise<Sink> => {
    const file = await Deno.open(part, { write: true, create: true });
    file.sync = () => Promise.reject(new Error("I/O error"));
    return file;
  };
  await assert.rejects(
    download(s.url, s.path, { ...quick, sha256, open }),
    /I\/O error/,
  );
  assert.ok(!s.names().includes("model.gguf"));
});

Deno.test("download() lets a failing progress callback be seen as what it is", async () => {
  await using s = await site(whole);
  const onProgress = () => {
    throw new TypeError("mine");
  };
  await assert.rejects(
    download(s.url, s.path, { ...quick, onProgress }),
    /^TypeError: mine$/,
  );
  assert.equal(s.ranges.length, 1);
});
