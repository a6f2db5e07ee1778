import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ModelError } from "../core/errors.ts";
import { openModel } from "./open_model.ts";
import { pull, type PullOptions, type PullProgress } from "./pull.ts";
import { type HubModel, hubModel } from "./testing/hub_model.ts";

/** A hub with one model, and a home to pull it to. */
interface Setting extends AsyncDisposable {
  readonly model: HubModel;
  readonly options: PullOptions;
  readonly folder: string;
  /** Names of the files that were asked for. */
  readonly asked: string[];
  /** Names of the files that are there. */
  files(): string[];
  /** Answers instead of the hub, where it returns something. */
  instead: (name: string, range: string | null) => Response | undefined;
}

async function setting(shards = 3): Promise<Setting> {
  const model = await hubModel({ shards });
  const home = await Deno.makeTempDir();
  const asked: string[] = [];
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
  }, async (request) => {
    const { pathname } = new URL(request.url);
    const [, name] = /^\/o\/r\/resolve\/main\/([^/]+)$/.exec(pathname) ?? [];
    if (name === undefined) return new Response("no", { status: 404 });
    asked.push(name);
    const range = request.headers.get("range");
    const other = setting.instead(name, range);
    if (other !== undefined) return other;
    const content = await Deno.readFile(model.at(name)).catch(() => undefined);
    if (content === undefined) return new Response("no", { status: 404 });
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
    const rest = content.subarray(from), { length } = content;
    return new Response(rest, {
      status: from > 0 ? 206 : 200,
      headers: {
        "content-length": `${rest.length}`,
        etag: '"1"',
        ...(from > 0
          ? { "content-range": `bytes ${from}-${length - 1}/${length}` }
          : {}),
      },
    });
  });
  const folder = join(home, "models", "hf", "o", "r", "main");
  const setting: Setting = {
    model,
    folder,
    asked,
    options: {
      home,
      hub: `http://127.0.0.1:${server.addr.port}`,
      retry: { attempts: 1 },
    },
    files: () => {
      try {
        return [...Deno.readDirSync(folder)].map((e) => e.name).sort();
      } catch {
        return [];
      }
    },
    instead: () => undefined,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await Deno.remove(home, { recursive: true });
      await model[Symbol.asyncDispose]();
    },
  };
  return setting;
}

const SHARDS = [1, 2, 3].map((i) => `model-0000${i}-of-00003.safetensors`);
const INDEX = "model.safetensors.index.json";
const REST = ["config.json", "tokenizer.json", "tokenizer_config.json"];

Deno.test("pull() of a repository brings the folder, and finds it there next time", async () => {
  await using s = await setting();
  const seen: PullProgress[] = [];
  const onProgress = (p: PullProgress) => void seen.push(p);
  const path = await pull("hf:o/r", { ...s.options, onProgress });
  assert.equal(path, s.folder);
  assert.deepEqual(s.files(), [...REST, INDEX, ...SHARDS].sort());
  const { fingerprint } = await openModel(s.model.path);
  assert.equal((await openModel(path)).fingerprint, fingerprint);
  assert.deepEqual(
    seen.filter((p) => p.stage === "ready").map((p) => p.file).at(-1),
    "config.json",
  );
  s.asked.length = 0;
  assert.equal(await pull("hf:o/r", s.options), path);
  assert.deepEqual(s.asked, []);
});

Deno.test("pull() of a repository without an index brings its one file", async () => {
  await using s = await setting(1);
  const path = await pull("hf:o/r@main", s.options);
  assert.deepEqual(s.files(), [...REST, "model.safetensors"].sort());
  assert.equal((await openModel(path)).tensors.size, 11);
});

Deno.test("pull() of a repository goes on where it was cut off", async () => {
  await using s = await setting();
  const whole = await Deno.readFile(s.model.at(SHARDS[1]!));
  s.instead = (name) => {
    if (name !== SHARDS[1]) return undefined;
    // A connection that breaks in the middle.
    let sent = false;
    const body = new ReadableStream({
      pull(controller) {
        if (sent) controller.error(new Error("cut"));
        else controller.enqueue(whole.slice(0, 1000));
        sent = true;
      },
    });
    const headers = { "content-length": `${whole.length}`, etag: '"1"' };
    return new Response(body, { headers });
  };
  await assert.rejects(pull("hf:o/r", s.options), ModelError);
  assert.ok(!s.files().includes("config.json"));
  await assert.rejects(openModel(s.folder), /there is no "config\.json"/);
  s.asked.length = 0;
  const ranges: (string | null)[] = [];
  s.instead = (name, range) => {
    if (name === SHARDS[1]) ranges.push(range);
    return undefined;
  };
  const path = await pull("hf:o/r", s.options);
  assert.ok(!s.asked.includes(SHARDS[0]!), "what was whole is not asked for");
  assert.equal(ranges.length, 1);
  assert.match(ranges[0] ?? "", /^bytes=[1-9]\d*-$/);
  const { fingerprint } = await openModel(s.model.path);
  assert.equal((await openModel(path)).fingerprint, fingerprint);
});

Deno.test("pull() of a model that could not be run fetches no weights", async () => {
  await using s = await setting();
  await s.model.edit("config.json", (c) => void (c.model_type = "bert"));
  await assert.rejects(
    pull("hf:o/r", s.options),
    /Cannot use model "hf:o\/r": "model_type" is "bert"/,
  );
  assert.deepEqual(s.asked, ["config.json"]);
  assert.deepEqual(s.files(), []);
});

for (
  const [missing, says] of [
    ["config.json", /no "config\.json" on the hub.*name the file/],
    ["tokenizer.json", /no "tokenizer\.json" on the hub/],
    [INDEX, /no "model\.safetensors" on the hub/],
    [SHARDS[2]!, /no "model-00003-of-00003\.safetensors" on the hub/],
  ] as const
) {
  Deno.test(`pull() of a repository without ${missing} says so`, async () => {
    await using s = await setting();
    await Deno.remove(s.model.at(missing));
    await assert.rejects(pull("hf:o/r", s.options), (error: Error) => {
      assert.ok(error instanceof ModelError);
      assert.match(error.message, says);
      return true;
    });
    assert.ok(!s.files().includes("config.json"));
  });
}

Deno.test("pull() fetches nothing that an index names outside the folder", async () => {
  await using s = await setting();
  await s.model.edit(INDEX, (i) => {
    i.weight_map["x"] = "../../../x.safetensors";
  });
  await assert.rejects(pull("hf:o/r", s.options), /in the same folder/);
  assert.ok(s.asked.every((name) => !name.includes("x.safetensors")));
});

Deno.test("pull() takes a folder with config.json for what it is", async () => {
  await using model = await hubModel();
  const { path } = model;
  for (const name of [path, `${path}/`, pathToFileURL(path)]) {
    assert.equal(await pull(name), path);
  }
  const config = model.at("config.json");
  assert.equal(await pull(config), config);
  await Deno.remove(config);
  await assert.rejects(
    pull(path),
    /it is a folder, wanted a file, or a folder with config\.json in it; what works/,
  );
});
