import assert from "node:assert/strict";
import type { Tier } from "../../core/slots.ts";
import { dice } from "../../core/testing/cache_driver.ts";
import { tierSuite } from "../../core/testing/suites/tier_suite.ts";
import { Books, logRoom } from "./books.ts";
import { LOG_NAME, RECORD } from "./log.ts";
import type { DiskStore } from "./store.ts";
import { diskTier } from "./tier.ts";
import { bytesOf, localStore, look } from "./testing/local_store.ts";
import { MemoryFiles } from "./testing/memory_files.ts";

const LENGTH = 9000;

/** Keeps these keys, one batch each. */
async function keep(
  store: DiskStore,
  seeds: readonly number[],
  length = LENGTH,
): Promise<void> {
  for (const seed of seeds) {
    store.keep(`k${seed}`, bytesOf(seed, length), "plan");
    await store.idle();
  }
}

async function count(
  store: DiskStore,
  seeds: readonly number[],
  length = LENGTH,
): Promise<number> {
  let there = 0;
  for (const seed of seeds) {
    if (await look(store, seed, length) === "ok") there++;
  }
  return there;
}

const TEN = Array.from({ length: 10 }, (_, i) => i);

/** A tier of which all is on disk before it is read. */
async function patientTier(): Promise<Tier> {
  const store = await localStore(new MemoryFiles(), { bytes: 2 << 20 });
  const tier = diskTier(store, 2, "full");
  return {
    ...tier,
    async put(block, bytes, signal) {
      await tier.put(block, bytes, signal);
      await store.idle();
    },
    content: {
      ...tier.content!,
      async keep(key, bytes, about) {
        await tier.content!.keep(key, bytes, about);
        await store.idle();
        store.check();
      },
    },
  };
}

tierSuite("DiskStore, once it is written,", patientTier);

Deno.test("DiskStore finds after a restart what was kept, and not what was put", async () => {
  const files = new MemoryFiles();
  const store = await localStore(files);
  await keep(store, TEN);
  store.put(1, bytesOf(77, LENGTH));
  await store.idle();
  assert.equal(await count(store, TEN), 10);
  assert.equal(await store.get(1, new Uint8Array(LENGTH)), "ok");
  store.check();
  await store.close();

  const again = await localStore(files);
  assert.deepEqual([...await again.find(["k3", "k11", "k9"])], [1, 0, 1]);
  assert.equal(await count(again, TEN), 10);
  assert.equal(await again.get(1, new Uint8Array(LENGTH)), "lost");
  again.check();
  assert.equal(again.stat().blocks, 10);
  await again.close();
});

Deno.test("DiskStore keeps the order of use over a restart", async () => {
  const files = new MemoryFiles();
  const store = await localStore(files, { bytes: 1 << 20 });
  const size = 100_000;
  await keep(store, [1, 2, 3, 4, 5, 6, 7, 8], size);
  assert.equal(await look(store, 1, size), "ok");
  await store.close();
  const again = await localStore(files, { bytes: 1 << 20 });
  await keep(again, [20, 21], size);
  assert.equal(again.stat().evicted, 1);
  assert.equal(await look(again, 1, size), "ok");
  assert.equal(await look(again, 2, size), "lost");
  await again.close();
});

Deno.test("DiskStore answers from the queue before anything is written", async () => {
  const files = new MemoryFiles();
  const store = await localStore(files);
  store.keep("k1", bytesOf(1, LENGTH), "plan");
  store.put(5, bytesOf(2, LENGTH));
  const out = new Uint8Array(LENGTH), part = new Uint8Array(50);
  assert.equal(store.read("k1", out, "plan"), "ok");
  assert.deepEqual(out, bytesOf(1, LENGTH));
  assert.equal(store.get(5, part, 8000), "ok");
  assert.deepEqual(part, bytesOf(2, LENGTH).subarray(8000, 8050));
  assert.equal(store.stat().writtenBytes, 0);
  store.drop(5);
  assert.equal(store.get(5, part, 8000), "lost");
  await store.idle();
  assert.equal(store.stat().writtenBytes, LENGTH);
  store.check();
  await store.close();
});

