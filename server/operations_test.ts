import assert from "node:assert/strict";
import { createApp } from "./app.ts";
import { Models } from "./models.ts";
import { Serving } from "./serving.ts";
import {
  atRest,
  chunks,
  errorOf,
  events,
  post,
  tinyEngine,
  withServer,
} from "./testing/server.ts";

const CHAT = "/v1/chat/completions";
const messages = [{ role: "user", content: "Hello" }];
const long = { messages, ignore_eos: true };
const short = { messages, max_tokens: 1 };
const pause = (ms: number) => new Promise((r) => setTimeout(r, ms));

Deno.test("a full queue answers 429 and says when to come again", () =>
  withServer(async ({ app, serving }) => {
    const stream = await post(app, CHAT, { ...long, stream: true, n: 2 });
    assert.equal(serving.queue.taken, 2);
    const res = await post(app, CHAT, { ...short, n: 2 });
    assert.equal(res.status, 429);
    assert.match(res.headers.get("retry-after")!, /^[1-9]\d?$/);
    const error = await errorOf(res);
    assert.equal(error.type, "rate_limit_error");
    assert.equal(error.code, "queue_full");
    const other = await post(app, CHAT, short);
    assert.equal(other.status, 200);
    await other.body?.cancel();
    await stream.body!.cancel();
    const again = await post(app, CHAT, { ...short, n: 3 });
    assert.equal(again.status, 200);
    await again.body?.cancel();
  }, { mostRequests: 3 }));

Deno.test("a tenant's quota of requests and of tokens bounds that tenant alone", () =>
  withServer(async ({ app }) => {
    const ask = (user: string, more = {}) =>
      post(app, CHAT, { ...short, user, ...more });
    const stream = await ask("a", { ...long, max_tokens: 30, stream: true });
    const busy = await ask("a");
    assert.equal(busy.status, 429);
    assert.equal((await errorOf(busy)).code, "too_many_requests");
    const other = await ask("b");
    assert.equal(other.status, 200);
    await other.body?.cancel();
    await chunks(stream);
    const spent = await ask("a");
    assert.equal(spent.status, 429);
    assert.equal((await errorOf(spent)).code, "tokens_per_minute_exceeded");
    assert.ok(Number(spent.headers.get("retry-after")) > 1);
  }, { tenantQuota: { mostRequests: 1, tokensPerMinute: 40 } }));

Deno.test("tenants find none of each other's blocks, and their own again", () =>
  withServer(async ({ app }) => {
    const asked = async (user: string) => {
      const content = "a long prompt that fills a block or two for certain";
      const res = await post(app, CHAT, {
        messages: [{ role: "user", content }],
        max_tokens: 1,
        user,
      });
      const { usage } = await res.json();
      return usage.prompt_tokens_details.cached_tokens;
    };
    assert.equal(await asked("a"), 0);
    assert.equal(await asked("b"), 0);
    assert.ok(await asked("a") > 0);
  }));

Deno.test("keys are asked for, as bearer tokens or in x-api-key; each has its own users", () => {
  const keys = ["key-number-one", "key-number-two"];
  return withServer(async ({ app }) => {
    const ask = (headers: Record<string, string>) =>
      post(app, CHAT, { ...short, user: "u" }, { headers });
    for (
      const headers of [
        {},
        { authorization: "Bearer wrong-key-here" },
        { authorization: "Bearer key-number-on" },
        { authorization: "Bearer key-number-one-more" },
        { "x-api-key": "wrong" },
      ] as Record<string, string>[]
    ) {
      const res = await ask(headers);
      assert.equal(res.status, 401, JSON.stringify(headers));
      const error = await errorOf(res);
      assert.equal(error.type, "authentication_error");
      assert.equal(error.code, "invalid_api_key");
    }
    for (const bad of ["Basic abc", "Bearer", "Bearer a b", "key-number-one"]) {
      const res = await ask({ authorization: bad });
      assert.ok(res.status === 400 || res.status === 401);
      await errorOf(res);
    }
    for (const key of keys) {
      const bearer = await ask({ authorization: `Bearer ${key}` });
      assert.equal(bearer.status, 200);
      await bearer.body?.cancel();
      const header = await ask({ "x-api-key": key });
      assert.equal(header.status, 200);
      await header.body?.cancel();
    }
    for (const path of ["/health", "/v1/models", "/models", "/docs"]) {
      assert.equal((await app.request(path)).status, 200);
      const wrong = { authorization: "Bearer wrong-key-here" };
      assert.equal((await app.request(path, { headers: wrong })).status, 401);
    }
    for (const path of ["/metrics", "/slots", "/v1/nothing"]) {
      assert.equal((await app.request(path)).status, 401, path);
    }
    const load = await post(app, "/models/sleep", { model: "tiny" });
    assert.equal(load.status, 401);
  }, { apiKeys: keys });
});

