/**
 * Compiles what plugins contribute into one frozen plan, which is all the
 * running engine reads.
 *
 * @module
 */
import type { Backend, SlabLayout } from "./backend.ts";
import { type Contribution, Contributions } from "./contributions.ts";
import { byPriority, lru } from "./defaults.ts";
import { explain } from "./explain.ts";
import { planGroups } from "./groups.ts";
import { planWeights } from "./place_weights.ts";
import { type Conflict, PlanError, type Plugin } from "./plugin.ts";
import { sha256Text } from "./sha256.ts";
import type { Sight } from "./sight.ts";
import type {
  Admission,
  AttendKernel,
  Codec,
  Drafter,
  Eviction,
  Input,
  Layout,
  Observer,
  PrefixIndex,
  Restorer,
  Retention,
  Tier,
  Transcoder,
} from "./slots.ts";
import type { BlockShape, ModelShape } from "./types.ts";
import type { WeightPlan, WeightSizes } from "./weight_plan.ts";

/** Layers that share block tables: what they resolved to is the same. */
export interface GroupPlan {
  /** Ascending. A layer's place in this list is its place in the block. */
  readonly layers: readonly number[];
  /** One block of the group. */
  readonly shape: BlockShape;
  /** Bytes of one open block on the backend. */
  readonly blockBytes: number;
  /** Bytes of one full block there, once it is committed. */
  readonly sealedBytes: number;
  /** How open blocks lie in slabs, where the backend has a say in it. */
  readonly slab: SlabLayout | undefined;
  /** How positions map to its blocks. */
  readonly layout: Layout;
  /** What its sealed blocks hold; "raw" where that is what open ones hold. */
  readonly codec: Codec;
  /** The codec, where a kernel of the backend seals and reads blocks itself. */
  readonly fused: Codec | undefined;
  /**
   * Full blocks are coded and decoded where they are when a step is committed. So
   * that its rows read the right values, none goes beyond a block's end.
   */
  readonly rounds: boolean;
  /** First blocks of a sequence that stay as they were computed. */
  readonly keepFirst: number;
  /** Codecs that take over from a tier on, by its id. */
  readonly tierCodecs: ReadonlyMap<string, Codec>;
  /** The rules its rows see by, none for everything. */
  readonly retention: readonly Retention[];
  /** What its rows see. */
  readonly sight: Sight;
  /** By format: "raw", and the codec's id where a kernel reads it. */
  readonly kernels: ReadonlyMap<string, AttendKernel>;
  /** Every declined kernel with its reason, and what follows. */
  readonly notes: readonly string[];
  /** Who decided: "slot: plugin". */
  readonly by: readonly string[];
}

/** The frozen outcome. */
export interface CachePlan {
  /** What the plan is for. */
  readonly model: ModelShape;
  /** Id of the backend it is for. */
  readonly backend: string;
  /** The backend's format of open blocks. */
  readonly rawFormat: string;
  /** Ascending by their first layer. */
  readonly groups: readonly GroupPlan[];
  /** Rows of a sequence in one step end at the next multiple of each of these. */
  readonly stepTokens: readonly number[];
  /** Tiers below the device, ascending by rank. */
  readonly tiers: readonly Tier[];
  /** Finds blocks by content; undefined shares none. */
  readonly index: PrefixIndex | undefined;
  /** Which idle block goes first. */
  readonly evict: Eviction;
  /** Keeps hidden states; undefined: what is gone is computed from tokens. */
  readonly restore: Restorer | undefined;
  /** Plugins' own before the backend's. */
  readonly transcode: readonly Transcoder[];
  /** Who runs, and who gives way. */
  readonly admission: Admission;
  /** Guesses tokens; undefined guesses none. */
  readonly draft: Drafter | undefined;
  /** Which layers' weights are streamed; undefined: all stay on the device. */
  readonly weights: WeightPlan | undefined;
  /** Who is told. */
  readonly observe: readonly Observer[];
  /**
   * Equal for every order of registration, and for plans whose blocks hold the
   * same bytes for the same tokens: part of every content address.
   */
  readonly fingerprint: string;
  /** The plan as text: who, what, how many bytes, and why not otherwise. */
  explain(): string;
}

/** What a plan is made from. */
export interface PlanOptions {
  /** What the plan is for. */
  readonly model: ModelShape;
  /** Where it will run. */
  readonly backend: PlanBackend;
  /** In any order. */
  readonly plugins: readonly Plugin[];
  /** What the executor can give to contributions, default only tokens. */
  readonly inputs?: readonly Input[];
  /** A sealed format without a kernel is a conflict, not a note. */
  readonly strict?: boolean;
  /** What weights take beside these groups; absent where the backend streams none. */
  readonly weights?: (
    groups: readonly GroupPlan[],
    /** Layers before which hidden states are kept. */
    boundaries: number,
  ) => WeightSizes;
}

/** The part of a backend that plans look at. */
export type PlanBackend =
  & Pick<
    Backend,
    | "id"
    | "limits"
    | "kernels"
    | "transcoders"
    | "rawFormat"
    | "blockBytes"
    | "openBlocks"
    | "hidden"
    | "slab"
  >
  & {
    /** What becomes of the model's weights, in words for `explain()`. */
    readonly weightNotes?: readonly string[];
  };

