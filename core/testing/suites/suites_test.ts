import assert from "node:assert/strict";
import { rawCodec, rawFloats } from "../../defaults.ts";
import type {
  Admission,
  AttendKernel,
  CacheEvent,
  Codec,
  ContentStore,
  Drafter,
  Eviction,
  Layout,
  Observer,
  PrefixIndex,
  Restorer,
  Retention,
  Tier,
} from "../../slots.ts";
import type { BlockId } from "../../types.ts";
import { mapIndex, windowRetention } from "../fake_plan.ts";
import { contentTier, memoryTier } from "../memory_tier.ts";
import { toyAdmission, toyBound, toyCodec, toyRestorer } from "../toys.ts";
import { admissionLaws, admissionSuite } from "./admission_suite.ts";
import { codecLaws, codecSuite } from "./codec_suite.ts";
import { drafterLaws, drafterSuite } from "./drafter_suite.ts";
import {
  chainLaws,
  evictionLaws,
  type EvictionSubject,
  priorityLaws,
} from "./eviction_suite.ts";
import { indexLaws, indexSuite } from "./index_suite.ts";
import { kernelLaws, kernelSuite } from "./kernel_suite.ts";
import { layoutLaws } from "./layout_suite.ts";
import { observerLaws, observerSuite } from "./observer_suite.ts";
import {
  restorerLaws,
  restorerSuite,
  type RestorerWorld,
} from "./restorer_suite.ts";
import { retentionLaws, retentionSuite } from "./retention_suite.ts";
import { brokenLaws, type Law, type Make, provided } from "./suite.ts";
import { tierLaws, tierSuite } from "./tier_suite.ts";

// Subjects that pass, for slots without a plugin yet.

codecSuite("toyCodec()", toyCodec, toyBound);
tierSuite("memoryTier()", () => memoryTier(1 << 16));
tierSuite("memoryTier() that answers late", () => {
  const tier = memoryTier(1 << 16);
  tier.slow = true;
  return tier;
});
tierSuite("a tier in parts and by content", () => byContent());
admissionSuite("toyAdmission()", toyAdmission);
indexSuite("mapIndex()", mapIndex);
retentionSuite("windowRetention()", () => windowRetention(30, 4, 90));
observerSuite("an observer that writes down", () => {
  const events: CacheEvent[] = [];
  return { event: (e) => void events.push(e) };
});

drafterSuite("a drafter that repeats the first token", () => repeats());

function repeats(change: Partial<Drafter> = {}): Drafter {
  return {
    id: "d",
    most: 4,
    propose: (tokens, length, room) => {
      for (let i = 0; i < room; i++) tokens[length + i] = tokens[0]!;
      return room;
    },
    ...change,
  };
}

const WORLD: RestorerWorld = { values: 40, holds: 3 };

restorerSuite("toyRestorer()", () => toyRestorer([1], 500), WORLD);

function kernel(change: Partial<AttendKernel> = {}): AttendKernel {
  return {
    id: "k",
    backend: "reference",
    supports: (format, layer, tokens) =>
      format !== "f32"
        ? { ok: false, why: `reads "f32" only` }
        : tokens % 8 === 0
        ? { ok: true, cost: layer.headDim }
        : { ok: false, why: `blocks of ${tokens} are no multiple of 8` },
    ...change,
  };
}

kernelSuite("a kernel for blocks of 8", kernel, "f32");

// Each law is broken by somebody.

type Broken<T> = Readonly<Record<string, Make<T>>>;

/** Every subject breaks some law, and together they break all of them. */
function eachIsCaught<T>(
  slot: string,
  laws: readonly Law<T>[],
  broken: Broken<T>,
): void {
  Deno.test(`the laws of slot "${slot}" catch every broken subject, and each of them one`, async () => {
    const hit = new Set<string>();
    for (const [how, make] of Object.entries(broken)) {
      const said = await brokenLaws(laws, make);
      assert.ok(said.length > 0, `"${how}" passes`);
      said.forEach((s) => hit.add(s));
    }
    assert.deepEqual(laws.map((l) => l.says).filter((s) => !hit.has(s)), []);
  });
}