Deno.test("web pages may ask from the origins that are named, and no others", async () => {
  const ask = (origin: string) => ({
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,content-type",
    },
  });
  await withServer(async ({ app }) => {
    const good = await app.request(CHAT, ask("https://good.example"));
    assert.equal(good.status, 204);
    const { headers } = good;
    assert.equal(
      headers.get("access-control-allow-origin"),
      "https://good.example",
    );
    assert.match(headers.get("access-control-allow-headers")!, /authorization/);
    const bad = await app.request(CHAT, ask("https://bad.example"));
    assert.equal(bad.headers.get("access-control-allow-origin"), null);
  }, { cors: ["https://good.example"], apiKeys: ["key-number-one"] });
  await withServer(async ({ app }) => {
    const res = await app.request(CHAT, ask("https://any.example"));
    assert.equal(res.headers.get("access-control-allow-origin"), null);
  });
});

Deno.test("requests addressed to another name are refused where names are given", () =>
  withServer(async ({ app }) => {
    const good = await app.request("http://localhost:8000/health");
    assert.equal(good.status, 200);
    const bad = await app.request("http://evil.example/health");
    assert.equal(bad.status, 403);
    assert.equal((await errorOf(bad)).code, "unknown_host");
  }, { hosts: ["localhost"] }));

Deno.test("a deadline ends an answer with what there is of it", () =>
  withServer(
    async ({ app }) => {
      for (const more of [{ deadline_ms: 30 }, {}]) {
        const res = await post(app, CHAT, { ...long, ...more });
        const body = await res.json();
        if (res.status === 408) {
          assert.equal(body.error.code, "deadline_exceeded");
          continue;
        }
        assert.equal(body.choices[0].finish_reason, "length");
        assert.ok(body.usage.completion_tokens < 4000);
      }
    },
    { deadlineMs: 40 },
    { model: { context: 4096 } },
  ));

Deno.test("a server that drains refuses what is new and ends what runs", () =>
  withServer(async ({ app, serving }) => {
    const running = post(app, CHAT, { ...long, max_tokens: 60 });
    const stream = await post(app, CHAT, {
      ...long,
      max_tokens: 60,
      stream: true,
    });
    await pause(5);
    const drained = serving.drain();
    for (const path of [CHAT, "/v1/completions", "/v1/embeddings"]) {
      const body =
        { [CHAT]: short, "/v1/completions": { prompt: "a" } }[path] ??
          { input: "a" };
      const res = await post(app, path, body);
      assert.equal(res.status, 503);
      assert.ok(res.headers.has("retry-after"));
      assert.equal((await errorOf(res)).code, "server_draining");
    }
    assert.equal((await app.request("/health")).status, 503);
    assert.equal((await app.request("/v1/models")).status, 200);
    const all = await chunks(stream);
    assert.equal(all.at(-1).choices[0].finish_reason, "length");
    const { usage } = await (await running).json();
    assert.equal(usage.completion_tokens, 60);
    assert.equal(await drained, true);
  }));

Deno.test("what runs longer than a server waits is ended with an error", () =>
  withServer(async ({ app, engine, serving }) => {
    const run = engine.generate.bind(engine);
    engine.generate = async function* (options) {
      for await (const part of run(options)) {
        yield part;
        await pause(100);
      }
    };
    const stream = await post(app, CHAT, { ...long, stream: true });
    const whole = post(app, CHAT, long);
    await pause(20);
    const reading = events(stream);
    assert.equal(await serving.drain(20), false);
    const { error } = JSON.parse((await reading).at(-1)!);
    assert.equal(error.code, "server_draining");
    const res = await whole;
    assert.equal(res.status, 503);
    assert.equal((await errorOf(res)).code, "server_draining");
  }));

