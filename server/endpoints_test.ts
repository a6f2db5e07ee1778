import assert from "node:assert/strict";
import { chunks, errorOf, events, post, withServer } from "./testing/server.ts";

const prompt = "Once upon a time";

Deno.test("POST /v1/completions answers whole and streamed, the same text", () =>
  withServer(async ({ app }) => {
    const request = { prompt, max_tokens: 9, ignore_eos: true, seed: 2 };
    const res = await post(app, "/v1/completions", request);
    const body = await res.json();
    assert.equal(body.object, "text_completion");
    assert.match(body.id, /^cmpl-/);
    assert.equal(body.choices.length, 1);
    assert.equal(body.choices[0].finish_reason, "length");
    assert.equal(body.usage.completion_tokens, 9);
    const all = await chunks(
      await post(app, "/v1/completions", {
        ...request,
        stream: true,
        stream_options: { include_usage: true },
      }),
    );
    const usage = all.pop();
    assert.deepEqual(usage.choices, []);
    assert.equal(usage.usage.completion_tokens, 9);
    const text = all.map(({ choices: [c] }) => c.text).join("");
    assert.equal(text, body.choices[0].text);
    const ends = all.map(({ choices: [c] }) => c.finish_reason);
    assert.deepEqual(ends.filter((e) => e !== null), ["length"]);
    assert.equal(ends.at(-1), "length");
  }));

Deno.test("POST /v1/completions takes texts, tokens and several of both, n times each", () =>
  withServer(async ({ app, engine }) => {
    const tokens = engine.tokenizer.encode(prompt, {
      bos: engine.tokenizer.addBos,
    });
    const ask = async (prompt: unknown, more = {}) => {
      const res = await post(app, "/v1/completions", {
        prompt,
        max_tokens: 4,
        temperature: 0,
        ignore_eos: true,
        ...more,
      });
      assert.equal(res.status, 200, await res.clone().text());
      return await res.json();
    };
    const alone = await ask(prompt);
    assert.equal((await ask(tokens)).choices[0].text, alone.choices[0].text);
    const many = await ask([prompt, tokens, "Other"], { n: 2 });
    assert.equal(many.choices.length, 6);
    for (const i of [0, 1, 2, 3]) {
      assert.equal(many.choices[i].text, alone.choices[0].text);
      assert.equal(many.choices[i].index, i);
    }
    const other = await ask("Other");
    assert.equal(many.choices[5].text, other.choices[0].text);
    assert.equal(
      many.usage.prompt_tokens,
      2 * alone.usage.prompt_tokens + other.usage.prompt_tokens,
    );
    const best = await ask(prompt, { best_of: 3, temperature: 1 });
    assert.equal(best.choices.length, 1);
  }));

Deno.test("log-probabilities are of every token, in a chat and a completion", () =>
  withServer(async ({ app, engine }) => {
    const request = { max_tokens: 6, ignore_eos: true, temperature: 0 };
    const messages = [{ role: "user", content: prompt }];
    const asked = { messages, ...request, logprobs: true, top_logprobs: 3 };
    const chat = await (await post(app, "/v1/chat/completions", asked)).json();
    const { content } = chat.choices[0].logprobs;
    assert.equal(content.length, 6);
    for (const { token, logprob, bytes, top_logprobs } of content) {
      assert.ok(logprob <= 0);
      assert.equal(typeof token, "string");
      assert.ok(bytes.length > 0);
      assert.equal(top_logprobs.length, 3);
      assert.equal(top_logprobs[0].token, token);
      assert.ok(Math.abs(top_logprobs[0].logprob - logprob) < 1e-5);
    }
    const bytes = content.flatMap((t: { bytes: number[] }) => t.bytes);
    assert.equal(
      new TextDecoder().decode(new Uint8Array(bytes)),
      chat.choices[0].message.content,
    );
    const all = await chunks(
      await post(app, "/v1/chat/completions", { ...asked, stream: true }),
    );
    const streamed = all.flatMap(({ choices: [c] }) =>
      c.logprobs?.content ?? []
    );
    assert.deepEqual(streamed, content);

    const completion = await (await post(app, "/v1/completions", {
      prompt,
      ...request,
      logprobs: 2,
    })).json();
    const { tokens, token_logprobs, top_logprobs, text_offset } =
      completion.choices[0].logprobs;
    for (const list of [tokens, token_logprobs, top_logprobs, text_offset]) {
      assert.equal(list.length, 6);
    }
    assert.equal(text_offset[0], 0);
    assert.equal(text_offset[1], tokens[0].length);
    assert.ok(engine.spec.vocab > 0);
  }));

