import assert from "node:assert/strict";
import { block } from "../core/testing/suites/index_suite.ts";
import {
  ADA,
  blockOf,
  bounded,
  eventually,
  IMPATIENT,
  openTier,
} from "./redis/testing/open_tier.ts";
import {
  freePort,
  mayListen,
  redisTest,
  TestServer,
} from "./redis/testing/server.ts";

/** Answers what arrives; "close" ends the connection, undefined says nothing. */
type Answer = (bytes: Uint8Array) => string | Uint8Array | "close" | undefined;

/** Something that listens and is no Redis server. */
class FakeTcp {
  readonly port: number;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #served: Promise<void>;

  constructor(answer: Answer, port: number = freePort()) {
    this.port = port;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port });
    this.#served = this.#serve(answer);
  }

  async #serve(answer: Answer): Promise<void> {
    const all: Promise<void>[] = [];
    for await (const conn of this.#listener) {
      this.#open.add(conn);
      all.push(this.#talk(conn, answer));
    }
    await Promise.all(all);
  }

  async #talk(conn: Deno.TcpConn, answer: Answer): Promise<void> {
    const bytes = new Uint8Array(1 << 16);
    try {
      for (;;) {
        const n = await conn.read(bytes);
        if (n === null) break;
        const said = answer(bytes.subarray(0, n));
        if (said === "close") break;
        if (said === undefined) continue;
        const out = typeof said === "string"
          ? new TextEncoder().encode(said)
          : said;
        await conn.write(out);
      }
    } catch {
      // Closed by the other side, or by the end of the test.
    }
    this.#open.delete(conn);
    try {
      conn.close();
    } catch {
      // It is.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#open) conn.close();
    await this.#served.catch(() => {});
  }
}

/** Answers a ping as it should be, so that the rest is asked for at all. */
const afterPing = (answer: Answer): Answer => (bytes) =>
  new TextDecoder().decode(bytes).includes("PING")
    ? "+PONG\r\n"
    : answer(bytes);

const once = (text: string): Answer => () => text;

const ANSWERS: Record<string, Answer> = {
  "nothing": () => undefined,
  "a closed connection": () => "close",
  "a page": once("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
  "zeros": () => new Uint8Array(5000),
  "random bytes": () => crypto.getRandomValues(new Uint8Array(5000)),
  "a number each time": once(":12345\r\n"),
  "a number that is none": once(":abc\r\n"),
  "a length without end": once("$999999999999\r\nabc"),
  "a negative length": once("$-5\r\n"),
  "half an answer": once("$10\r\nabc"),
  "too many answers": once(":1\r\n".repeat(50)),
  "lists within lists": once("*1\r\n".repeat(200)),
  "errors": once("-ERR go away\r\n".repeat(3)),
  "a push": once(">2\r\n+a\r\n+b\r\n"),
  "another value": once("$5\r\nhello\r\n"),
};

for (const [says, answer] of Object.entries(ANSWERS)) {
  for (const pings of [false, true]) {
    const when = pings ? ", pings aside" : "";
    const name = `redisOffload() takes no block out of ${says}${when}`;
    Deno.test({
      name: mayListen ? name : `${name} (needs --allow-net=127.0.0.1)`,
      ignore: !mayListen,
      fn: async () => {
        await using fake = new FakeTcp(pings ? afterPing(answer) : answer);
        await using tier = await openTier({
          url: `redis://127.0.0.1:${fake.port}`,
          waitMs: 30,
          writeMs: 30,
          connectMs: 100,
          pauseMs: 20,
        });
        for (let round = 0; round < 4; round++) {
          await bounded(tier.content.find(["a", "b", "c"], ADA));
          await bounded(tier.content.keep("a", blockOf(1), ADA));
          await bounded(tier.tier.put(block(1), blockOf(1)));
          const out = new Uint8Array(1000);
          assert.equal(await bounded(tier.content.read("a", out, ADA)), "lost");
          assert.equal(await bounded(tier.tier.get(block(1), out)), "lost");
          const part = tier.tier.slice!(block(1), 0, out);
          assert.equal(await bounded(part), "lost");
          assert.ok(out.every((b) => b === 0));
        }
        assert.ok(tier.troubles.length > 0, "nobody was told");
      },
    });
  }
}

redisTest(
  "redisOffload() comes back when a real server takes over from a false one",
  async () => {
    const port = freePort();
    const fake = new FakeTcp(ANSWERS["random bytes"]!, port);
    await using tier = await openTier({
      url: `redis://127.0.0.1:${port}`,
      ...IMPATIENT,
    });
    await bounded(tier.content.find(["a"], ADA));
    await fake[Symbol.asyncDispose]();
    await using _server = await TestServer.start({ port: String(port) });
    await eventually(async () => {
      await bounded(tier.content.keep("a", blockOf(1), ADA));
      const out = new Uint8Array(1000);
      assert.equal(await bounded(tier.content.read("a", out, ADA)), "ok");
      assert.deepEqual(out, blockOf(1));
    });
  },
);
