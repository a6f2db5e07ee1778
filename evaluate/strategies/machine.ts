/**
 * Whether the machine does something else while it is measured.
 *
 * Needs `--allow-sys=cpus`; without it nothing is known and nobody waits.
 *
 * @module
 */
import os from "node:os";
import process from "node:process";

/** Share of all cores that other programs may use without a word about it. */
export const QUIET = 0.05;

/** Milliseconds of one look. */
const LOOK = 2000;

/** Milliseconds of all cores together. */
interface Ticks {
  readonly busy: number;
  readonly all: number;
  /** This process, all threads. */
  readonly own: number;
}

/**
 * Begins to watch. The result gives the share of all cores, 0 to 1, that others
 * used since then; undefined where the system does not tell.
 */
export function watchOthers(): () => number | undefined {
  const before = ticks();
  return () => {
    const now = ticks();
    if (before === undefined || now === undefined) return undefined;
    return shareOfOthers(before, now);
  };
}

/** See `watchOthers()`; 0 where the clocks have not moved. */
export function shareOfOthers(before: Ticks, now: Ticks): number {
  const all = now.all - before.all;
  const others = now.busy - before.busy - (now.own - before.own);
  return all > 0 ? Math.min(1, Math.max(0, others / all)) : 0;
}

/**
 * Waits until others leave the machine alone, `seconds` at most. Gives what
 * they used in the last look; undefined where the system does not tell.
 */
export async function waitQuiet(seconds: number): Promise<number | undefined> {
  const until = performance.now() + seconds * 1000;
  for (;;) {
    const others = watchOthers();
    if (others() === undefined || seconds <= 0) return undefined;
    await new Promise((resolve) => setTimeout(resolve, LOOK));
    const share = others();
    if (share === undefined || share <= QUIET) return share;
    if (performance.now() > until) return share;
  }
}

function ticks(): Ticks | undefined {
  const sys = { name: "sys", kind: "cpus" } as const;
  if (Deno.permissions.querySync(sys).state !== "granted") return undefined;
  let idle = 0, busy = 0;
  for (const { times } of os.cpus()) {
    idle += times.idle;
    busy += times.user + times.nice + times.sys + times.irq;
  }
  if (idle + busy === 0) return undefined;
  const { user, system } = process.cpuUsage();
  return { busy, all: busy + idle, own: (user + system) / 1000 };
}
