import assert from "node:assert/strict";
import { parseAddress, withoutPassword } from "./address.ts";

Deno.test("parseAddress() reads all parts, and knows what to do without", () => {
  const at = parseAddress("rediss://ada:s%40crets@cache.example:7000/3");
  assert.deepEqual(
    [at.host, at.port, at.tls, at.database, at.username, at.password()],
    ["cache.example", 7000, true, 3, "ada", "s@crets"],
  );
  const plain = parseAddress("redis://10.0.0.7");
  assert.deepEqual(
    [plain.host, plain.port, plain.tls, plain.database],
    ["10.0.0.7", 6379, false, 0],
  );
  assert.equal(plain.username, undefined);
  assert.equal(plain.password(), undefined);
  assert.equal(parseAddress("redis://[::1]:7000/").host, "::1");
  assert.equal(parseAddress("redis://:%zz@h").password(), "%zz");
});

Deno.test("parseAddress() shows no login, however an address is printed", () => {
  const at = parseAddress("redis://ada:sesame@host:7000/3");
  assert.equal(at.shown, "redis://host:7000/3");
  for (const text of [Deno.inspect(at), JSON.stringify(at), String(at)]) {
    assert.ok(!text.includes("sesame"), text);
  }
  assert.equal(
    withoutPassword("AUTH sesame failed, sesame", at),
    "AUTH *** failed, ***",
  );
  assert.equal(withoutPassword("a", parseAddress("redis://host")), "a");
});

Deno.test("parseAddress() refuses what is no address, without its login", () => {
  for (
    const [url, why] of [
      ["", /no URL/],
      ["host:6379", /scheme is "host"|no URL/],
      ["http://ada:sesame@host", /its scheme is "http"/],
      ["redis://", /no host|no URL/],
      ["redis://ada:sesame", /no URL/],
      ["redis:ada:sesame@host", /no host/],
      ["redis://ada:sesame@host:99999", /no URL/],
      ["redis://ada:ses@me:sesame@host:x/sesame", /no URL/],
      ["redis://:sesame@host/one", /its database/],
      ["redis://:sesame@host/123456", /its database/],
      ["redis://:sesame@host/?a=b", /goes on/],
    ] as const
  ) {
    assert.throws(() => parseAddress(url), (e: Error) => {
      assert.ok(e instanceof TypeError);
      assert.match(e.message, /^Cannot use Redis/);
      assert.match(e.message, why);
      assert.ok(!/sesame|:ses/.test(e.message), e.message);
      return true;
    }, url);
  }
});
