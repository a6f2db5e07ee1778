/**
 * How soon an engine that starts anew has the first token of a prompt whose blocks
 * another one left: on disk, in a Redis server, or in a session that is restored.
 *
 * @module
 */
import type { Plugin } from "../../core/plugin.ts";
import type { Engine } from "../../engine/engine.ts";
import { load } from "../../engine/load.ts";
import { diskOffload } from "../../plugins/disk_offload.ts";
import { pagedAttention } from "../../plugins/paged_attention.ts";
import { prefixCache } from "../../plugins/prefix_cache.ts";
import { redisOffload } from "../../plugins/redis_offload.ts";
import { median } from "../statistics.ts";
import { type Answer, answer, sameTokens } from "./answer.ts";
import type { StrategyOptions } from "./options.ts";
import { number, type Table } from "./report.ts";
import { slicesOf } from "./texts.ts";

/** Room on disk, bytes. */
const BYTES = 2 ** 31;

/** Seconds after which nothing of a benchmark is left in a server. */
const TTL_SECONDS = 600;

/** Where blocks outlive an engine. */
export type RestartTier = "disk" | "Redis" | "session";

/** The same in a table. */
const WHERE: Readonly<Record<RestartTier, string>> = {
  disk: "on disk",
  Redis: "in Redis",
  session: "in a session, its restoring counted",
};

/** One cold start and one warm. */
export interface Restart {
  readonly tier: RestartTier;
  /** Time to the first token, milliseconds. */
  readonly coldMs: number;
  readonly warmMs: number;
  /** Tokens of the prompt that the second engine did not compute. */
  readonly cached: number;
  readonly equal: boolean;
}

/** What keeps the blocks of one engine for the next. */
interface Below {
  readonly plugins: readonly Plugin[];
  /** Takes up what another engine left; timed. */
  begin?(engine: Engine): Promise<void>;
  /** Leaves it, or waits until all of it is there. */
  settle?(engine: Engine, tokens: readonly number[]): Promise<void>;
}

/**
 * Restarts in turn, in each of `options.rounds` rounds one of each tier. Nothing is
 * shared by the two engines of one but a folder in `folder`, or a prefix of names.
 */
export async function restartRuns(
  folder: string,
  prompt: number,
  options: StrategyOptions,
  tell: (line: string) => void,
): Promise<Restart[]> {
  const { redis: url, rounds } = options;
  const all: Restart[] = [];
  for (let round = 0; round < rounds; round++) {
    const makes: [RestartTier, () => Below][] = [
      ["disk", () => onDisk(`${folder}/restart-${round}`)],
    ];
    if (url !== undefined) {
      const prefix = `quire-restart-${crypto.randomUUID()}`;
      makes.push(["Redis", () => inRedis(url, prefix, tell)]);
    }
    const path = `${folder}/session-${round}.quire`;
    makes.push(["session", () => inSession(path)]);
    for (const [tier, make] of makes) {
      const one = await restart(tier, make, prompt, options, round);
      all.push(one);
      tell(
        `restart, ${tier}: ${number(one.coldMs)} ms cold, ${
          number(one.warmMs)
        } ms warm`,
      );
    }
  }
  return all;
}

function onDisk(folder: string): Below {
  const plugin = diskOffload({ folder, bytes: BYTES });
  return { plugins: [plugin], settle: () => plugin.idle() };
}

function inRedis(
  url: string,
  prefix: string,
  tell: (line: string) => void,
): Below {
  const plugin = redisOffload({
    url,
    prefix,
    ttlSeconds: TTL_SECONDS,
    required: true,
    onTrouble: (why) => tell(why.message),
  });
  // Closing the engine waits for what is under way.
  return { plugins: [plugin] };
}

function inSession(path: string): Below {
  return {
    plugins: [],
    async begin(engine) {
      // The first engine finds none.
      const there = await Deno.stat(path).then(() => true, () => false);
      if (there) await engine.restore(path);
    },
    async settle(engine, tokens) {
      await engine.save({ tokens }, path);
    },
  };
}

async function restart(
  tier: RestartTier,
  make: () => Below,
  prompt: number,
  { model, threads, data }: StrategyOptions,
  round: number,
): Promise<Restart> {
  const once = async (below: Below): Promise<Answer> => {
    await using engine = await load(model, {
      threads,
      plugins: [
        pagedAttention({ blockTokens: 64 }),
        prefixCache(),
        ...below.plugins,
      ],
    });
    const next = await slicesOf(data, engine.tokenizer);
    for (let i = 0; i < round; i++) next(prompt);
    const tokens = next(prompt);
    const warm = next(Math.min(64, prompt));
    for (let i = 0; i < 2; i++) {
      await answer(engine, { tokens: warm, maxTokens: 8 });
    }
    const started = performance.now();
    await below.begin?.(engine);
    const begun = performance.now() - started;
    const given = await answer(engine, { tokens, maxTokens: 16 });
    await below.settle?.(engine, tokens);
    return { ...given, firstMs: begun + given.firstMs };
  };
  const cold = await once(make()), warm = await once(make());
  return {
    tier,
    coldMs: cold.firstMs,
    warmMs: warm.firstMs,
    cached: warm.usage.cachedTokens,
    equal: sameTokens(cold.tokens, warm.tokens),
  };
}

/** The medians of each tier. */
export function restartTable(
  restarts: readonly Restart[],
  prompt: number,
): Table {
  const tiers = [...new Set(restarts.map((r) => r.tier))];
  return {
    title: `Time to the first token of ${prompt}, by a new engine, ms`,
    head: [
      "blocks of another",
      "cold",
      "warm",
      "cold over warm",
      "tokens found",
      "restarts",
    ],
    rows: tiers.map((tier) => {
      const own = restarts.filter((r) => r.tier === tier);
      const cold = median(own.map((r) => r.coldMs));
      const warm = median(own.map((r) => r.warmMs));
      return [
        WHERE[tier],
        number(cold),
        number(warm),
        `${number(cold / warm)}×`,
        String(Math.min(...own.map((r) => r.cached))),
        String(own.length),
      ];
    }),
  };
}
