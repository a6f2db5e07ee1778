/**
 * Bugs to plant: each has to be caught by the tests it names.
 *
 * @module
 */

/** One planted bug. */
export interface Mutant {
  /** What is wrong with it. */
  readonly name: string;
  /** The file, from the root. */
  readonly file: string;
  /** Stands there exactly once. */
  readonly find: string;
  readonly replace: string;
  /** Test files of which one has to fail; small and fast ones. */
  readonly tests: readonly string[];
}

const CACHE = ["core/cache_test.ts"];
const LAWS = ["core/cache_laws_test.ts"];
const RANDOM = ["plugins/random_cache_test.ts"];
const PREFIX = ["plugins/prefix_cache_test.ts"];
const WINDOW = ["plugins/sliding_window_test.ts"];
const SCHEDULER = ["core/scheduler_test.ts"];
const FAMILIES = ["core/families_test.ts"];
const DRAFTING = ["core/drafting_test.ts"];
const LIMITS = ["core/limits_test.ts"];
const HOSTILE = ["core/hostile_test.ts"];
const CONTENTS = ["core/contents_test.ts"];
const ARRIVAL = ["core/arrival_test.ts"];
const SPILL = ["core/spill_test.ts"];
const SWAP = ["core/swap_test.ts"];
const SEALED = ["core/sealed_cache_test.ts"];
const ROUNDING = ["core/rounding_test.ts"];
const TIER_CODECS = ["core/tier_codecs_test.ts"];
const CODEC_PLAN = ["core/codec_plan_test.ts"];
const PLACES = ["core/block_places_test.ts"];
const DISK = ["plugins/disk/store_test.ts"];
const LOOKUP = ["plugins/prompt_lookup_test.ts"];
const REDIS = ["plugins/redis/store_test.ts"];
const FAIR = ["plugins/fair_share_test.ts"];
const KEPT = ["core/kept_prefix_test.ts"];

const CHECKPOINTS = ["core/checkpoints_test.ts"];
const HOST_ROWS = ["plugins/checkpointing_test.ts"];
const SWEEPS = ["core/sweep_test.ts"];
const MADE = ["engine/architectures_test.ts"];
const FUZZ = ["tools/fuzz/fuzz_test.ts"];

const QUOTED = ["models/tokenizer/quoted_test.ts", "engine/prompt_test.ts"];
const SERVED = ["server/app_test.ts"];
const OPERATED = ["server/operations_test.ts"];
const CALLS = ["server/tools/call_reader_test.ts"];
const DECODING = ["models/dequantise_test.ts"];
const KERNELS = ["engine/kernels_test.ts"];
const ROUNDED = ["engine/quantize_test.ts"];