Deno.test("models are loaded when somebody asks, sleep, and come back", async () => {
  let loads = 0;
  const make = () => {
    loads++;
    return tinyEngine();
  };
  const models = new Models([
    { id: "a", load: make },
    { id: "b", load: make, idleMs: 40 },
    { id: "broken", load: () => Promise.reject(new Error("/secret/path")) },
  ], { "gpt-4o": "b" });
  await using serving = new Serving(models);
  const app = createApp(serving);
  const ask = (model?: string) => post(app, CHAT, { ...short, model });
  const stateOf = async (id: string) =>
    (await (await app.request(`/v1/models/${id}`)).json()).state;
  assert.equal(await stateOf("a"), "asleep");
  const both = await Promise.all([ask(), ask("a")]);
  for (const res of both) assert.equal((await res.json()).model, "a");
  assert.equal(loads, 1);
  assert.equal(await stateOf("a"), "awake");

  const stream = await post(app, CHAT, { ...long, stream: true });
  const used = await post(app, "/models/sleep", { model: "a" });
  assert.equal(used.status, 409);
  assert.equal((await errorOf(used)).code, "model_in_use");
  await stream.body!.cancel();
  assert.equal((await post(app, "/models/sleep", { model: "a" })).status, 200);
  assert.equal(await stateOf("a"), "asleep");
  assert.equal(models.find("a").engine, undefined);
  assert.equal((await ask("a")).status, 200);
  assert.equal(loads, 2);

  assert.equal((await post(app, "/models/unload", { model: "a" })).status, 200);
  const gone = await ask("a");
  assert.equal(gone.status, 503);
  assert.equal((await errorOf(gone)).code, "model_unloaded");
  assert.equal((await post(app, "/models/load", { model: "a" })).status, 200);
  assert.equal((await ask("a")).status, 200);
  assert.equal(loads, 3);

  assert.equal((await (await ask("gpt-4o")).json()).model, "b");
  assert.equal(await stateOf("b"), "awake");
  await pause(120);
  assert.equal(await stateOf("b"), "asleep");

  for (let i = 0; i < 2; i++) {
    const res = await ask("broken");
    assert.equal(res.status, 503);
    const error = await errorOf(res);
    assert.equal(error.code, "model_load_failed");
    assert.ok(!JSON.stringify(error).includes("secret"));
  }
  assert.equal(await stateOf("broken"), "asleep");
  await atRest({ engine: models.find("a").engine!, serving });
});

Deno.test("Models refuses two of one name, none, and aliases of nothing", () => {
  const load = () => Promise.reject(new Error("never"));
  assert.throws(
    () => new Models([{ id: "a", load }, { id: "a", load }]),
    /two/,
  );
  assert.throws(() => new Models([]), /no models/);
  assert.throws(() => new Models([{ id: "a", load }], { b: "c" }), /"c".*"a"/);
});

Deno.test("the log has no texts of users, and a line for each request", async () => {
  const lines: Record<string, unknown>[] = [];
  await withServer(async ({ app }) => {
    const secret = "a secret thing";
    const res = await post(app, CHAT, {
      messages: [{ role: "user", content: secret }],
      max_tokens: 2,
      user: "u",
    }, { headers: { "x-request-id": "id-1" } });
    await res.json();
    await post(app, CHAT, { messages: secret });
    const text = JSON.stringify(lines);
    assert.ok(!text.includes("secret"));
    const of = (event: string) => lines.filter((l) => l.event === event);
    assert.equal(of("http").length, 2);
    assert.deepEqual(of("http").map((l) => l.status), [200, 400]);
    assert.equal(of("answer")[0]!.id, "id-1");
    assert.equal(of("answer")[0]!.completionTokens, 2);
    assert.equal(of("end")[0]!.end, "done");
  }, { log: (line) => lines.push(line) });
  await withServer(async ({ app }) => {
    assert.equal((await post(app, CHAT, short)).status, 200);
  }, {
    log: () => {
      throw new Error("the disk is full");
    },
  });
});

