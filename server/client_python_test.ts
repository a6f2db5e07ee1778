import assert from "node:assert/strict";
import { withPort } from "./testing/port.ts";
import { atRest } from "./testing/server.ts";

const KEY = "key-for-the-tests";
const PYTHON = new URL("../.tmp/python/bin/python", import.meta.url);

function there(): boolean {
  try {
    Deno.statSync(PYTHON);
    return true;
  } catch {
    return false;
  }
}

const ignore = !there();
const name = "openai for Python: chats, tools, schemas, errors, leaving";

Deno.test({
  name: ignore ? `${name} (no .tmp/python, deno task fetch makes it)` : name,
  ignore,
  fn: () =>
    withPort(async (served) => {
      const script = new URL("testing/client.py", import.meta.url).pathname;
      const { code, stdout, stderr } = await new Deno.Command(
        ".tmp/python/bin/python",
        { args: [script, served.url, KEY] },
      ).output();
      const decoder = new TextDecoder();
      assert.equal(code, 0, decoder.decode(stderr));
      assert.equal(
        decoder.decode(stdout),
        "chat\ntools\nschemas\nothers\nerrors\nabort\n",
      );
      await atRest(served);
    }, { apiKeys: [KEY] }),
});