Deno.test("DiskStore forgets what its queue has no room for", async () => {
  const store = await localStore(new MemoryFiles(), { queue: 20_000 });
  for (const seed of TEN) store.keep(`k${seed}`, bytesOf(seed, LENGTH), "plan");
  assert.equal(store.stat().forgotten, 8);
  await store.idle();
  assert.equal(await count(store, TEN), 2);
  await store.close();
});

Deno.test("DiskStore does not take a key's block for that of another plan", async () => {
  const store = await localStore(new MemoryFiles());
  store.keep("k1", bytesOf(1, LENGTH), "plan");
  assert.equal(await look(store, 1, LENGTH, "another"), "lost");
  await store.idle();
  assert.equal(await look(store, 1, LENGTH), "ok");
  assert.equal(await look(store, 1, LENGTH, "another"), "lost");
  await store.close();
});

Deno.test("DiskStore gives what is whole or nothing, 200 random bits flipped", async () => {
  const files = new MemoryFiles();
  const store = await localStore(files);
  await keep(store, TEN);
  await store.close();
  const roll = dice(7);
  let lost = 0;
  for (let i = 0; i < 200; i++) {
    const hurt = files.next();
    const paths = [...hurt.files.keys()].filter((p) => !p.endsWith("lock"));
    const { data } = hurt.files.get(paths[roll(paths.length)]!)!;
    data[roll(data.length)]! ^= 1 << roll(8);
    const after = await localStore(hurt);
    lost += 10 - await count(after, TEN);
    after.check();
    await keep(after, [100]);
    assert.equal(await look(after, 100, LENGTH), "ok");
    await after.close();
  }
  assert.ok(lost > 100, `${lost} lost`);
});

Deno.test("DiskStore gives what is whole or nothing when files are cut anywhere", async () => {
  const files = new MemoryFiles();
  const store = await localStore(files);
  await keep(store, TEN);
  await store.close();
  const roll = dice(8);
  for (let i = 0; i < 100; i++) {
    const hurt = files.next();
    const paths = [...hurt.files.keys()];
    const file = hurt.files.get(paths[roll(paths.length)]!)!;
    file.data = file.data.slice(0, roll(file.data.length + 1));
    const after = await localStore(hurt);
    await count(after, TEN);
    after.check();
    await keep(after, TEN);
    assert.equal(await count(after, TEN), 10);
    await after.close();
  }
});

Deno.test("DiskStore notices damage that comes while it runs", async () => {
  const files = new MemoryFiles();
  const store = await localStore(files);
  await keep(store, TEN);
  const path = [...files.files.keys()].find((p) => p.endsWith(".seg"))!;
  const { data } = files.files.get(path)!;
  data.fill(0, 5 * 4096, 6 * 4096);
  assert.equal(await count(store, TEN), 9);
  data.fill(0, 0, 4096);
  assert.equal(await count(store, TEN), 9, "files that are open stay so");
  data.fill(0);
  assert.equal(await count(store, TEN), 0);
  assert.equal(store.stat().lost, 10);
  assert.deepEqual([...await store.find(["k1"])], [0]);
  await keep(store, TEN);
  assert.equal(await count(store, TEN), 10);
  store.check();
  await store.close();
});

/** Keeps, puts and drops so that every kind of write happens. */
async function busy(files: MemoryFiles): Promise<void> {
  const store = await localStore(files, { bytes: 1 << 20, patience: 50 });
  for (let i = 0; i < 24; i++) {
    const length = i < 12 ? 60_000 : 130_000;
    store.keep(`k${i}`, bytesOf(i, length), "plan");
    store.put(i % 4, bytesOf(1000 + i, 30_000));
    if (i % 3 === 0) store.drop(i % 4);
    await store.idle();
    assert.ok(files.bytes <= 1 << 20, `${files.bytes} bytes`);
  }
  await store.close();
}

const BUSY = Array.from({ length: 24 }, (_, i) => i);

async function countBusy(store: DiskStore): Promise<number> {
  return await count(store, BUSY.slice(0, 12), 60_000) +
    await count(store, BUSY.slice(12), 130_000);
}