Deno.test("a stop text ends an answer and is no part of it", () =>
  withServer(async ({ app }) => {
    const request = {
      messages: [{ role: "user", content: "x" }],
      max_tokens: 30,
      ignore_eos: true,
      temperature: 0,
    };
    const path = "/v1/chat/completions";
    const whole = await (await post(app, path, request)).json();
    const text = whole.choices[0].message.content;
    const stop = text.slice(3, 5);
    const cut = await (await post(app, path, { ...request, stop })).json();
    assert.equal(cut.choices[0].finish_reason, "stop");
    assert.equal(
      cut.choices[0].message.content,
      text.slice(0, text.indexOf(stop)),
    );
  }));

Deno.test("logit_bias of -100 forbids a token", () =>
  withServer(async ({ app }) => {
    const request = { prompt, max_tokens: 1, temperature: 0, logprobs: 1 };
    const first = await (await post(app, "/v1/completions", request)).json();
    const [token] = first.choices[0].logprobs.tokens;
    const ids = await (await post(app, "/tokenize", { content: token })).json();
    if (ids.tokens.length !== 1) return;
    const other = await (await post(app, "/v1/completions", {
      ...request,
      logit_bias: { [ids.tokens[0]]: -100 },
    })).json();
    assert.notEqual(other.choices[0].text, first.choices[0].text);
    const res = await post(app, "/v1/completions", {
      ...request,
      logit_bias: { 999999: 1 },
    });
    assert.equal((await errorOf(res)).param, "logit_bias");
  }));

Deno.test("POST /v1/responses answers, and streams its events in order", () =>
  withServer(async ({ app }) => {
    const request = {
      input: "Hello",
      instructions: "Be terse",
      max_output_tokens: 5,
      temperature: 0,
    };
    const body = await (await post(app, "/v1/responses", request)).json();
    assert.equal(body.object, "response");
    assert.match(body.id, /^resp_\w+$/);
    const [item] = body.output;
    assert.equal(item.type, "message");
    assert.equal(item.content[0].type, "output_text");
    assert.equal(
      body.usage.total_tokens,
      body.usage.input_tokens + body.usage.output_tokens,
    );
    const res = await post(app, "/v1/responses", { ...request, stream: true });
    const text = await res.text();
    const seen = text.split("\n\n").slice(0, -1).map((event) => {
      const [name, data] = event.split("\n");
      const value = JSON.parse(data!.slice("data: ".length));
      assert.equal(name, `event: ${value.type}`);
      return value;
    });
    seen.forEach((e, i) => assert.equal(e.sequence_number, i));
    const order = seen.map((e) => e.type)
      .filter((t, i, all) => t !== all[i - 1]);
    assert.deepEqual(order.slice(0, 5), [
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
    ]);
    assert.match(order.at(-1)!, /^response\.(completed|incomplete)$/);
    const last = seen.at(-1).response;
    assert.equal(last.output[0].content[0].text, item.content[0].text);
    assert.equal(
      seen.filter((e) => e.type === "response.output_text.delta")
        .map((e) => e.delta).join(""),
      item.content[0].text,
    );
    assert.equal(last.usage.output_tokens, body.usage.output_tokens);
  }));

Deno.test("POST /tokenize and /detokenize are each other's inverse", () =>
  withServer(async ({ app, engine }) => {
    const content = "naïve 媽 🤗 </s>";
    const plain = await (await post(app, "/tokenize", {
      content,
      parse_special: false,
    })).json();
    const special = await (await post(app, "/tokenize", { content })).json();
    assert.equal(special.tokens.at(-1), engine.tokenizer.eos);
    assert.ok(plain.tokens.length > special.tokens.length);
    for (const { tokens } of [plain, special]) {
      const res = await post(app, "/detokenize", { tokens });
      assert.equal((await res.json()).content, content);
    }
    const bos = await (await post(app, "/tokenize", {
      content: "a",
      add_special: true,
    })).json();
    assert.equal(
      bos.tokens[0] === engine.tokenizer.bos,
      engine.tokenizer.addBos,
    );
    const pieces = await (await post(app, "/tokenize", {
      content: "a媽",
      with_pieces: true,
    })).json();
    assert.deepEqual(pieces.tokens[0].piece, "a");
    const bytes = pieces.tokens.slice(1).flatMap((
      t: { piece: number[] },
    ) => t.piece);
    assert.equal(new TextDecoder().decode(new Uint8Array(bytes)), "媽");
    const res = await post(app, "/detokenize", { tokens: [1, 99_999] });
    assert.equal(res.status, 400);
    assert.equal((await errorOf(res)).param, "tokens[1]");
  }));