let made = 0;

eachIsCaught<Layout>("layout", layoutLaws, {
  "no name": () => ({ id: "", blockTokens: 4 }),
  "half a position": () => ({ id: "l", blockTokens: 4.5 }),
  "no position": () => ({ id: "l", blockTokens: 0 }),
  "too large": () => ({ id: "l", blockTokens: 1 << 17 }),
  "no multiple": () => ({ id: "l", blockTokens: 9, multipleOf: 4 }),
  "an alternative of nothing": () => ({
    id: "l",
    blockTokens: 8,
    alternatives: [0],
  }),
  "the same twice": () => ({ id: "l", blockTokens: 8, alternatives: [8] }),
  "another one each time": () => ({ id: "l", blockTokens: 1 + made++ }),
});

eachIsCaught<Retention>("retention", retentionLaws, {
  "sees the future": () => ({
    id: "r",
    visible: (q) => [{ start: 0, end: q + 2 }],
  }),
  "does not see itself": () => ({
    id: "r",
    visible: (q) => [{ start: 0, end: q }],
  }),
  "sees a hole": () => ({
    id: "r",
    visible: (q) =>
      q < 8 ? [{ start: 0, end: q + 1 }] : [{ start: 1, end: 2 }, {
        start: 4,
        end: 5,
      }, { start: q, end: q + 1 }],
  }),
  "brings back": () => ({
    id: "r",
    visible: (q) => [{ start: q % 100 === 99 ? 0 : q >> 1, end: q + 1 }],
  }),
  "counts its calls": () => {
    let calls = 0;
    return {
      id: "r",
      visible: (q) => [{ start: Math.max(0, q - 9 - calls++), end: q + 1 }],
    };
  },
  "has no reach": () => ({ ...windowRetention(4, 2), reach: 0 }),
});

const CODECS: Broken<Codec> = {
  "half a byte": () => ({ ...toyCodec(), bytes: (s) => rawFloats(s) + 4.5 }),
  "says it loses nothing": () => ({ ...toyCodec(), lossy: false }),
  "loses more than it states": () => ({
    ...toyCodec(),
    seal(shape, raw, out) {
      toyCodec().seal(shape, raw, out);
      for (let i = 4; i < out.length; i++) out[i]! &= 0xFE;
    },
  }),
  "zeros become something": () => ({
    ...toyCodec(),
    open(shape, sealed, raw) {
      toyCodec().open(shape, sealed, raw);
      for (let i = 0; i < raw.length; i++) raw[i]! += 1e-30;
    },
  }),
  "leaves zeros as they were": () => ({
    ...toyCodec(),
    open(shape, sealed, raw) {
      const out = new Float32Array(raw.length);
      toyCodec().open(shape, sealed, out);
      out.forEach((x, i) => void (x === 0 || (raw[i] = x)));
    },
  }),
  "leaves bytes out": () => ({
    ...toyCodec(),
    bytes: (s) => rawFloats(s) + 12,
  }),
  "remembers the last scale": () => {
    let scale = 0;
    const inner = toyCodec();
    return {
      ...inner,
      seal(shape, raw, out) {
        inner.seal(shape, raw, out);
        scale = new DataView(out.buffer, out.byteOffset).getFloat32(0, true);
      },
      open(shape, sealed, raw) {
        const mine = sealed.slice();
        new DataView(mine.buffer).setFloat32(0, scale, true);
        inner.open(shape, mine, raw);
      },
    };
  },
  "ignores where its bytes begin": () => ({
    ...rawCodec(),
    seal: (_s, raw, out) =>
      new Uint8Array(out.buffer).set(
        new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength),
      ),
  }),
  "scales what it is given": () => ({
    ...rawCodec(),
    seal(shape, raw, out) {
      raw[0]! *= 2;
      rawCodec().seal(shape, raw, out);
    },
  }),
};
eachIsCaught("codec", codecLaws(toyBound), CODECS);

