import assert from "node:assert/strict";
import { join } from "node:path";
import { cacheFolder, type Platform } from "./cache_folder.ts";

const on = (os: Platform["os"], vars: Record<string, string>): string =>
  cacheFolder({ os, env: (name) => vars[name] });

Deno.test("cacheFolder() lets QUIRE_HOME win, then XDG_CACHE_HOME", () => {
  const all = { QUIRE_HOME: "/a", XDG_CACHE_HOME: "/b", HOME: "/c" };
  assert.equal(on("linux", all), "/a");
  assert.equal(on("linux", { ...all, QUIRE_HOME: "" }), "/b/quire");
  assert.equal(on("darwin", { ...all, QUIRE_HOME: "" }), "/b/quire");
});

Deno.test("cacheFolder() follows the platform", () => {
  assert.equal(on("linux", { HOME: "/h" }), "/h/.cache/quire");
  assert.equal(on("darwin", { HOME: "/h" }), "/h/Library/Caches/quire");
  assert.equal(on("windows", { LOCALAPPDATA: "/l" }), join("/l", "quire"));
  assert.equal(
    on("windows", { USERPROFILE: "/u" }),
    join("/u", "AppData", "Local", "quire"),
  );
});

Deno.test("cacheFolder() says what to set when nothing says where home is", () => {
  assert.throws(() => on("linux", {}), /QUIRE_HOME/);
});
