/**
 * Where tests find a server: the one they are told, the one that
 * `tools/fetch_redis.ts` fetched, or that of the system.
 *
 * @module
 */
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Where a server is put that was fetched. */
export const FETCHED: string = fileURLToPath(
  new URL("../../../.tmp/bin/redis-server", import.meta.url),
);

/** Paths of servers that are there, the one to be taken first. */
export function findServers(): string[] {
  const own = Deno.env.get("QUIRE_REDIS_SERVER");
  const folders = (Deno.env.get("PATH") ?? "").split(delimiter);
  const paths = folders.map((folder) => join(folder, "redis-server"));
  return [...own ? [own] : [], FETCHED, ...paths].filter((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}