Deno.test("DiskStore killed at any write, cut, rename or sync is whole afterwards", async () => {
  const whole = new MemoryFiles();
  await busy(whole);
  assert.ok(whole.changes > 80, `${whole.changes} changes`);
  let found = 0;
  for (let at = 1; at <= whole.changes; at += 2 + at % 3) {
    const files = new MemoryFiles();
    files.killAt = at;
    await busy(files).catch(() => {});
    const after = await localStore(files.next());
    found += await countBusy(after);
    after.check();
    await keep(after, [101, 102]);
    assert.equal(await count(after, [101, 102]), 2);
    await after.close();
  }
  assert.ok(found > whole.changes / 3, `${found} found`);
});

Deno.test("DiskStore finds after a power cut what it said it had, and nothing wrong", async () => {
  const roll = dice(3);
  for (let i = 0; i < 40; i++) {
    const files = new MemoryFiles();
    const store = await localStore(files);
    await keep(store, TEN);
    const after = await localStore(files.next(() => roll(2) === 0));
    for (const seed of TEN) {
      const [said] = await after.find([`k${seed}`]);
      const is = await look(after, seed, LENGTH);
      assert.equal(is, said === 1 ? "ok" : "lost", `key ${seed}`);
    }
    await after.close();
    await store.close();
  }
});

Deno.test("DiskStore on a full disk forgets, says so, pauses and reads on", async () => {
  const files = new MemoryFiles();
  const notes: string[] = [];
  const store = await localStore(files, { onNote: (n) => notes.push(n) });
  await keep(store, TEN);
  files.room = files.bytes;
  await keep(store, [20, 21, 22, 23, 24]);
  assert.equal(notes.length, 2, notes.join("\n"));
  assert.match(notes[0]!, /Cannot write to "\/f": No space left/);
  assert.match(notes[1]!, /nothing is written for a minute/);
  assert.equal(store.stat().errors, 3);
  assert.equal(store.stat().forgotten, 5);
  assert.equal(await count(store, TEN), 10);
  assert.equal(await count(store, [20, 21, 22, 23, 24]), 0);
  store.check();
  await store.close();
  files.room = Infinity;
  const again = await localStore(files);
  assert.equal(await count(again, TEN), 10);
  await again.close();
});

Deno.test("DiskStore gives a file up that is not what it should be, or gone", async () => {
  for (const hurt of ["head", "gone"]) {
    const files = new MemoryFiles();
    const store = await localStore(files);
    await keep(store, TEN);
    store.put(1, bytesOf(50, LENGTH));
    await store.idle();
    const path = [...files.files.keys()].find((p) => p.endsWith(".seg"))!;
    if (hurt === "gone") files.files.delete(path);
    else files.files.get(path)!.data.fill(0, 0, 4096);
    assert.equal(await count(store, TEN), 0);
    assert.equal(store.get(1, new Uint8Array(LENGTH)), "lost");
    assert.equal(store.stat().lost, 1);
    await keep(store, TEN);
    assert.equal(await count(store, TEN), 10);
    assert.equal(files.files.has(path), false);
    store.check();
    await store.close();
  }
});

Deno.test("DiskStore writes on after a failure, over the half that was written", async () => {
  // Room for nothing of a slot, for half of it, for it and half of its record.
  for (const room of [0, 5000, 16_384 + 20]) {
    const files = new MemoryFiles();
    const store = await localStore(files);
    await keep(store, TEN);
    files.room = files.bytes + room;
    await keep(store, [20]);
    assert.equal(store.stat().errors, 1);
    files.room = Infinity;
    await keep(store, [21, 22]);
    store.check();
    const after = await localStore(files.next());
    assert.equal(await count(after, [...TEN, 21, 22]), 12, `room ${room}`);
    await after.close();
    await store.close();
  }
});

Deno.test("DiskStore whose files cannot be read has lost them, and hangs on nothing", async () => {
  const files = new MemoryFiles();
  const store = await localStore(files);
  await keep(store, TEN);
  files.fault = (action, path) => {
    if (path.endsWith(".seg")) throw new Error(`Cannot ${action}`);
  };
  assert.equal(await count(store, TEN), 0);
  files.fault = () => {};
  await keep(store, TEN);
  assert.equal(await count(store, TEN), 10);
  await store.close();
});

Deno.test("DiskStore starts anew where the log is of another version, and keeps to its bytes", async () => {
  const files = new MemoryFiles();
  const store = await localStore(files);
  await keep(store, TEN);
  await store.close();
  files.files.get(`/f/${LOG_NAME}`)!.data[16]! ^= 3;
  const after = await localStore(files);
  assert.equal(await count(after, TEN), 0);
  await after.idle();
  assert.deepEqual(
    [...files.files.keys()].sort(),
    ["/f/index.log", "/f/lock"],
  );
  await after.close();
});