/** A plan, and how to end what its plugins began. */
export interface CompiledPlan {
  /** The frozen outcome. */
  readonly plan: CachePlan;
  /** Aborts the plugins' signal and runs their `onClose`, last first. */
  close(): Promise<void>;
}

/**
 * Sets the plugins up and resolves every slot. Throws a PlanError with all
 * conflicts at once, after closing what was set up.
 */
export async function compilePlan(
  options: PlanOptions,
): Promise<CompiledPlan> {
  const { model, backend, plugins } = options;
  const given = new Contributions();
  await given.gather(plugins, model, backend);
  const groups = planGroups(given, options);
  const tiers = planTiers(given);
  checkInputs(given, options.inputs ?? ["tokens"]);
  const restore = given.one("restore", "", () => true);
  if (restore !== undefined) checkRestorer(given, restore, options);
  const index = given.one("index", "", () => true);
  const evict = given.one("evict", "", () => true);
  const admission = given.one("admission", "", () => true);
  const draft = given.one("draft", "", () => true);
  const sizes = options.weights;
  const weights = planWeights(
    given,
    sizes === undefined ? undefined : () =>
      sizes(
        groups.map((g) => g.plan),
        restore?.value.boundaries.length ?? 0,
      ),
  );
  if (given.conflicts.length > 0) {
    await given.close().catch((e) => void (given.cause ??= e));
    throw new PlanError(given.conflicts, { cause: given.cause });
  }
  const body: Omit<CachePlan, "explain"> = {
    model,
    backend: backend.id,
    rawFormat: backend.rawFormat,
    groups: groups.map((g) => g.plan),
    stepTokens: [
      ...new Set(
        groups.filter((g) => g.plan.rounds).map((g) => g.plan.shape.tokens),
      ),
    ],
    tiers,
    index: index?.value,
    evict: evict?.value ?? lru(),
    restore: restore?.value,
    transcode: [
      ...given.of("transcode").map((c) => c.value),
      ...backend.transcoders,
    ].filter((t) => t.backend === backend.id),
    admission: admission?.value ?? byPriority(),
    draft: draft?.value,
    weights: weights.plan,
    observe: given.of("observe").map((c) => c.value),
    fingerprint: sha256Text(JSON.stringify([
      model.id,
      backend.rawFormat,
      groups.map((g) => [g.key, g.plan.layers]),
    ])).slice(0, 32),
  };
  const by = {
    index: index?.plugin,
    evict: evict?.plugin,
    admission: admission?.plugin,
    draft: draft?.plugin,
    weights: weights.plugin,
    kept: backend.weightNotes ?? [],
    plugins: plugins.map((p) => p.name).sort(),
  };
  const plan = Object.freeze({ ...body, explain: () => explain(body, by) });
  return { plan, close: () => given.close() };
}

function planTiers(given: Contributions): readonly Tier[] {
  const all = [...given.of("tier")].sort((a, b) => a.value.rank - b.value.rank);
  for (const [i, { value: tier, plugin }] of all.entries()) {
    if (!Number.isInteger(tier.rank) || tier.rank < 1) {
      given.conflicts.push(rank(
        [plugin],
        `tier "${tier.id}" of plugin "${plugin}" has rank ${tier.rank}: 1 or more is wanted, 0 is the device`,
      ));
    }
    const above = all[i - 1];
    if (above && above.value.rank === tier.rank) {
      given.conflicts.push(rank(
        [above.plugin, plugin],
        `tiers "${above.value.id}" of plugin "${above.plugin}" and "${tier.id}" of plugin "${plugin}" share rank ${tier.rank}: give one another rank`,
      ));
    }
  }
  return all.map((c) => c.value);
}

function rank(plugins: readonly string[], message: string): Conflict {
  return { code: "rank", slot: "tier", plugins, message };
}

/** A restorer has to name layers, and the backend to give what it keeps. */
function checkRestorer(
  given: Contributions,
  { value: { id, boundaries }, plugin }: Contribution<"restore">,
  { backend, model }: PlanOptions,
): void {
  const report = (code: Conflict["code"], why: string): void => {
    const message = `restorer "${id}" of plugin "${plugin}" ${why}`;
    given.conflicts.push({ code, slot: "restore", plugins: [plugin], message });
  };
  const layers = model.layers.length;
  const wrong = boundaries.some((b, i) =>
    !Number.isInteger(b) || b <= (boundaries[i - 1] ?? 0) || b >= layers
  );
  if (wrong) {
    report(
      "value",
      `has boundaries ${boundaries.join(", ")}: layers from 1 to ${
        layers - 1
      } are wanted, ascending`,
    );
  } else if (boundaries.length > 0 && backend.hidden !== true) {
    report(
      "input",
      `wants hidden states, which backend "${backend.id}" does not give: keep nothing but tokens, or use another backend`,
    );
  }
}

function checkInputs(given: Contributions, inputs: readonly Input[]): void {
  for (const c of given.of("retention")) {
    for (const wanted of c.value.inputs ?? []) {
      if (inputs.includes(wanted)) continue;
      given.conflicts.push({
        code: "input",
        slot: c.slot,
        plugins: [c.plugin],
        message:
          `"${c.value.id}" of plugin "${c.plugin}" wants "${wanted}", the executor gives ${
            inputs.map((i) => `"${i}"`).join(", ")
          }`,
      });
    }
  }
}
