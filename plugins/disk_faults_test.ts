import assert from "node:assert/strict";
import type { Plugin } from "../core/plugin.ts";
import { dice } from "../core/testing/cache_driver.ts";
import { runScenario } from "../core/testing/scenario.ts";
import type { DiskStore } from "./disk/store.ts";
import { localStore } from "./disk/testing/local_store.ts";
import { MemoryFiles } from "./disk/testing/memory_files.ts";
import { diskTier } from "./disk/tier.ts";
import { pagedAttention } from "./paged_attention.ts";
import { prefixCache } from "./prefix_cache.ts";
import { slidingWindow } from "./sliding_window.ts";

type Roll = (n: number) => number;

/** What happens to the files while a scenario runs. */
const FAULTS: Readonly<
  Record<string, (files: MemoryFiles, roll: Roll) => void>
> = {
  "nothing": () => {},
  "anything fails": (files, roll) => {
    files.fault = (action) => {
      if (roll(5) === 0) throw new Error(`Cannot ${action}`);
    };
  },
  "reading fails": (files, roll) => {
    files.fault = (action) => {
      if (action === "read" && roll(3) === 0) throw new Error("Cannot read");
    };
  },
  "bits flip": (files, roll) => {
    files.after = () => {
      const all = [...files.files.values()].filter((f) => f.data.length > 0);
      const { data } = all[roll(all.length)]!;
      data[roll(data.length)]! ^= 1 << roll(8);
    };
  },
  "files are cut": (files, roll) => {
    files.after = () => {
      if (roll(4) > 0) return;
      const all = [...files.files.values()];
      const file = all[roll(all.length)]!;
      file.data = file.data.slice(0, roll(file.data.length + 1));
    };
  },
  "files vanish": (files, roll) => {
    files.after = () => {
      if (roll(6) > 0) return;
      const paths = [...files.files.keys()];
      files.files.delete(paths[roll(paths.length)]!);
    };
  },
  "the disk is full": (files, roll) => {
    files.room = files.bytes + roll(60_000);
  },
  "the process is killed": (files, roll) => {
    files.killAt = files.changes + 1 + roll(40);
  },
};

function plugin(store: DiskStore, when: "full" | "leaving"): Plugin {
  return {
    name: "disk-offload",
    setup: (host) => host.provide("tier", diskTier(store, 2, when)),
  };
}

Deno.test("diskOffload() changes no token, 208 scenarios with faults on one folder", async () => {
  const roll = dice(11);
  const names = Object.keys(FAULTS);
  let files = new MemoryFiles();
  let reads = 0, lost = 0, errors = 0;
  for (let i = 0; i < 208; i++) {
    const name = names[i % names.length]!;
    // What a process that was killed has left is what the next one finds.
    files = files.next(roll(3) === 0 ? () => roll(2) === 0 : undefined);
    const store = await localStore(files);
    FAULTS[name]!(files, roll);
    const when = roll(2) === 0 ? "full" : "leaving";
    try {
      await runScenario(
        [
          pagedAttention({ blockTokens: 2 + i % 3 }),
          prefixCache({ mostBytes: 400 }),
          ...(i % 4 === 3 ? [slidingWindow({ window: 7, sinks: 2 })] : []),
          plugin(store, when),
        ],
        {
          rows: 16,
          seqs: 6,
          bytes: 1 << 16,
          tableStride: 32,
          tight: i % 5 > 2,
        },
      );
      store.check();
    } catch (cause) {
      const { message } = cause as Error;
      throw new Error(`run ${i}, ${name}: ${message}`, { cause });
    }
    const stat = store.stat();
    reads += stat.reads;
    lost += stat.lost;
    errors += stat.errors;
    await store.close();
  }
  assert.ok(
    reads > 300 && lost > 30 && errors > 30,
    `${reads} ${lost} ${errors}`,
  );
});