const tier = (change: (t: Tier) => Partial<Tier>): Make<Tier> => () => {
  const t = memoryTier(1 << 16);
  return {
    id: t.id,
    rank: t.rank,
    capacity: t.capacity,
    put: t.put,
    get: t.get,
    drop: t.drop,
    ...change(t),
  };
};

/** A tier with all that a tier may have, and changes to its store. */
function byContent(
  change: (store: ContentStore, shelf: Map<string, Uint8Array>) => Partial<
    ContentStore
  > = () => ({}),
  slices = true,
): Tier {
  const { id, rank, capacity, put, get, drop, content, shelf, blocks } =
    contentTier("full");
  const store: ContentStore = {
    ...content!,
    read: (key, out, about) =>
      shelf.get(key)?.length === out.length
        ? content!.read(key, out, about)
        : "lost",
  };
  return {
    id,
    rank,
    capacity,
    put,
    get,
    drop,
    slice(block, at, out) {
      const bytes = blocks.get(block);
      if (bytes === undefined) return "lost";
      if (slices && at + out.length > bytes.length) return "lost";
      out.set(bytes.slice(slices ? at : 0).subarray(0, out.length));
      return "ok";
    },
    content: { ...store, ...change(store, shelf) },
  };
}

eachIsCaught<Tier>("tier", tierLaws, {
  "rank of the device": tier(() => ({ rank: 0 })),
  "no capacity": tier(() => ({ capacity: 0 })),
  "gives a block away once": tier((t) => ({
    get(block, out) {
      const found = t.get(block, out);
      t.drop(block);
      return found;
    },
  })),
  "keeps what was put first": tier((t) => ({
    put: (block, bytes) =>
      t.get(block, new Uint8Array(bytes.length)) === "ok"
        ? undefined
        : t.put(block, bytes),
  })),
  "drops nothing": tier(() => ({ drop: () => {} })),
  "drops everything": tier((t) => ({
    drop: () => {
      for (let id = 1; id < 100; id++) t.drop(id as BlockId);
    },
  })),
  "gives zeros for what it has not": tier((t) => ({
    get: (block, out) => {
      t.get(block, out);
      return "ok";
    },
  })),
  "mixes up blocks at once": tier((t) => {
    let last: Uint8Array;
    return {
      put: async (block, bytes) => {
        last = bytes;
        await undefined;
        await t.put(block, last);
      },
    };
  }),
  "writes half of what is given up": tier((t) => ({
    put: (block, bytes, signal) =>
      t.put(
        block,
        signal?.aborted ? bytes.map((b, i) => i % 2 * b) : bytes,
      ),
  })),
  "every part is the first": () => byContent(undefined, false),
  "given at some other time": () =>
    byContent(() => ({ when: "never" as "full" })),
  "finds everything": () =>
    byContent(() => ({ find: (keys) => new Uint8Array(keys.length).fill(1) })),
  "finds in another order": () =>
    byContent((store) => ({
      find: async (keys, about) => (await store.find(keys, about)).reverse(),
    })),
  "gives the last bytes of a key": () =>
    byContent((_, shelf) => ({
      keep: (key, bytes) => void shelf.set(key, bytes),
    })),
  "gives the start of a longer block": () =>
    byContent((_, shelf) => ({
      read(key, out) {
        const bytes = shelf.get(key);
        if (bytes === undefined) return "lost";
        out.set(bytes.subarray(0, out.length));
        return "ok";
      },
    })),
  "gives some bytes when it is full": () =>
    byContent((store) => {
      let kept = 0;
      return {
        keep: (key, bytes, about) =>
          store.keep(key, kept++ > 20 ? bytes.fill(0) : bytes, about),
      };
    }),
  "keeps nothing": () => byContent(() => ({ keep: () => {} })),
});

const restorer =
  (change: (r: Restorer) => Partial<Restorer>): Make<Restorer> => () => {
    const r = toyRestorer([1, 2], 500);
    return Object.defineProperties(
      Object.defineProperties({}, Object.getOwnPropertyDescriptors(r)),
      Object.getOwnPropertyDescriptors(change(r)),
    ) as Restorer;
  };

