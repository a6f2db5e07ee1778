import assert from "node:assert/strict";
import { hubModel } from "../models/testing/hub_model.ts";
import { main } from "./main.ts";
import { FakeHost } from "./testing/fake_host.ts";

Deno.test("commands take a folder of safetensors for a model", async () => {
  await using model = await hubModel({ shards: 2, dtype: "BF16" });
  const said = async (...args: string[]): Promise<string> => {
    const host = new FakeHost();
    assert.equal(await main(args, host), 0, host.stderr);
    return host.stdout;
  };
  const greedy = ["--max-tokens", "4", "--temperature", "0", "--json"];
  const run = JSON.parse(await said("run", model.path, "once", ...greedy));
  assert.equal(run.usage.completionTokens, 4);
  const chat = JSON.parse(await said("chat", model.path, "hi", ...greedy));
  assert.equal(chat.usage.promptTokens, "[user]hi\n[assistant]".length);
  const found = JSON.parse(await said("inspect", model.path, "--json"));
  assert.equal(found.architecture, "llama");
  assert.equal(found.types[0].type, "BF16");
  assert.equal(found.chatTemplate.system, "yes");
  assert.equal(await said("pull", `${model.path}/`), `${model.path}\n`);
});

Deno.test("commands say in one line what is wrong with a folder", async () => {
  await using model = await hubModel();
  await model.edit("config.json", (c) => void (c.hidden_act = "relu"));
  for (const args of [["inspect", model.path], ["run", model.path, "a"]]) {
    const host = new FakeHost();
    assert.equal(await main(args, host), 1);
    assert.equal(
      host.stderr,
      `Cannot use model "${model.at("config.json")}": "hidden_act" is ` +
        `"relu", wanted "silu" or "swish"\n`,
    );
  }
});
