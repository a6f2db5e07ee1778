import assert from "node:assert/strict";
import type { ChatMessage } from "../mod.ts";
import { Conversation } from "./conversation.ts";

const length = (messages: readonly ChatMessage[]): number =>
  messages.reduce((sum, m) => sum + m.content.length, 0);

function filled(system?: string): Conversation {
  const conversation = new Conversation(system);
  for (const n of [1, 2, 3]) {
    conversation.ask(`question ${n}`);
    conversation.answered(`answer ${n}`);
  }
  conversation.ask("question 4");
  return conversation;
}

Deno.test("Conversation.fit() leaves out the oldest turns, never the system's message", () => {
  const conversation = filled("be brief");
  assert.equal(conversation.fit(length, 40), 2);
  assert.deepEqual(conversation.messages.map((m) => m.content), [
    "be brief",
    "question 3",
    "answer 3",
    "question 4",
  ]);
  assert.equal(conversation.fit(length, 40), 0);
});

Deno.test("Conversation.fit() keeps the last question even if it does not fit", () => {
  const conversation = filled();
  assert.equal(conversation.fit(length, 0), 3);
  assert.deepEqual(conversation.messages, [
    { role: "user", content: "question 4" },
  ]);
});

Deno.test("Conversation.takeBack() takes an unanswered question back only", () => {
  const conversation = filled();
  conversation.takeBack();
  conversation.takeBack();
  assert.equal(conversation.messages.length, 6);
  assert.equal(conversation.messages.at(-1)!.role, "assistant");
});

Deno.test("Conversation.clear() forgets all but the system's message", () => {
  const conversation = filled("be brief");
  conversation.clear();
  assert.deepEqual(conversation.messages, [
    { role: "system", content: "be brief" },
  ]);
});