Deno.test("GET /metrics counts requests, tokens, hits and bytes by owner", () =>
  withServer(async ({ app, engine }) => {
    const request = {
      prompt: prompt.repeat(3),
      max_tokens: 4,
      ignore_eos: true,
    };
    for (let i = 0; i < 2; i++) await post(app, "/v1/completions", request);
    await events(
      await post(app, "/v1/completions", { ...request, stream: true }),
    );
    await post(app, "/v1/completions", {});
    const res = await app.request("/metrics");
    assert.match(
      res.headers.get("content-type")!,
      /^text\/plain; version=0\.0\.4/,
    );
    const text = await res.text();
    const value = (name: string) => {
      const line = text.split("\n").find((l) => l.startsWith(`${name} `));
      assert.ok(line !== undefined, `${name} in ${text}`);
      return Number(line.slice(name.length));
    };
    const model = '{model_name="tiny"}';
    assert.equal(value(`vllm:generation_tokens_total${model}`), 12);
    const prompts = value(`vllm:prompt_tokens_total${model}`);
    assert.ok(prompts > 100);
    assert.ok(value(`vllm:prefix_cache_hits_total${model}`) > 0);
    assert.equal(
      value(
        'vllm:request_success_total{model_name="tiny",finished_reason="length"}',
      ),
      3,
    );
    assert.equal(value(`vllm:num_requests_running${model}`), 0);
    assert.equal(value(`vllm:time_to_first_token_seconds_count${model}`), 3);
    assert.ok(value("llamacpp:prompt_tokens_cache_total") > 0);
    assert.ok(value("llamacpp:prompt_cache_hit_ratio") > 0);
    assert.equal(value("llamacpp:tokens_predicted_total"), 12);
    assert.equal(
      value('quire:http_requests_total{route="/v1/completions",status="400"}'),
      1,
    );
    let device = 0;
    for (
      const match of text.matchAll(
        /^quire:memory_bytes\{[^}]*tier="device"[^}]*\} (\d+)$/gm,
      )
    ) {
      device += Number(match[1]);
    }
    assert.equal(device, engine.memory().tiers.device!.used);
    assertPrometheus(text);
  }));

/** Lines of one metric stand together, behind its one type, no series twice. */
function assertPrometheus(text: string): void {
  const typed = new Set<string>(), series = new Set<string>();
  let current = "";
  assert.ok(text.endsWith("\n"));
  for (const line of text.trimEnd().split("\n")) {
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
    if (type !== null) {
      current = type[1]!;
      assert.ok(!typed.has(current), `${current} twice`);
      typed.add(current);
      continue;
    }
    const match = /^([\w:]+)(\{(?:\w+="(?:[^"\\\n]|\\.)*",?)*\})? (\S+)$/.exec(
      line,
    );
    assert.ok(match !== null, line);
    const [, name, labels = "", value] = match;
    assert.ok(
      name!.replace(/_(bucket|sum|count)$/, "") === current || name === current,
      line,
    );
    assert.ok(Number.isFinite(Number(value)), line);
    assert.ok(!series.has(name + labels), line);
    series.add(name + labels);
  }
}

Deno.test("GET /openapi.json describes every endpoint, GET /docs shows it without scripts", () =>
  withServer(async ({ app }) => {
    const document = await (await app.request("/openapi.json")).json();
    assert.equal(document.openapi, "3.1.0");
    const chat = document.paths["/v1/chat/completions"].post;
    const schema = chat.requestBody.content["application/json"].schema;
    assert.deepEqual(schema.required, ["messages"]);
    assert.equal(schema.additionalProperties, false);
    assert.ok("response_format" in schema.properties);
    const ids = new Set<string>();
    for (const methods of Object.values(document.paths)) {
      for (const operation of Object.values(methods as object)) {
        assert.match(operation.operationId, /^\w+$/);
        assert.ok(!ids.has(operation.operationId));
        ids.add(operation.operationId);
        assert.ok(operation.responses[200] !== undefined);
      }
    }
    const page = await app.request("/docs");
    assert.match(page.headers.get("content-type")!, /^text\/html/);
    assert.match(
      page.headers.get("content-security-policy")!,
      /default-src 'none'/,
    );
    const text = await page.text();
    assert.ok(text.includes("/v1/chat/completions"));
    assert.ok(!/<script|src=/i.test(text));
  }));