Deno.test("DiskStore given fewer bytes than before forgets the oldest", async () => {
  const files = new MemoryFiles();
  const store = await localStore(files, { bytes: 4 << 20 });
  const size = 150_000;
  const seeds = Array.from({ length: 20 }, (_, i) => i);
  await keep(store, seeds, size);
  assert.equal(await count(store, seeds, size), 20);
  await store.close();
  const after = await localStore(files, { bytes: 1 << 20 });
  await after.idle();
  assert.ok(files.bytes <= 1 << 20, `${files.bytes} bytes`);
  after.check();
  await keep(after, [50], size);
  assert.equal(await look(after, 50, size), "ok");
  await after.close();
});

Deno.test("DiskStore leaves files alone that are not its own", async () => {
  const files = new MemoryFiles();
  for (const name of ["notes.txt", "0-1.seg", "07-4.seg", "x-4.seg", "a.new"]) {
    files.open(`/f/${name}`, "create").write(0, bytesOf(1, 10));
  }
  const store = await localStore(files);
  await keep(store, TEN);
  await store.close();
  for (const name of ["notes.txt", "0-1.seg", "07-4.seg", "x-4.seg", "a.new"]) {
    assert.deepEqual(files.files.get(`/f/${name}`)!.data, bytesOf(1, 10));
  }
});

Deno.test("DiskStore beside another on one folder reads what that has, as it comes", async () => {
  const files = new MemoryFiles();
  const notes: string[] = [];
  const first = await localStore(files, { by: "process 12" });
  await keep(first, [1, 2]);
  const second = await localStore(files, { onNote: (n) => notes.push(n) });
  assert.match(notes.join(), /Reading only: "\/f" is written to by process 12/);
  assert.equal(second.stat().role, "reader");
  assert.equal(second.capacity, 0);
  assert.equal(await count(second, [1, 2, 3]), 2);
  second.keep("k9", bytesOf(9, LENGTH), "plan");
  second.put(1, bytesOf(9, LENGTH));
  assert.equal(second.get(1, new Uint8Array(LENGTH)), "lost");
  await keep(first, [3, 4]);
  assert.deepEqual([...await second.find(["k3", "k4", "k9"])], [1, 1, 0]);
  assert.equal(await count(second, [1, 2, 3, 4]), 4);
  // The log is written anew when the first closes, and again by a third.
  assert.equal(await look(first, 1, LENGTH), "ok");
  await first.close();
  const third = await localStore(files);
  assert.equal(third.stat().role, "writer");
  await keep(third, [5]);
  assert.deepEqual([...await second.find(["k5", "k2"])], [1, 1]);
  assert.equal(await count(second, [1, 2, 3, 4, 5]), 5);
  await third.close();
  await second.close();
});

Deno.test("DiskStore that reads never takes a slot's new block for the old one", async () => {
  const files = new MemoryFiles();
  const first = await localStore(files, { bytes: 1 << 20 });
  const size = 150_000;
  await keep(first, [1, 2, 3, 4, 5, 6], size);
  const second = await localStore(files, { bytes: 1 << 20 });
  assert.equal(await count(second, [1, 2, 3], size), 3);
  await keep(first, [11, 12, 13], size);
  assert.equal(await count(second, [1, 2, 3, 11], size), 0);
  await second.find(["k11"]);
  assert.equal(await count(second, [4, 5, 6, 11, 12, 13], size), 6);
  await second.close();
  await first.close();
});

Deno.test("DiskStore that reads begins anew with a log that has become shorter", async () => {
  const files = new MemoryFiles();
  const first = await localStore(files);
  await keep(first, TEN);
  const second = await localStore(files);
  const path = [...files.files.keys()].find((p) => p.endsWith(".seg"))!;
  files.files.get(path)!.data.fill(0, 3 * 4096);
  assert.equal(await count(first, TEN), 0);
  await first.close();
  const third = await localStore(files);
  await keep(third, [11]);
  assert.deepEqual([...await second.find(["k11", "k1"])], [1, 0]);
  assert.equal(await count(second, [11]), 1);
  await third.close();
  await second.close();
});

