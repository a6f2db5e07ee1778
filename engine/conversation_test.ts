import assert from "node:assert/strict";
import { withFile } from "../models/testing/files.ts";
import { tinyChat } from "../models/testing/tiny_chat.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { prefixCache } from "../plugins/prefix_cache.ts";
import type { Conversation, TurnOptions } from "./conversation.ts";
import type { Engine } from "./engine.ts";
import { load } from "./load.ts";
import type { Usage } from "./options.ts";

function chatEngine(): Promise<Engine> {
  return withFile(tinyChat(), (path) =>
    load(path, {
      threads: 2,
      check: true,
      plugins: [pagedAttention({ blockTokens: 8 }), prefixCache()],
    }));
}

async function ask(
  talk: Conversation,
  text: string,
  options: TurnOptions = {},
): Promise<{ text: string; usage: Usage }> {
  let answer = "";
  let usage: Usage | undefined;
  for await (
    const part of talk.ask(text, { maxTokens: 12, ignoreEos: true, ...options })
  ) {
    answer += part.text;
    usage = part.usage;
  }
  return { text: answer, usage: usage! };
}

Deno.test("Conversation.ask() goes on from the tokens of the turns before", async () => {
  await using engine = await chatEngine();
  const talk = engine.conversation("be brief");
  const first = await ask(talk, "hello");
  const second = await ask(talk, "again");
  // All whole blocks of the first turn are found, its answer's too.
  const before = first.usage.promptTokens + first.usage.completionTokens;
  assert.ok(second.usage.cachedTokens >= before - 8);
  assert.deepEqual(talk.messages.map((m) => m.role), [
    "system",
    "user",
    "assistant",
    "user",
    "assistant",
  ]);
  assert.equal(talk.messages[2]!.content, first.text);
});

Deno.test("Conversation.branch() goes its own way and shares what was before", async () => {
  await using engine = await chatEngine();
  const talk = engine.conversation();
  await ask(talk, "the start, which is long enough for some blocks");
  const left = talk.branch(), right = talk.branch();
  const { cache } = engine;
  const a = left.ask("one", { maxTokens: 30, ignoreEos: true });
  const b = right.ask("two", { maxTokens: 30, ignoreEos: true });
  await Promise.all([a.next(), b.next()]);
  const { references, blocks } = cache.stat();
  const used = blocks.open + blocks.sealed - blocks.idle;
  assert.ok(references - used >= 6, `${references} uses of ${used} blocks`);
  await Promise.all([a.return(undefined), b.return(undefined)]);
  assert.equal(talk.messages.length, 2);
  assert.equal(left.messages.length, 2, "a turn that was left early is none");
  await ask(left, "one");
  await ask(right, "two");
  assert.deepEqual(
    [left.messages[2]!.content, right.messages[2]!.content],
    ["one", "two"],
  );
  const alone = engine.conversation();
  await ask(alone, "the start, which is long enough for some blocks");
  await ask(alone, "two");
  assert.deepEqual(alone.messages, right.messages);
});

Deno.test("Conversation.ask() leaves things as they were where a turn fails", async () => {
  await using engine = await chatEngine();
  const talk = engine.conversation();
  await ask(talk, "hello");
  const before = talk.messages;
  await assert.rejects(ask(talk, "x".repeat(999)), RangeError);
  assert.deepEqual(talk.messages, before);
  const running = talk.ask("one", { maxTokens: 20, ignoreEos: true });
  await running.next();
  await assert.rejects(ask(talk, "two"), /in the middle of an answer/);
  await running.return(undefined);
  await ask(talk, "two");
  assert.equal(talk.messages.length, 4);
});

Deno.test("Conversation.ask() follows the words where a stop text was cut off", async () => {
  await using engine = await chatEngine();
  const talk = engine.conversation();
  const whole = await ask(talk.branch(), "hello");
  const stop = whole.text.slice(4, 6);
  const cut = await ask(talk, "hello", { stop });
  assert.equal(cut.text, whole.text.slice(0, whole.text.indexOf(stop)));
  await ask(talk, "more");
  assert.equal(talk.messages[1]!.content, cut.text);
});

Deno.test("Conversation.more() makes the answer that would have come in one go", async () => {
  await using engine = await chatEngine();
  const ways = [
    {},
    { temperature: 0.9, seed: 3, frequencyPenalty: 0.4, penaltyWindow: 30 },
    { temperature: 0.9 },
  ];
  for (const sampling of ways) {
    const talk = engine.conversation("be brief"), whole = talk.branch();
    const first = await ask(talk, "hello", { ...sampling, maxTokens: 5 });
    assert.ok(talk.unfinished);
    const one = talk.branch(), other = talk.branch();
    const more = async (to: Conversation, maxTokens: number) => {
      let text = "", cached = 0;
      for await (const p of to.more({ maxTokens, ignoreEos: true })) {
        text += p.text;
        cached = p.usage?.cachedTokens ?? 0;
      }
      assert.ok(cached > 0);
      return text;
    };
    await more(one, 4);
    await more(one, 6);
    await more(other, 10);
    assert.deepEqual(one.messages, other.messages);
    assert.equal(one.messages.length, 3);
    assert.ok(one.messages[2]!.content.startsWith(first.text.slice(0, 3)));
    assert.deepEqual(talk.messages[2]!.content, first.text);
    if (sampling.temperature === undefined || sampling.seed !== undefined) {
      await ask(whole, "hello", { ...sampling, maxTokens: 15 });
      assert.deepEqual(one.messages, whole.messages);
    }
    // What is asked then goes on from all of it.
    const then = await ask(one, "again", { maxTokens: 4 });
    assert.ok(then.usage.cachedTokens >= 32);
  }
});

Deno.test("Conversation.more() refuses where there is nothing to go on with", async () => {
  await using engine = await chatEngine();
  const talk = engine.conversation();
  const fails = () =>
    assert.rejects(talk.more().next(), /there is no answer that its length/);
  await fails();
  const whole = await ask(talk.branch(), "hello");
  await ask(talk, "hello", { stop: whole.text.slice(4, 6) });
  await fails();
  await ask(talk, "more", { maxTokens: 4, beams: 2 });
  assert.ok(!talk.unfinished);
  await fails();
  await ask(talk, "more", { maxTokens: 4 });
  const before = talk.messages;
  const running = talk.more({ maxTokens: 20 });
  await running.next();
  await assert.rejects(talk.more().next(), /in the middle of an answer/);
  await running.return(undefined);
  assert.deepEqual(talk.messages, before);
  assert.ok(talk.unfinished);
});