/** All of them. */
export const MUTANTS: readonly Mutant[] = [
  // Blocks and tables.
  {
    name: "a tail that two share is written to without a copy",
    file: "core/reserve.ts",
    find: "if (store.refs(tail) > 1) {",
    replace: "if (store.refs(tail) > 2) {",
    tests: CACHE,
  },
  {
    name: "a step without room leaves its first sequence as it is",
    file: "core/reserve.ts",
    find: "for (let k = i; k >= 0; k--) undo(",
    replace: "for (let k = i; k > 0; k--) undo(",
    tests: [...CACHE, ...LAWS],
  },
  {
    name: "a sealed tail stays findable while it is written to",
    file: "core/block_store.ts",
    find: "    this.sealed--;\n    this.unname(id);",
    replace: "    this.sealed--;",
    tests: CACHE,
  },
  {
    name: "a window lets go one block early",
    file: "core/block_table.ts",
    find: "const end = Math.min(Math.floor(start / shape.tokens), this.count);",
    replace:
      "const end = Math.min(Math.ceil(start / shape.tokens), this.count);",
    tests: CACHE,
  },
  {
    name: "a block that is sink in part is let go",
    file: "core/block_table.ts",
    find:
      "    const kept = Math.ceil(sight.sink(length) / shape.tokens);\n    const end",
    replace:
      "    const kept = Math.floor(sight.sink(length) / shape.tokens);\n    const end",
    tests: CACHE,
  },
  {
    name: "sinks that come into sight again are let go",
    file: "core/block_table.ts",
    find: "    this.#kept = 0x7fffffff;\n    if (this.hashed",
    replace: "    if (this.hashed",
    tests: WINDOW,
  },
  {
    name: "a fork or trim does not look for the sinks",
    file: "core/block_table.ts",
    find: "const wanted = b >= from || (b >= first && b < kept);",
    replace: "const wanted = b >= from;",
    tests: [...LAWS, ...RANDOM],
  },
  {
    name: "a shorter fork goes on from the longer one's digest",
    file: "core/block_table.ts",
    find:
      "if (other.hashed > Math.floor(length / this.#group.shape.tokens)) return;",
    replace: "",
    tests: PREFIX,
  },
  {
    name: "a trimmed sequence goes on from its old digest",
    file: "core/block_table.ts",
    find: "if (this.hashed > Math.floor(length / tokens)) this.hashed = 0;",
    replace: "",
    tests: CACHE,
  },
  {
    name: "a block in use is evicted where the eviction names it",
    file: "core/block_store.ts",
    find:
      "if (this.#refs[id] === 0 && this.#keys[id] !== undefined) return id;",
    replace: "if (this.#keys[id] !== undefined) return id;",
    tests: HOSTILE,
  },
  {
    name: "an index that is wrong is believed",
    file: "core/block_store.ts",
    find: "if (id === undefined || this.#keys[id] !== key) return 0;",
    replace: "if (id === undefined) return 0;",
    tests: CACHE,
  },
  // Steps.
  {
    name: "wrong guesses are kept",
    file: "core/reservations.ts",
    find: "Math.min(s.pending, kept[i]!)",
    replace: "s.pending",
    tests: DRAFTING,
  },
  {
    name: "a window slides as far as wrong guesses went",
    file: "core/reservations.ts",
    find: "table.slide(Math.max(0, s.length - this.#slack));",
    replace: "table.slide(Math.max(0, s.length + 1 - this.#slack));",
    tests: CACHE,
  },
  {
    name: "slack is not kept",
    file: "core/reservations.ts",
    find: "table.slide(Math.max(0, s.length - this.#slack));",
    replace: "table.slide(s.length);",
    tests: CACHE,
  },
  {
    name: "a cancelled step keeps its blocks",
    file: "core/reservations.ts",
    find: "for (const table of s.tables) table.drop();",
    replace: "",
    tests: CACHE,
  },
  {
    name: "a row's turned back position is left out",
    file: "core/fill.ts",
    find: "backs[r] = sight.back(positions[r]!);",
    replace: "backs[r] = 0;",
    tests: ["core/fill_test.ts", ...RANDOM],
  },
  {
    name: "the reach is one position longer",
    file: "core/sight.ts",
    find: "return query - (this.reach - 1);",
    replace: "return query - this.reach;",
    tests: WINDOW,
  },
  // Content addresses.
  {
    name: "tenants share by content",
    file: "core/content_key.ts",
    find: "`${this.#name}/${salt}`",
    replace: "`${this.#name}`",
    tests: PREFIX,
  },
  {
    name: "a key says its own block only, not what is before it",
    file: "core/content_key.ts",
    find: "this.#input.set(digest);",
    replace: "",
    tests: [...LAWS, ...RANDOM],
  },
  {
    name: "two groups have the same keys",
    file: "core/content_key.ts",
    find: "this.#name = `${fingerprint}/${group}`;",
    replace: "this.#name = `${fingerprint}/${group - group}`;",
    tests: RANDOM,
  },
  {
    name: "a hit takes the last token",
    file: "core/prefix.ts",
    find: "Math.floor((prompt.length - 1) / step)",
    replace: "Math.floor(prompt.length / step)",
    tests: CACHE,
  },
  {
    name: "a hit does without its sinks",
    file: "core/prefix.ts",
    find: "(kept === 0 || runs[kept - 1]! >= kept - first)",
    replace: "true",
    tests: HOSTILE,
  },
  {
    name: "a miss names the block before",
    file: "core/prefix.ts",
    find: "const from = block * tokens;",
    replace: "const from = Math.max(0, block - 1) * tokens;",
    tests: PREFIX,
  },
  {
    name: "a hit looks nowhere behind a gap that a window does not see",
    file: "core/prefix.ts",
    find: "if (ids[b] === 0 && sight.full && !below) break;",
    replace: "if (ids[b] === 0 && !below) break;",
    tests: WINDOW,
  },
  // The scheduler.
  {
    name: "a sibling shares the last token, whose logits it wants",
    file: "core/admit.ts",
    find: "const most = Math.min(a.length, s.length - 1);",
    replace: "const most = Math.min(a.length, s.length);",
    tests: FAMILIES,
  },
  {
    name: "a sibling does not wait for the prompt",
    file: "core/admit.ts",
    find: 'if (relative.computed < Math.min(common, s.forkAt)) return "wait";',
    replace: "",
    tests: FAMILIES,
  },
  {
    name: "a sibling takes shared rows for those it wants",
    file: "core/admit.ts",
    find: "if (s.seq !== undefined || !mayReuse(s)) return undefined;",
    replace: "if (s.seq !== undefined) return undefined;",
    tests: FAMILIES,
  },
  {
    name: "the watermark is ignored",
    file: "core/admit.ts",
    find: "bytes + growth + watermark - cache.available",
    replace: "bytes + growth - cache.available",
    tests: LIMITS,
  },
  {
    name: "tenants have no salt",
    file: "core/admit.ts",
    find: "salt: saltOf(request),",
    replace: 'salt: "",',
    tests: ["plugins/tenants_test.ts"],
  },
  {
    name: "the oldest gives way like any other",
    file: "core/preemption.ts",
    find: "this.#running.filter((s) => s !== oldest)",
    replace: "this.#running.slice()",
    tests: SCHEDULER,
  },
  {
    name: "a deadline is over a step late",
    file: "core/scheduler.ts",
    find: "(s.request.deadline ?? Infinity) <= now",
    replace: "(s.request.deadline ?? Infinity) < now",
    tests: LIMITS,
  },
  {
    name: "guesses that were right are not counted as tokens",
    file: "core/scheduler.ts",
    find: "s.length += accepted;",
    replace: "",
    tests: DRAFTING,
  },
  {
    name: "what rests does not give way to who waits",
    file: "core/scheduler.ts",
    find: "if (resting === undefined || !this.#somebodyWaits()) return",
    replace: "if (resting === undefined || this.#running.length > 0) return",
    tests: FAMILIES,
  },
  {
    name: "an abort in a step that fails is forgotten",
    file: "core/scheduler.ts",
    find:
      '      const s = this.#plan.entries[i]!.state;\n      if (s.leaving === "aborted") this.#end(s, "aborted");',
    replace: "",
    tests: LIMITS,
  },
  {
    name: "the end of a request leaves its sequence",
    file: "core/scheduler.ts",
    find: "if (seq !== undefined) this.#cache.close(seq);",
    replace: "",
    tests: SCHEDULER,
  },
  {
    name: "guesses go one beyond the last token",
    file: "core/step_plan.ts",
    find: "const left = s.request.maxTokens - s.produced - 1;",
    replace: "const left = s.request.maxTokens - s.produced;",
    tests: DRAFTING,
  },
  {
    name: "guesses take the wanted rows of others",
    file: "core/step_plan.ts",
    find: "maxRows, maxWanted - prompts)",
    replace: "maxRows, maxRows)",
    tests: DRAFTING,
  },
  {
    name: "guesses leave no rows to prompts",
    file: "core/step_plan.ts",
    find: "prompts > 0 ? maxRows >> 1 : maxRows",
    replace: "maxRows",
    tests: DRAFTING,
  },
  {
    name: "more rows than may be wanted",
    file: "core/step_plan.ts",
    find: "first - s.computed + left);",
    replace: "first - s.computed + maxWanted);",
    tests: SCHEDULER,
  },
  {
    name: "forks are counted without the block that both write to",
    file: "core/peak.ts",
    find: "Math.floor(shared / shape.tokens) : 0;",
    replace: "Math.ceil(shared / shape.tokens) : 0;",
    tests: LIMITS,
  },
  // Swapping.
  {
    name: "a swap takes blocks from under others",
    file: "core/swap.ts",
    find: "if (store.refs(id) === 1) yield id;",
    replace: "yield id;",
    tests: SWAP,
  },
  {
    name: "a block that a tier lost is taken as it lies there",
    file: "core/tiers.ts",
    find: 'if (found !== "ok") return this.#lose(id, place, store);',
    replace: "",
    tests: SWAP,
  },
  {
    name: "making room pushes out what is about to come",
    file: "core/adopt.ts",
    find: "const bytes = store.contents.view(-1 - id, key);",
    replace: "const bytes = undefined;",
    tests: ["plugins/cpu_offload_test.ts"],
  },
  {
    name: "the block that a tier lost is counted as there",
    file: "core/swap.ts",
    find: "if (!await store.tiers.get(id, store)) whole = b * tokens;",
    replace: "if (!await store.tiers.get(id, store)) whole = (b + 1) * tokens;",
    tests: CONTENTS,
  },
  {
    name: "a block whose bytes never came is kept for others",
    file: "core/block_store.ts",
    find: "if (this.#keys[id] === undefined || this.isAway(id)) {",
    replace: "if (this.#keys[id] === undefined) {",
    tests: CONTENTS,
  },
  {
    name: "blocks of a hit are used for ever",
    file: "core/adopt.ts",
    find: "for (const id of kept) store.release(id);",
    replace: "",
    tests: CONTENTS,
  },
  {
    name: "what the device gives up goes nowhere",
    file: "core/block_store.ts",
    find: "this.contents.leaving(id, this.#keys[id]!, this);",
    replace: "",
    tests: CONTENTS,
  },
  {
    name: "everybody waits for blocks on their way",
    file: "core/scheduler.ts",
    find: "s.coming = !all && this.#cache.isComing(s.seq!);",
    replace: "s.coming = false;",
    tests: ARRIVAL,
  },
  {
    name: "a spilled block is looked for in another's place",
    file: "core/spill.ts",
    find: "return (block % blocks) * bytes + 1;",
    replace: "return ((block + 1) % blocks) * bytes + 1;",
    tests: SPILL,
  },
  {
    name: "a step forgets the last segment of what spilled",
    file: "core/spill.ts",
    find: "segments = Math.max(segments, Math.floor(last / r.blocks) + 1);",
    replace: "segments = Math.max(segments, Math.floor(last / r.blocks));",
    tests: SPILL,
  },
  // Codecs.
  {
    name: "a block that wrong guesses filled keeps its sealed place",
    file: "core/block_table.ts",
    find: "if (length % this.#group.shape.tokens !== 0) this.#unpromise();",
    replace: "",
    tests: SEALED,
  },
  {
    name: "a cancelled step keeps the sealed place of its tail",
    file: "core/block_table.ts",
    find: "    this.#unpromise();\n  }\n\n  /** Whether it ends",
    replace: "  }\n\n  /** Whether it ends",
    tests: SEALED,
  },
  {
    name: "a fork or trim goes on in a block that was sealed",
    file: "core/block_table.ts",
    find: "return length % tokens !== 0 &&",
    replace: "return length < 0 &&",
    tests: [...SEALED, ...ROUNDING],
  },
  {
    name: "blocks that are to stay open are sealed",
    file: "core/reserve.ts",
    find: "return Math.max(keepFirst, Math.floor(s.length / shape.tokens));",
    replace:
      "return Math.max(keepFirst - keepFirst, Math.floor(s.length / shape.tokens));",
    tests: SEALED,
  },
  {
    name: "a step asks for its sealed places only when it takes them",
    file: "core/reserve.ts",
    find: "bytes += blocks * slotBytes + sealed * sealedBytes;",
    replace: "bytes += blocks * slotBytes;",
    tests: SEALED,
  },
  {
    name: "a sealed block keeps its open place",
    file: "core/block_store.ts",
    find: "      this.places.giveOpen(id, group);\n      this.#forms",
    replace: "      this.#forms",
    tests: SEALED,
  },
  {
    name: "idle sealed blocks count as open ones",
    file: "core/block_store.ts",
    find:
      "return (this.isCoded(id) ? sealed[group]! : open[group]!).slotBytes;",
    replace:
      "return (this.isAway(id) ? sealed[group]! : open[group]!).slotBytes;",
    tests: SEALED,
  },
  {
    name: "blocks that are to stay open are rounded",
    file: "core/block_store.ts",
    find: "} else if (rounds && index >= keepFirst) {",
    replace: "} else if (rounds && index >= 0) {",
    tests: ROUNDING,
  },
  {
    name: "a batch does not say how many blocks it seals",
    file: "core/fill.ts",
    find: "if (places[base + b] !== 0) seals++;",
    replace: "",
    tests: SEALED,
  },
  {
    name: "guesses go beyond a block that is to be rounded",
    file: "core/step_plan.ts",
    find: "Math.min(drafter.most, spare, left, end - s.length);",
    replace: "Math.min(drafter.most, spare, left, end);",
    tests: ROUNDING,
  },
  {
    name: "prompts go beyond a block that is to be rounded",
    file: "core/step_end.ts",
    find: "(Math.floor(at / tokens) + 1) * tokens",
    replace: "(Math.floor(at / tokens) + 2) * tokens",
    tests: ROUNDING,
  },
  {
    name: "the largest a sealed sequence takes leaves out what a step fills",
    file: "core/peak.ts",
    find: "(before - raw + filled) * sealed",
    replace: "(before - raw) * sealed",
    tests: SEALED,
  },
  {
    name: "two codecs that keep more or fewer blocks have one fingerprint",
    file: "core/groups.ts",
    find: "actual.codec.keepFirst ?? 0,",
    replace: "0,",
    tests: CODEC_PLAN,
  },
  {
    name: "what is taken off before coding is not in the fingerprint",
    file: "core/groups.ts",
    find: "group[0]!.key + centresKey(codec, layers);",
    replace: "group[0]!.key + centresKey(codec, []);",
    tests: CODEC_PLAN,
  },
  {
    name: "a codec gets the first blocks there are, too small",
    file: "core/group_codec.ts",
    find: "const blockTokens = fused.find(large) ?? fused[0]",
    replace: "const blockTokens = fused[0]",
    tests: CODEC_PLAN,
  },
  {
    name: "open blocks are coded for a tier, positions that nobody wrote too",
    file: "core/tier_bytes.ts",
    find: "if (codec === undefined || !store.isSealed(id)) return undefined;",
    replace: "if (codec === undefined) return undefined;",
    tests: TIER_CODECS,
  },
  {
    name: "what a lossy tier gave back is found by others",
    file: "core/reservations.ts",
    find: "if (this.#plan.index === undefined || s.altered) {",
    replace: "if (this.#plan.index === undefined) {",
    tests: TIER_CODECS,
  },
  // Moving blocks.
  {
    name: "blocks move under a step",
    file: "core/block_places.ts",
    find: "if (this.pins > 0 || memory.slide === undefined) return false;",
    replace: "if (memory.slide === undefined) return false;",
    tests: PLACES,
  },
  {
    name: "sealed blocks are not where they were moved to",
    file: "core/block_places.ts",
    find: "for (const at of [this.#openAt, this.#sealedAt]) {",
    replace: "for (const at of [this.#openAt]) {",
    tests: PLACES,
  },
  {
    name: "only the first part of a block moves to another slab",
    file: "core/block_places.ts",
    find: "          this.#memory.copy(old[part++]!, span);",
    replace: "          if (part === 0) this.#memory.copy(old[part++]!, span);",
    tests: PLACES,
  },
  {
    name: "free space behind what slides is not joined",
    file: "core/heap.ts",
    find: "      this.#free.remove(after);\n      this.#join(free, after);",
    replace: "",
    tests: ["core/heap_test.ts"],
  },
  {
    name: "a slab is emptied into itself",
    file: "core/pool.ts",
    find: "    this.#unlink(sparse);\n    let moves",
    replace: "    let moves",
    tests: ["core/pool_test.ts"],
  },
  // Plugins.
  {
    name: "eviction takes heads before tails",
    file: "plugins/prefix_cache/eviction.ts",
    find: "const last = tail(entry, needed);",
    replace: "const last: Entry | undefined = entry;",
    tests: PREFIX,
  },
  {
    name: "eviction takes what is worth most first",
    file: "plugins/prefix_cache/eviction.ts",
    find: "sort((a, b) => a - b)",
    replace: "sort((a, b) => b - a)",
    tests: PREFIX,
  },
  {
    name: "a head is worth less than what needs it",
    file: "plugins/prefix_cache/index.ts",
    find: "e = e.parent\n",
    replace: "e = undefined\n",
    tests: PREFIX,
  },
  {
    name: "a tail forgets a head that comes back",
    file: "plugins/prefix_cache/index.ts",
    find: "if (entry.children.size > 0) this.#orphans.set(",
    replace: "if (entry.children.size > 9999) this.#orphans.set(",
    tests: PREFIX,
  },
  {
    name: "what is there again counts as evicted later",
    file: "plugins/prefix_cache/index.ts",
    find: "    this.#lost.delete(key);\n    for",
    replace: "    for",
    tests: ["plugins/prefix_cache/index_test.ts"],
  },
  {
    name: "a window sees one position more",
    file: "plugins/sliding_window.ts",
    find: "const start = Math.max(0, q + 1 - window);",
    replace: "const start = Math.max(0, q - window);",
    tests: WINDOW,
  },
  {
    name: "a window has one sink less",
    file: "plugins/sliding_window.ts",
    find: "end: Math.min(sinks, start) }",
    replace: "end: Math.min(sinks - 1, start) }",
    tests: WINDOW,
  },
  {
    name: "prompt lookup writes behind its room",
    file: "plugins/prompt_lookup.ts",
    find: "const count = Math.min(room, longest);",
    replace: "const count = longest;",
    tests: LOOKUP,
  },
  {
    name: "prompt lookup takes the first match for the best",
    file: "plugins/prompt_lookup.ts",
    find: "if (n <= longest) continue;",
    replace: "if (longest > 0) continue;",
    tests: LOOKUP,
  },
  {
    name: "newcomers have the time before to catch up on",
    file: "plugins/fair_share.ts",
    find: "this.#served.set(tenant, least);",
    replace: "this.#served.set(tenant, 0);",
    tests: FAIR,
  },
  {
    name: "weights divide nothing",
    file: "plugins/fair_share.ts",
    find: "before + rows / this.#weight(tenant)",
    replace: "before + rows",
    tests: FAIR,
  },
  {
    name: "a tenant's whole queue goes first",
    file: "plugins/fair_share.ts",
    find: "ahead.get(tenant)! + this.#cost(request!)",
    replace: "ahead.get(tenant)!",
    tests: FAIR,
  },
  {
    name: "a centre is not put back when a block is opened",
    file: "plugins/kv/codec.ts",
    find: "x + centre[head * headDim + d]!",
    replace: "x",
    tests: ["plugins/kv/codec_test.ts"],
  },
  {
    name: "codes of INT8 reach -128",
    file: "plugins/kv/scales.ts",
    find: "Math.max(least, Math.min(most, roundHalfEven(x)))",
    replace: "Math.max(least - 1, Math.min(most, Math.floor(x)))",
    tests: ["plugins/kv/scales_test.ts", "plugins/kv/int8_test.ts"],
  },
  {
    name: "groups of V share the first one's step",
    file: "plugins/kv/int4_token.ts",
    find: "tokens * headDim / 2 + group * run + p * 2",
    replace: "tokens * headDim / 2 + p * 2",
    tests: ["plugins/kv/int4_token_test.ts", "engine/sealed_kernels_test.ts"],
  },
  {
    name: "a layer's whole loss is counted in 8 bits",
    file: "plugins/kv/choose.ts",
    find: "all > 0 ? int8 * loss / all",
    replace: "all > 0 ? loss",
    tests: ["plugins/kv/choose_test.ts"],
  },
  // Sessions.
  {
    name: "a block that is copied in makes one before it give way",
    file: "core/kept_prefix.ts",
    find: "return victim !== 0 && !this.#planted.has(victim);",
    replace: "return victim !== 0;",
    tests: KEPT,
  },
  {
    name: "a part of a window counts as saved",
    file: "core/kept_prefix.ts",
    find: "if (groups.some((g) => !g.sight.full)) return 0;",
    replace: "",
    tests: KEPT,
  },
  {
    name: "blocks that are copied are one tenant's for ever",
    file: "core/kept_prefix.ts",
    find: "salted ? chain.key(anyones) : key",
    replace: "key",
    tests: KEPT,
  },
  {
    name: "a block that came rounded may be written on",
    file: "core/block_store.ts",
    find: "      ? ROUNDED\n      : RAW;",
    replace: "      ? RAW\n      : RAW;",
    tests: KEPT,
  },
  {
    name: "what a session says is read whatever its checksum is",
    file: "engine/session_format.ts",
    find: "!await read(rest) || view.getUint32(36, true) !== crc32(rest)",
    replace: "!await read(rest)",
    tests: ["engine/session_format_test.ts"],
  },
  {
    name: "a text that goes on is drawn from the seed's first numbers",
    file: "engine/random.ts",
    find: "Math.imul(drawn, 0x9e3779b9)",
    replace: "Math.imul(0, drawn)",
    tests: ["engine/random_test.ts"],
    // Redis.
  },
  {
    name: "a value of another name is taken",
    file: "plugins/redis/frame.ts",
    find: 'if (value[12 + i] !== owner[i]) return "broken";',
    replace: "",
    tests: ["plugins/redis/frame_test.ts"],
  },
  {
    name: "the block is not in the checksum",
    file: "plugins/redis/frame.ts",
    find: "crc32(value.subarray(HEADER), crc32(value.subarray(0, CRC_AT)))",
    replace: "crc32(value.subarray(0, CRC_AT))",
    tests: ["plugins/redis/frame_test.ts"],
  },
  {
    name: "salts have no names of their own",
    file: "plugins/redis/names.ts",
    find: "return `${prefix}:${model}:${saltName(salt)}:`;",
    replace: "return `${prefix}:${model}:${saltName(salt && prefix)}:`;",
    tests: ["plugins/redis/names_test.ts"],
  },
  {
    name: "failures at the same time count each",
    file: "plugins/redis/breaker.ts",
    find: "if (asked < this.#lastFailure) return false;",
    replace: "",
    tests: ["plugins/redis/breaker_test.ts"],
  },
  {
    name: "the wait for Redis does not grow with what it saves",
    file: "plugins/redis/store.ts",
    find: "return waitMs + waitMsPerKiToken * tokens / 1024;",
    replace: "return waitMs + waitMsPerKiToken * tokens * 0;",
    tests: REDIS,
  },
  {
    name: "blocks are found that cannot be read",
    file: "plugins/redis/store.ts",
    find: 'if (keys.length === 0 || !this.#asker.asks("read")) return there;',
    replace: "if (keys.length === 0) return there;",
    tests: REDIS,
  },
  {
    name: "a connection goes on after nonsense",
    file: "plugins/redis/asker.ts",
    find: "(opens || link === writes || error instanceof Nonsense)",
    replace: "(opens || link === writes)",
    tests: REDIS,
  },
  {
    name: "a block that is put again keeps its name",
    file: "plugins/redis/swap.ts",
    find: "name: this.#prefix + ++this.#count,",
    replace: "name: this.#prefix + block,",
    tests: ["plugins/redis/swap_test.ts"],
  },
  {
    name: "pages in Redis of a block that was refused in part stay",
    file: "plugins/redis/swap.ts",
    find: "if (error instanceof Refused) {",
    replace: "if (error instanceof Nonsense) {",
    tests: ["plugins/redis/swap_test.ts"],
  },
  {
    name: "an answer of Redis with other than the pages asked for is believed",
    file: "plugins/redis/swap.ts",
    find: "!Array.isArray(values) || values.length !== names.length ||",
    replace: "!Array.isArray(values) ||",
    tests: ["plugins/redis/swap_test.ts"],
  },
  {
    name: "a last page in Redis of another length is taken",
    file: "plugins/redis/pages.ts",
    find: "|| block.length !== bytes",
    replace: "",
    tests: ["plugins/redis/pages_test.ts"],
  },
  {
    name: "a part of a page in Redis starts where the page does",
    file: "plugins/redis/pages.ts",
    find: "block.subarray(from - start, to - start)",
    replace: "block.subarray(0, to - from)",
    tests: ["plugins/redis/pages_test.ts"],
  },
  // Disk.
  {
    name: "a block from disk is not summed up",
    file: "plugins/disk/io.ts",
    find: "if (all && !format.whole(head, sum)) return false;",
    replace: "if (all && !format.whole(head, sum)) sum = 0;",
    tests: DISK,
  },
  {
    name: "a record follows the half of another",
    file: "plugins/disk/io.ts",
    find: "log.write(logBytes, bytes);",
    replace: "log.write(log.size(), bytes);",
    tests: DISK,
  },
  {
    name: "blocks are named before they are synced",
    file: "plugins/disk/io.ts",
    find: "for (const file of written) file.sync();",
    replace: "",
    tests: DISK,
  },
  {
    name: "a reader goes on in a log that is another",
    file: "plugins/disk/io.ts",
    find: "if (!same) return { from: 0, bytes: all(file) };",
    replace: "if (!same && from === 0) return { from: 0, bytes: all(file) };",
    tests: DISK,
  },
  {
    name: "reads count as no use",
    file: "plugins/disk/books.ts",
    find: "this.keyed.delete(used.key);\n    this.keyed.set(used.key, used);",
    replace: "",
    tests: DISK,
  },
  {
    name: "a slot that was not written stays taken",
    file: "plugins/disk/writes.ts",
    find: "if (!failed.stored) this.#forget(failed);",
    replace: "if (!failed.stored) this.#books.drop(failed);",
    tests: DISK,
  },
  {
    name: "bytes that come too late are given",
    file: "plugins/disk/reads.ts",
    find: "if (given.has(one) || !to.includes(one)) return;",
    replace: "if (!to.includes(one)) return;",
    tests: ["plugins/disk/reads_test.ts"],
  },
  {
    name: "pages of a part are taken as they are",
    file: "plugins/disk/slot.ts",
    find: "if (w[i++] !== crc(data.subarray(at, at + PAGE))) return false;",
    replace: "if (w[i++] === 1) return false;",
    tests: ["plugins/disk/slot_test.ts"],
  },
  // Weights that stream.
  {
    name: "slots are counted as one when layers are placed",
    file: "plugins/weight_offload/choose.ts",
    find: "    depth * slotBytes;",
    replace: "    slotBytes;",
    tests: ["plugins/weight_offload_test.ts"],
  },
  {
    name: "a longer pause takes no more slots",
    file: "plugins/weight_offload/choose.ts",
    find: "pause = Math.max(pause, run);",
    replace: "pause = run;",
    tests: ["plugins/weight_offload_test.ts"],
  },
  {
    name: "a plan may stream a layer twice",
    file: "core/place_weights.ts",
    find: "layer > (streamed[i - 1] ?? -1)",
    replace: "layer >= (streamed[i - 1] ?? -1)",
    tests: ["core/place_weights_test.ts"],
  },
  {
    name: "all streamed layers are looked for in one slot",
    file: "wasm/load.ts",
    find: "slots + k % depth * slotBytes",
    replace: "slots + 0 * (k % depth * slotBytes)",
    tests: ["wasm/streaming_test.ts"],
  },
  {
    name: "a file that changed is read on",
    file: "wasm/feeder.ts",
    find: "for (const i of used) check(files[i]!);",
    replace: "used;",
    tests: ["wasm/streaming_test.ts"],
  },
  {
    name: "a step whose layers did not come in counts as done",
    file: "wasm/backend.ts",
    find: "if (feeders?.failed) throw await feeders.failure();",
    replace: "",
    tests: ["wasm/streaming_test.ts"],
  },
  // Hidden states.
  {
    name: "checkpoint: a block is gathered from its middle on",
    file: "core/checkpoints.ts",
    find: "      if (at === 0) {",
    replace: "      if (at >= 0) {",
    tests: CHECKPOINTS,
  },
  {
    name: "checkpoint: a key is of the text that was asked for before",
    file: "core/checkpoints.ts",
    find: "      if (text[i] !== tokens[i]) keys.length = 0;",
    replace: "",
    tests: CHECKPOINTS,
  },
  {
    name: "checkpoint: rows of wrong guesses are kept",
    file: "core/checkpoints.ts",
    find: "const rows = Math.min(s.pending, kept?.[i] ?? s.pending);",
    replace: "const rows = s.pending;",
    tests: CHECKPOINTS,
  },
  {
    name: "checkpoint: rows that have changed are given back",
    file: "plugins/checkpointing.ts",
    find: "if (sumOf(kept.rows) !== kept.sum) {",
    replace: "if (kept.rows.length === 0) {",
    tests: HOST_ROWS,
  },
  {
    name: "sweep: a part counts blocks of the whole step as its own",
    file: "core/fill.ts",
    find: "const full = Math.floor(end / shape.tokens);",
    replace: "const full = Math.floor((s.length + s.pending) / shape.tokens);",
    tests: SWEEPS,
  },
  {
    name: "sweep: wanted rows are counted through all parts",
    file: "core/step_plan.ts",
    find: "if (of > part) wanted = 0;",
    replace: "",
    tests: SWEEPS,
  },
  // Safetensors.
  {
    name: "safetensors: a hole between tensors is nobody's business",
    file: "models/safetensors/header.ts",
    find: "if (offset !== end) {",
    replace: "if (offset < end) {",
    tests: ["models/safetensors/header_test.ts"],
  },
  {
    name: "safetensors: of a key that is there twice the last counts",
    file: "models/safetensors/json.ts",
    find: "if (keys.has(key)) return key;",
    replace: "",
    tests: ["models/safetensors/header_test.ts"],
  },
  {
    name: "safetensors: an index may name files anywhere",
    file: "models/safetensors/folder.ts",
    find: "!/^[^\\\\/:\\p{Cc}\\p{Zl}\\p{Zp}]+\\.safetensors$/iu.test(file)",
    replace: "!/\\.safetensors$/i.test(file)",
    tests: ["models/safetensors_test.ts"],
  },
  {
    name: "safetensors: keys that nobody knows are skipped",
    file: "models/safetensors/metadata.ts",
    find: "  config.checkAllAsked();",
    replace: "",
    tests: ["models/safetensors/metadata_test.ts"],
  },
  {
    name: "safetensors: norms less 1 stay as they are stored",
    file: "models/safetensors/tensors.ts",
    find: "name.norm && normsLessOne ? { ...info, plus: 1 } : info",
    replace: "name.norm && normsLessOne ? info : info",
    tests: ["engine/hub_models_test.ts"],
  },
  {
    name: "safetensors: heads turn as GGUF's do",
    file: "models/safetensors/metadata.ts",
    find: 'style: "halves"',
    replace: 'style: "neighbours"',
    tests: ["engine/hub_models_test.ts"],
  },
  {
    name: "safetensors: the first space comes behind every special token",
    file: "models/tokenizer/sentencepiece.ts",
    find: "return start && ",
    replace: "return first && ",
    tests: ["models/safetensors/tokenizer_test.ts"],
  },
  // Architectures.
  {
    name: "dense: the gate of a fused projection is its second half",
    file: "models/arch/mod.ts",
    find: "const [gate, up] = together",
    replace: "const [up, gate] = together",
    tests: MADE,
  },
  {
    name: "dense: long factors serve the first context too",
    file: "models/arch/rope.ts",
    find: "context > originalContext(meta) ? long : short",
    replace: "context >= originalContext(meta) ? long : short",
    tests: MADE,
  },
  {
    name: "dense: blocks of both sets of factors have one name",
    file: "models/arch/mod.ts",
    find: "? `${fingerprint}:${factors}`",
    replace: "? fingerprint",
    tests: MADE,
  },
  {
    name: "dense: YaRN begins its ramp at a whole turn too early",
    file: "models/arch/rope.ts",
    find: "Math.floor(pair(fast))",
    replace: "Math.floor(pair(fast)) - 1",
    tests: MADE,
  },
  {
    name: "dense: the kernels cap scores as if they were of base e",
    file: "wasm/program.ts",
    find: "f32((layer.attnCap ?? 0) * Math.LOG2E)",
    replace: "f32(layer.attnCap ?? 0)",
    tests: MADE,
  },
  {
    name: "dense: the kernels scale nothing that is added",
    file: "wasm/program.ts",
    find: "after = vector(post);\n    scale = residualScale;",
    replace: "after = vector(post);\n    scale = 1;",
    tests: MADE,
  },
  {
    name: "dense: queries turned back have the magnitude twice",
    file: "core/reference/forward.ts",
    find: "const turn = { ...layer.rope, magnitude: 1 };",
    replace: "const turn = layer.rope;",
    tests: ["core/reference/sinks_test.ts"],
  },
  {
    name: "dense: a merge whose left side is a comma is not found",
    file: "models/tokenizer/merger.ts",
    find: `key.indexOf('","', 3)`,
    replace: `key.indexOf('","')`,
    tests: ["models/tokenizer/merger_test.ts"],
  },
  {
    name: "salts of adapters and of tenants may be one",
    file: "core/adapters.ts",
    find: "tenant.startsWith(MARK) ? MARK + MARK + tenant : tenant",
    replace: "tenant",
    tests: ["core/adapters_test.ts"],
  },
  {
    name: "adapters of sequences before the first that has any stay",
    file: "core/adapters.ts",
    find: "if (!batch.active) batch.scales.fill(0, 0, i * batch.count);",
    replace: "",
    tests: ["core/adapters_test.ts"],
  },
  {
    name: "forks compute without their adapters",
    file: "core/cache.ts",
    find: "made.adapters = s.adapters;",
    replace: "",
    tests: ["engine/lora_forks_test.ts"],
  },
  {
    name: "rows of q and k stay as they were trained",
    file: "models/lora/fit.ts",
    find: "if (rope.style === style) return undefined;",
    replace: "if (rope.style) return undefined;",
    tests: ["models/lora/mod_test.ts"],
  },
  {
    name: "all patterns are of names",
    file: "models/lora/peft_config.ts",
    find: "repeats <= 3",
    replace: "repeats <= 30",
    tests: ["models/lora/mod_test.ts"],
  },
  {
    name: "an output with its own rows is scaled by others",
    file: "wasm/lora.ts",
    find: "this.#add(this.places.adapted, pick, own.length);",
    replace: "this.#add(this.places.adapted, 0, own.length);",
    tests: ["wasm/lora_test.ts"],
  },
  {
    name: "a restored session has no adapters",
    file: "engine/session_restore.ts",
    find:
      "salt: saltOf({ tenant, adapters: engine.adapters.set({ adapters }) }),",
    replace: "salt: tenant,",
    tests: ["engine/lora_session_test.ts"],
  },
  {
    name: "blocks in sessions are anyone's, whatever their adapters",
    file: "core/kept_prefix.ts",
    find: "open = anyonesSalt(this.#salt)",
    replace: 'open = ""',
    tests: ["engine/lora_session_test.ts"],
  },
  // Files that are broken: what the fuzzer has to find within its short run.
  {
    name: "fuzz: a tensor may end beyond the file",
    file: "models/gguf/tensors.ts",
    find: "if (offset + bytes > file.size) {",
    replace: "if (offset > file.size) {",
    tests: FUZZ,
  },
  {
    name: "fuzz: tensors may overlap",
    file: "models/gguf/tensors.ts",
    find: "for (let i = 1; i < sorted.length; i++) {",
    replace: "for (let i = 1; i < 1; i++) {",
    tests: FUZZ,
  },
  {
    name: "fuzz: a header may go on beyond the file",
    file: "models/gguf/source.ts",
    find: "if (!(end <= this.size)) {",
    replace: "if (Number.isNaN(end)) {",
    tests: FUZZ,
  },
  {
    name: "fuzz: a matrix may have another width than the model",
    file: "models/arch/shapes.ts",
    find: "info.inputs !== inputs || info.outputs !== outputs ||",
    replace: "info.outputs !== outputs ||",
    tests: FUZZ,
  },
  {
    name: "fuzz: tokens may be of kinds that there are not",
    file: "models/tokenizer/vocabulary.ts",
    find: "if (kind < 0 || kind > TOKEN.BYTE) {",
    replace: "if (kind < 0) {",
    tests: FUZZ,
  },
  {
    name: "fuzz: a head may have any number of values",
    file: "models/arch/mod.ts",
    find: "if (headDim > MAX_HEAD) {",
    replace: "if (headDim > 2 ** 53) {",
    tests: ["models/arch/mod_test.ts"],
  },
  {
    name: "inspect: working memory takes nothing",
    file: "cli/inspection/fit.ts",
    find: "if (weights + working + sizes.leastKv <= limit) {",
    replace: "if (weights + sizes.leastKv <= limit) {",
    tests: ["cli/inspect_test.ts"],
  },
  {
    name: "inspect: every expert computes every token",
    file: "cli/inspection/types.ts",
    find: "experts.used / experts.count",
    replace: "experts.count / experts.count",
    tests: ["cli/inspect_test.ts"],
  },
  {
    name: "inspect: bytes of what is not read count up to the end of the file",
    file: "models/gguf/tensors.ts",
    find: "const next = starts.find((start) => start > from) ?? end;",
    replace: "const next = end;",
    tests: ["cli/inspect_test.ts"],
  },
  {
    name: "fuzz: a session's text may be longer than the file",
    file: "engine/session_format.ts",
    find: "if (at > size || length > MOST_TEXT || positions > count) {",
    replace: "if (positions > count) {",
    tests: FUZZ,
  },
  // The server.
  {
    name: "prompt: a control token in two halves is read as one",
    file: "models/tokenizer/quoted.ts",
    find: "if (tails.has(text.slice(0, end))) out.add(0);",
    replace: "",
    tests: QUOTED,
  },
  {
    name: "prompt: what users say is given to the template as it is",
    file: "engine/prompt.ts",
    find: "const quote = (text: string): string => tokenizer.quote(text);",
    replace: "const quote = (text: string): string => text;",
    tests: QUOTED,
  },
  {
    name: "server: a stream that is left goes on",
    file: "server/stream.ts",
    find: "cancel: close,",
    replace: "",
    tests: SERVED,
  },
  {
    name: "server: details of our own faults are told",
    file: "server/errors.ts",
    find: 'new ApiError(500, "Something went wrong inside of the server", {',
    replace: "new ApiError(500, String(error), {",
    tests: SERVED,
  },
  {
    name: "server: keys are known by how they begin",
    file: "server/keys.ts",
    find: "for (let b = 0; b < want.length; b++) differs",
    replace: "for (let b = 0; b < 0; b++) differs",
    tests: OPERATED,
  },
  {
    name: "server: users of two keys are one",
    file: "server/slots.ts",
    find: "return this.#slots.get(tenant)?.get(id);",
    replace: "return [...this.#slots.values()][0]?.get(id);",
    tests: OPERATED,
  },
  {
    name: "server: names of sessions lead anywhere",
    file: "server/slots.ts",
    find: "if (!/^[\\w-][\\w.-]{0,99}$/.test(name)) {",
    replace: 'if (name === "") {',
    tests: OPERATED,
  },
  {
    name: "server: a model that is in use is put to sleep",
    file: "server/models.ts",
    find: "if (this.#uses > 0) {\n      throw",
    replace: "if (this.#uses > 99) {\n      throw",
    tests: OPERATED,
  },
  {
    name: "server: a call ends at the first brace",
    file: "server/tools/call_reader.ts",
    find: 'else if (c === "{" || c === "[") this.#depth++;',
    replace: 'else if (c === "{" || c === "[") this.#depth = 1;',
    tests: CALLS,
  },
  // Weight types, and weights that are rounded when they are read.
  {
    name: "weights: the eighth sign of a vector is that of the seven",
    file: "models/dequantise/grids.ts",
    find: "return signs | (odd & 1) << 7;",
    replace: "return signs | (~odd & 1) << 7;",
    tests: DECODING,
  },
  {
    name: "weights: a book is multiplied by the other one's lower bits",
    file: "wasm/books.ts",
    find: "bytes[at + 32 + code] = (v + 128) & 15;",
    replace: "bytes[at + 32 + code] = (v + 127) & 15;",
    tests: KERNELS,
  },
  {
    name: "weights: halves round to zero",
    file: "models/quantise.ts",
    find: "(size % 1 >= 0.5 ? 1 : 0)",
    replace: "(size % 1 > 0.5 ? 1 : 0)",
    tests: ["models/quantise_test.ts"],
  },
  {
    name: "weights: rounded ones have the name of those they were",
    file: "models/quantise_at_load.ts",
    find: "return { ...spec, id: sha256Text(`${spec.id} as ${to}`), tensors };",
    replace: "return { ...spec, tensors };",
    tests: ["models/quantise_at_load_test.ts"],
  },
  {
    name: "weights: exact runs do not round what is asked to be",
    file: "wasm/kernels.ts",
    find: "return as ?? (exact ? undefined : KERNELS[type].via);",
    replace: "return exact ? undefined : as ?? KERNELS[type].via;",
    tests: ROUNDED,
  },
  {
    name: "weights: the last panel, where it lacks rows, moves those before it",
    file: "wasm/task_reader.ts",
    find: "const to = w + r / 8 * each;",
    replace: "const to = w + r / task.rows * task.packed;",
    tests: ["wasm/backend_test.ts"],
  },
  {
    name: "weights: nothing is added to a vector on the CPU",
    file: "wasm/task_reader.ts",
    find: "if (plus !== undefined) {",
    replace: "if (plus === 0) {",
    tests: ["wasm/plus_test.ts"],
  },
  {
    name: "fuzz: a stored tensor may be longer than its shape",
    file: "models/safetensors/header.ts",
    find: "if (to - from !== wanted) {",
    replace: "if (to - from < wanted) {",
    tests: FUZZ,
  },
  {
    name: "fuzz: an adapter may be of another model",
    file: "models/lora/fit.ts",
    find: "if (a.columns !== inputs || b.rows !== outputs) {",
    replace: "if (a.columns !== inputs) {",
    tests: FUZZ,
  },
];