Deno.test("DiskStore writes its log anew when it has grown", async () => {
  const files = new MemoryFiles();
  const store = await localStore(files);
  const seeds = Array.from({ length: 700 }, (_, i) => i);
  await keep(store, seeds, 30_000);
  const log = files.files.get(`/f/${LOG_NAME}`)!.data.length;
  assert.ok(log < 700 * RECORD / 2, `${log} bytes`);
  const there = await count(store, seeds, 30_000);
  assert.ok(there > 20, `${there} are there`);
  await store.close();
  const again = await localStore(files);
  assert.equal(await count(again, seeds, 30_000), there);
  await again.close();
});

Deno.test("DiskStore.close() writes what waits, and refuses what comes later", async () => {
  const files = new MemoryFiles();
  const store = await localStore(files);
  for (const seed of TEN) store.keep(`k${seed}`, bytesOf(seed, LENGTH), "plan");
  const closed = store.close();
  store.keep("k50", bytesOf(50, LENGTH), "plan");
  await closed;
  await store.close();
  assert.equal(await look(store, 1, LENGTH), "lost");
  const again = await localStore(files);
  assert.equal(await count(again, [...TEN, 50]), 10);
  await again.close();
});

Deno.test("DiskStore does as a Map does, but for what it forgets, at random", async () => {
  for (const seed of [1, 2, 3, 4]) {
    const roll = dice(seed);
    let files = new MemoryFiles();
    const quota = 1 << 20;
    let store = await localStore(files, { bytes: quota, queue: 600_000 });
    const numbered = new Map<number, number>();
    const lengths = [5000, 30_000, 90_000];
    let got = 0, names = 0;
    for (let step = 0; step < 800; step++) {
      const i = roll(40), length = lengths[i % 3]!;
      const out = new Uint8Array(length);
      switch (roll(9)) {
        case 0:
        case 1:
          store.keep(`k${i}`, bytesOf(i, length), "plan");
          break;
        case 2: {
          numbered.set(i, ++names);
          store.put(i, bytesOf(1000 + names, length));
          break;
        }
        case 3:
          store.drop(i);
          numbered.delete(i);
          break;
        case 4:
        case 5:
          if (await look(store, i, length) === "ok") got++;
          break;
        case 6: {
          const at = roll(length - 10);
          const part = out.subarray(0, roll(length - at));
          if (await store.get(i, part, at) !== "ok") break;
          got++;
          const wanted = bytesOf(1000 + numbered.get(i)!, length);
          assert.deepEqual(part, wanted.subarray(at, at + part.length));
          break;
        }
        case 7:
          await store.idle();
          break;
        default:
          if (roll(12) > 0) break;
          if (roll(2) === 0) await store.close();
          files = files.next();
          store = await localStore(files, { bytes: quota, queue: 600_000 });
          numbered.clear();
      }
      store.check();
      assert.ok(files.bytes <= quota, `${files.bytes} bytes`);
    }
    assert.ok(got > 30, `${got} read`);
    await store.close();
  }
});

Deno.test("Books never take what was put by number to make room", () => {
  const books = new Books(1 << 20);
  const length = 100_000;
  const blocks = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map((i) => ({
    key: String(i).padStart(64, "0"),
    print: "",
    length,
    keyed: i % 2 === 0,
    bytes: undefined,
    segment: undefined,
    slot: -1,
    stored: false,
    gone: false,
  }));
  const taken = blocks.filter((b) => {
    if (!books.take(b)) return false;
    if (b.keyed) books.keyed.set(b.key, b);
    books.written(b);
    books.check();
    return true;
  });
  assert.ok(taken.length > 9);
  assert.ok(taken.every((b) => b.keyed || !b.gone));
  assert.ok(taken.some((b) => b.gone));
});

Deno.test("logRoom() is a small part of any quota", () => {
  for (const quota of [1 << 20, 2 ** 30, 2 ** 31, 10 * 2 ** 30, 2 ** 45]) {
    assert.ok(logRoom(quota) >= 1 << 14);
    assert.ok(logRoom(quota) <= quota / 64);
    assert.ok(quota < 2 ** 30 || logRoom(quota) >= 1 << 24);
  }
});
