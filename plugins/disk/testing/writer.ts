/**
 * A process that keeps blocks until it is killed, and says what is on disk.
 *
 *     deno run --allow-read --allow-write plugins/disk/testing/writer.ts FOLDER BYTES LENGTH FIRST
 *
 * @module
 */

// deno-lint-ignore-file no-console
import { provided } from "../../../core/testing/suites/suite.ts";
import { diskOffload } from "../../disk_offload.ts";
import { bytesOf } from "./local_store.ts";

const [folder, bytes, length, first] = Deno.args;
const plugin = diskOffload({ folder: folder!, bytes: Number(bytes) });
const tier = await provided(plugin, "tier");
const about = { salt: "", tokens: 16, fingerprint: "plan" };
for (let i = Number(first);; i++) {
  await tier.content!.keep(`k${i}`, bytesOf(i, Number(length)), about);
  tier.put(1 as never, bytesOf(i, 5000));
  await plugin.idle();
  console.log(`${i}`);
}