eachIsCaught<Restorer>("restore", restorerLaws(WORLD), {
  "layers in disorder": restorer(() => ({ boundaries: [2, 1] })),
  "the layer that tokens give": restorer(() => ({ boundaries: [0, 1] })),
  "no bound": restorer(() => ({ capacity: Infinity })),
  "keeps nothing": restorer(() => ({ keep: () => {} })),
  "has whatever it is asked for": restorer(() => ({ has: () => true })),
  "does not count": restorer(() => ({ used: 0 })),
  "grows without end": () => toyRestorer([1], 5000),
  "forgets what came first": restorer((r) => ({
    get: (key) => r.get(key)?.slice(),
    has: (key) => r.has(key) && key !== "k0",
  })),
  "gives a block once": restorer((r) => {
    const gone = new Set<string>();
    return {
      get: (key) => {
        if (gone.has(key)) return undefined;
        gone.add(key);
        return r.get(key);
      },
    };
  }),
  "mixes blocks up": restorer((r) => {
    let last = "";
    return {
      keep: (key, rows) => r.keep(last = key, rows),
      get: (key) => r.get(r.has(key) ? last : key),
    };
  }),
  "takes a copy, so that nobody sees what it keeps": restorer((r) => ({
    keep: (key, rows) => r.keep(key, rows.slice()),
  })),
  "overwrites what it has": () => {
    let r = toyRestorer([1], 500);
    return {
      id: "r",
      boundaries: [1],
      capacity: 500,
      get used() {
        return r.used;
      },
      keep: (key, rows) => {
        if (r.has(key)) r = toyRestorer([1], 500);
        r.keep(key, rows);
      },
      has: (key) => r.has(key),
      get: (key) => r.get(key),
    };
  },
});

eachIsCaught<AttendKernel>("kernel", kernelLaws("f32"), {
  "no name": () => kernel({ id: "" }),
  "a cost that is no number": () =>
    kernel({ supports: () => ({ ok: true, cost: NaN }) }),
  "no reason": () => kernel({ supports: () => ({ ok: false, why: "" }) }),
  "takes nothing": () =>
    kernel({ supports: () => ({ ok: false, why: "never" }) }),
  "takes anything": () => kernel({ supports: () => ({ ok: true, cost: 1 }) }),
  "asks which layer": () =>
    kernel({
      supports: (format, layer, tokens) =>
        layer.layer === 9
          ? { ok: false, why: "not there" }
          : kernel().supports(format, layer, tokens),
    }),
  "another answer each time": () =>
    kernel({ supports: () => ({ ok: true, cost: made++ }) }),
});

const guesses = (change: Partial<Drafter>): Make<Drafter> => () =>
  repeats(change);

eachIsCaught<Drafter>("draft", drafterLaws, {
  "guesses nothing ever": guesses({ most: 0 }),
  "says more than it has room for": guesses({ propose: () => 99 }),
  "writes behind its room": guesses({
    propose: (tokens, length, room) => {
      tokens.fill(1, length, length + room + 1);
      return room;
    },
  }),
  "changes the text": guesses({
    propose: (tokens) => {
      tokens[0] = 9;
      return 0;
    },
  }),
  "says it guessed and did not": guesses({ propose: (_t, _l, room) => room }),
  "goes on from the last call": guesses({
    propose: (tokens, length) => {
      tokens[length] = made++;
      return 1;
    },
  }),
  "reads what is behind": guesses({
    propose: (tokens, length, room) => tokens[length + room] === 5 ? 0 : 1,
  }),
  "allocates": guesses({
    propose: (tokens, length, room) => {
      const copy = [...tokens.slice(0, length)];
      for (let i = 0; i < room; i++) tokens[length + i] = copy[0]!;
      return room;
    },
  }),
});

const index = (
  change: (i: PrefixIndex) => Partial<PrefixIndex>,
): Make<PrefixIndex> =>
() => {
  const i = mapIndex();
  return { ...i, ...change(i) };
};
const shared = mapIndex();

