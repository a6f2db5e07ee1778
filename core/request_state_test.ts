import assert from "node:assert/strict";
import { RequestState } from "./request_state.ts";

Deno.test("RequestState keeps its own count of the prompt, whatever happens to the caller's array", () => {
  const prompt = [1, 2];
  const state = new RequestState({ id: "a", prompt, maxTokens: 2 }, 0);
  prompt.push(3, 4);
  state.push(7);
  assert.equal(state.produced, 1);
  assert.deepEqual(state.finished("stop").tokens, [7]);
});