Deno.test("sessions are saved, restored by number and name, and erased", async () => {
  const folder = await Deno.makeTempDir();
  const slot = (id: number, action: string) => `/slots/${id}?action=${action}`;
  const ask = {
    prompt: "What is the capital of France? Nobody knows it.",
    max_tokens: 20,
    ignore_eos: true,
    temperature: 0,
    id_slot: 1,
  };
  try {
    let saved = 0;
    await withServer(async ({ app }) => {
      const empty = await post(app, slot(1, "save"), { filename: "one" });
      assert.equal((await errorOf(empty)).code, "slot_empty");
      const { usage } = await (await post(app, "/v1/completions", ask)).json();
      const res = await post(app, slot(1, "save"), { filename: "one" });
      assert.equal(res.status, 200, await res.clone().text());
      const body = await res.json();
      saved = body.n_saved;
      assert.equal(saved, usage.total_tokens);
      assert.ok(body.n_cached > 0);
      const list = await (await app.request("/slots")).json();
      assert.equal(list.length, 8);
      assert.equal(list[1].n_tokens, saved);
      const none = await (await app.request("/slots?user=other")).json();
      assert.equal(none[1].n_tokens, 0);
    }, { sessions: folder });
    await withServer(async ({ app }) => {
      const other = await post(app, slot(0, "restore"), {
        filename: "one",
        user: "other",
      });
      assert.equal(other.status, 404);
      assert.equal((await errorOf(other)).code, "session_not_found");
      const res = await post(app, slot(0, "restore"), { filename: "one" });
      const body = await res.json();
      assert.equal(body.n_restored, saved);
      const again = await (await post(app, "/v1/completions", ask)).json();
      assert.ok(again.usage.prompt_tokens_details.cached_tokens > 0);
      const erased = await app.request(slot(0, "erase"), { method: "POST" });
      assert.equal((await erased.json()).n_erased, saved);
      const list = await (await app.request("/slots")).json();
      assert.equal(list[0].n_tokens, 0);
      const names: string[] = [];
      for await (const { name } of Deno.readDir(folder)) names.push(name);
      assert.equal(names.length, 1);
      await Deno.writeTextFile(`${folder}/${names[0]}`, "damaged");
      const damaged = await post(app, slot(0, "restore"), { filename: "one" });
      assert.equal(damaged.status, 400);
      const error = await errorOf(damaged);
      assert.equal(error.code, "session_error");
      assert.ok(!`${error.message}`.includes(folder), `${error.message}`);
    }, { sessions: folder });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("names of sessions lead to no other folder", async () => {
  const folder = await Deno.makeTempDir();
  const bad = [
    "../x",
    "..",
    ".",
    ".hidden",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "C:x",
    "a\0b",
    "%2e%2e%2fx",
    "a b",
    "é",
    "x".repeat(101),
    "~",
    "a\nb",
    "con:",
    "",
    " ",
  ];
  try {
    await withServer(async ({ app }) => {
      await post(app, "/v1/completions", {
        prompt: "a",
        max_tokens: 1,
        id_slot: 0,
      });
      for (const action of ["save", "restore"]) {
        for (const filename of bad) {
          const path = `/slots/0?action=${action}`;
          const res = await post(app, path, { filename });
          assert.equal(res.status, 400, JSON.stringify(filename));
          assert.equal((await errorOf(res)).param, "filename");
        }
      }
      for (const id of ["8", "-1", "a", "1e1", "0x1", "..%2f"]) {
        const path = `/slots/${id}?action=erase`;
        const res = await app.request(path, { method: "POST" });
        assert.equal(res.status, 400, id);
      }
      for (const action of ["", "drop", "save&action=x"]) {
        const res = await post(app, `/slots/0?action=${action}`, {
          filename: "a",
        });
        if (action.startsWith("save")) await res.body?.cancel();
        else assert.equal((await errorOf(res)).param, "action");
      }
    }, { sessions: `${folder}/inner` });
    const names: string[] = [];
    for await (const { name } of Deno.readDir(folder)) names.push(name);
    assert.ok(names.every((name) => name === "inner"), String(names));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  await withServer(async ({ app }) => {
    const res = await post(app, "/slots/0?action=save", { filename: "a" });
    assert.equal(res.status, 501);
    assert.equal((await errorOf(res)).type, "not_supported_error");
  });
});