eachIsCaught<PrefixIndex>("index", indexLaws, {
  "always knows something": index(() => ({ get: () => 1 as BlockId })),
  "keeps the first": index((i) => ({
    set: (key, id, c) => i.get(key) ?? i.set(key, id, c),
  })),
  "deletes nothing": index(() => ({ delete: () => {} })),
  "deletes what follows": index((i) => ({
    delete: (key) => {
      i.delete(key);
      if (key === "a") i.delete("b");
    },
  })),
  "is one for all": () => shared,
  "falls over a stranger": index(() => ({
    use: (block) => {
      if (block === 99) throw new Error("who is that");
    },
  })),
  "has no reason": index(() => ({
    why: () => ({ reason: "off", position: 0 }),
  })),
  "holds the tokens": () => {
    let held: ArrayLike<number> = [];
    const i = mapIndex();
    return {
      ...i,
      set: (key, id, c) => {
        held = c.tokens;
        i.set(key, id, c);
      },
      why: (_key, c) => ({ reason: "differs", position: c.from + held[0]! }),
    };
  },
});

const eviction = (change: Partial<Eviction>): Make<EvictionSubject> => () => {
  const order = new Set<BlockId>();
  return {
    evict: {
      touch: (block) => void order.add(block),
      forget: (block) => void order.delete(block),
      victims: () => order,
      ...change,
    },
  };
};

function stack(newest: boolean): EvictionSubject {
  let order: BlockId[] = [];
  const forget = (block: BlockId) => {
    order = order.filter((b) => b !== block);
  };
  return {
    evict: {
      touch(block) {
        forget(block);
        order.push(block);
      },
      forget,
      victims: () => newest ? order.toReversed() : order,
    },
  };
}

eachIsCaught<EvictionSubject>("evict", evictionLaws, {
  "names what is in use": eviction({ forget: () => {} }),
  "names nothing": eviction({ victims: () => [] }),
  "newest first": () => stack(true),
  "names a stranger": eviction({ victims: () => [99 as BlockId] }),
});
eachIsCaught<EvictionSubject>("evict, chains", chainLaws, {
  "by age alone": () => stack(false),
  "by youth alone": () => stack(true),
});
eachIsCaught<EvictionSubject>("evict, priorities", priorityLaws, {
  "by age alone": () => stack(false),
});

const admission = (change: Partial<Admission>): Make<Admission> => () => ({
  ...toyAdmission(),
  ...change,
});

eachIsCaught<Admission>("admission", admissionLaws, {
  "somebody twice": admission({ order: (w) => [...w, ...w] }),
  "a stranger": admission({
    order: (w) => w.map((r) => ({ ...r })),
  }),
  "sorts in place": admission({
    order: (w) => (w as unknown[]).reverse() as typeof w,
  }),
  "a stranger gives way": admission({ victim: (r) => ({ ...r[0]! }) }),
  "lets nobody in": admission({ order: () => [] }),
  "throws when served": admission({
    served: () => {
      throw new Error("no");
    },
  }),
});

const LATE = Promise.resolve();

eachIsCaught<Observer>("observe", observerLaws, {
  "waits": () => ({ event: () => LATE as unknown as void }),
  "falls over a miss": () => ({
    event: (e) => {
      if (e.type === "miss") throw new Error("what is that");
    },
  }),
  "is full after 9": () => {
    let n = 0;
    return {
      event: () => {
        if (++n > 9) throw new Error("full");
      },
    };
  },
});

Deno.test("provided() gives what a plugin provides, and says where it provides nothing", async () => {
  const layout = { id: "l", blockTokens: 4 };
  const plugin = {
    name: "p",
    setup: (host: Parameters<typeof provided>[2] & object) =>
      host.provide!("layout", layout),
  };
  assert.equal(await provided(plugin, "layout"), layout);
  await assert.rejects(
    () => provided(plugin, "codec"),
    /slot "codec" of plugin "p": it provides nothing/,
  );
});
