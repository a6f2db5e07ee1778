/**
 * A loaded model, ready for requests.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { type AdapterSet, saltOf } from "../core/adapters.ts";
import type { Backend } from "../core/backend.ts";
import type { KVCache } from "../core/cache.ts";
import { Ledger } from "../core/ledger.ts";
import type { ModelSpec } from "../core/model.ts";
import type { CachePlan, CompiledPlan } from "../core/plan.ts";
import type { Scheduler } from "../core/scheduler.ts";
import type { GenRequest } from "../core/scheduler_types.ts";
import type { ChatMessage } from "../models/chat_template.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import type {
  AdapterInfo,
  AdapterMark,
  AdapterOptions,
  Adapters,
} from "./adapters.ts";
import { BeamGroup } from "./beam_group.ts";
import { beamUsage, checkBeams } from "./beam_request.ts";
import { BeamSearch } from "./beams.ts";
import { Bell, type Choices, choicesOf, readAll, readBest } from "./choices.ts";
import { Conversation, newState } from "./conversation.ts";
import { EmbedJob, type EmbedOptions, firstPooled } from "./embed.ts";
import type { Constraint } from "./format/constraint.ts";
import { Generation, noNumbers } from "./generation.ts";
import {
  type Bounds,
  checkLength,
  checkRequest,
  mostTokens,
} from "./lengths.ts";
import {
  type EachLogitsOptions,
  LogitsJob,
  type LogitsOptions,
  type VisitLogits,
} from "./logits.ts";
import { logprobsOf } from "./logprobs.ts";
import { Loop } from "./loop.ts";
import { type MemoryReport, memoryReport } from "./memory_report.ts";
import type { GenerateOptions, GeneratePart } from "./options.ts";
import {
  type ChatOptions,
  chatPrompt,
  chatTokens,
  checkTokens,
  promptTokens,
  quotedPrompt,
} from "./prompt.ts";
import { Sampler } from "./sampler.ts";
import type {
  RestoredSession,
  RestoreOptions,
  SavedSession,
  SaveOptions,
  SessionEngine,
  SessionSource,
} from "./session_types.ts";
import { StopText } from "./stop_text.ts";

export type {
  EachLogitsOptions,
  LogitsOptions,
  VisitLogits,
} from "./logits.ts";
export type { EmbedOptions } from "./embed.ts";
export type { MemoryReport } from "./memory_report.ts";
export type { ChatOptions } from "./prompt.ts";

/** Everything an engine is put together from. */
export interface EngineParts {
  /** The model's file, for messages. */
  readonly model: string;
  readonly spec: ModelSpec;
  readonly tokenizer: Tokenizer;
  readonly adapters: Adapters;
  readonly backend: Backend;
  readonly compiled: CompiledPlan;
  readonly plan: CachePlan;
  readonly cache: KVCache;
  readonly scheduler: Scheduler;
  readonly context: number;
  /** Recounts all books after every step. */
  readonly check: boolean;
}

/**
 * A model in memory. Requests made at the same time run together.
 *
 * Close it with `await using`, or by `engine[Symbol.asyncDispose]()`.
 */
export class Engine implements AsyncDisposable {
  /** Text to tokens and back. */
  readonly tokenizer: Tokenizer;
  /** The model as data. */
  readonly spec: ModelSpec;
  /** The compiled cache plan; `explain()` says why it is as it is. */
  readonly plan: CachePlan;
  /** The K/V cache, for what this class does not offer. */
  readonly cache: KVCache;
  /** Who runs next, for its figures. */
  readonly scheduler: Scheduler;
  /** Longest sequence, tokens. */
  readonly context: number;
  readonly #parts: EngineParts;
  readonly #bounds: Bounds;
  readonly #loop: Loop;
  readonly #ledger = new Ledger();
  #requests = 0;
  #closed: Promise<void> | undefined;

  /** @ignore */
  constructor(parts: EngineParts) {
    const { backend, cache } = parts;
    this.#parts = parts;
    this.tokenizer = parts.tokenizer;
    this.spec = parts.spec;
    this.plan = parts.plan;
    this.cache = cache;
    this.scheduler = parts.scheduler;
    this.context = parts.context;
    this.#bounds = {
      context: parts.context,
      trained: parts.spec.context,
      cache,
    };
    this.#ledger.register(() => backend.lines());
    this.#ledger.register(() => cache.lines());
    this.#ledger.meter("device", () => backend.memory.stat());
    this.#loop = new Loop(
      backend,
      cache,
      parts.scheduler,
      parts.check ? () => this.check() : undefined,
    );
    this.#ledger.register(() => this.#loop.sweeps.lines());
  }

  /**
   * Continues a text, some tokens or a conversation.
   *
   * ```ts ignore
   * for await (const part of engine.generate({ prompt: "Once upon", maxTokens: 32 })) {
   *   console.log(part.text);
   * }
   * ```
   *
   * Leaving the loop early ends the request; where nothing comes before the end
   * (`bestOf`, `beams`), only `signal` does. With `n`, parts of several answers
   * come in turn, told apart by their `index`.
   *
   * @throws {RangeError} for options out of bounds, an adapter that is not loaded, a
   * prompt longer than the context, a request that does not fit the memory even alone, or more beams
   * than fit together.
   * @throws {TypeError} unless exactly one of prompt, tokens and messages is given,
   * or for options that contradict each other.
   * @throws {FormatError} for a `format` that cannot be kept to.
   */
  async *generate(options: GenerateOptions): AsyncGenerator<GeneratePart> {
    const { signal } = options;
    signal?.throwIfAborted();
    const prompt = promptTokens(this.#parts, options);
    checkTokens(prompt, this.spec.vocab);
    const choices = choicesOf(options);
    const request = this.#request(prompt, options);
    const seeking = this.cache.seek(prompt, saltOf(request));
    if (seeking !== undefined) await seeking;
    signal?.throwIfAborted();
    if (choices.beams > 0) yield* this.#search(request, choices, options);
    else yield* this.#sample(request, choices, options);
  }

  #request(
    prompt: readonly number[],
    options: GenerateOptions,
  ): GenRequest {
    const { priority = 0, tenant, cachePriority = 50, deadlineMs } = options;
    checkRequest(priority, cachePriority, deadlineMs);
    const adapters = this.#parts.adapters.set(options);
    return {
      id: `request-${this.#requests++}`,
      prompt,
      maxTokens: mostTokens(prompt.length, options.maxTokens, this.#bounds),
      priority,
      cachePriority,
      ...(tenant === undefined ? {} : { tenant }),
      ...(adapters === undefined ? {} : { adapters }),
      ...(deadlineMs === undefined
        ? {}
        : { deadline: performance.now() + deadlineMs }),
    };
  }

  /** Answers that are sampled; later ones are forks of the first. */
  async *#sample(
    request: GenRequest,
    { n, made }: Choices,
    options: GenerateOptions,
  ): AsyncGenerator<GeneratePart> {
    const { model, tokenizer, backend: { limits } } = this.#parts;
    const { prompt } = request;
    const stops = options.stop ?? [], logprobs = logprobsOf(options.logprobs);
    const format = await this.#format(options);
    options.signal?.throwIfAborted();
    const bell = new Bell();
    const generations = Array.from({ length: made }, (_, index) => {
      const seed = options.seed === undefined || index === 0
        ? options
        : { ...options, seed: options.seed + index };
      return new Generation({
        id: index === 0 ? request.id : `${request.id}/${index}`,
        model,
        prompt,
        tokenizer,
        sampler: new Sampler(seed, this.spec.vocab, limits.top),
        stop: new StopText(typeof stops === "string" ? [stops] : stops),
        ignoreEos: options.ignoreEos ?? false,
        index,
        scored: made > n,
        logprobs,
        constraint: format?.(request.maxTokens),
        wake: bell.ring,
      });
    });
    try {
      for (const g of generations) {
        const { id } = g, sharesWith = request.id;
        const first = id === request.id;
        const wanted = first ? request : { ...request, id, sharesWith };
        this.#loop.add(wanted, g, options.signal);
      }
      if (made > n) yield* readBest(generations, n, bell);
      else yield* readAll(generations, bell, options.signal);
    } finally {
      for (const { id } of generations) this.#loop.abort(id);
    }
  }

  /** What makes a constraint of so many tokens, where the answer has a format. */
  async #format(
    { format, ignoreEos }: GenerateOptions,
  ): Promise<((maxTokens: number) => Constraint) | undefined> {
    if (format === undefined) return undefined;
    if (ignoreEos) {
      throw new TypeError(
        'Cannot generate with "format" and "ignoreEos": an answer of a format has an end, leave one of them out',
      );
    }
    const [{ rulesOf }, { Constraint }] = await Promise.all([
      import("./format/rules.ts"),
      import("./format/constraint.ts"),
    ]);
    const rules = rulesOf(format, this.tokenizer);
    return (maxTokens) => new Constraint(rules, maxTokens);
  }

  /** Answers found by beam search, best first. */
  async *#search(
    request: GenRequest,
    { n, beams }: Choices,
    options: GenerateOptions,
  ): AsyncGenerator<GeneratePart> {
    const { tokenizer, backend: { limits } } = this.#parts;
    const { prompt, maxTokens } = request;
    const eog = options.ignoreEos ? new Set<number>() : tokenizer.eog;
    checkBeams(beams, prompt.length, maxTokens, eog.size, limits, this.cache);
    const started = performance.now();
    const search = new BeamSearch({
      width: beams,
      returns: n,
      maxTokens,
      eog,
      lengthPenalty: options.lengthPenalty,
      earlyStopping: options.earlyStopping,
    });
    const { signal } = options;
    const group = new BeamGroup({ loop: this.#loop, search, request, signal });
    try {
      await group.done;
      const results = search.results();
      if (results.length === 0) {
        throw noNumbers(this.#parts.model, prompt.length);
      }
      for (const [index, result] of results.entries()) {
        const { finish, score, tokens: all } = result;
        const tokens = finish === "stop" ? all.slice(0, -1) : all;
        const text = tokenizer.decode(tokens);
        const usage = beamUsage(group, prompt.length, all.length, started);
        yield { index, text, tokens, finish, usage, score };
      }
    } finally {
      group.end();
    }
  }

  /**
   * Logits after the last of `ids`, or after each of them: rows × vocabulary,
   * row-major.
   *
   * @throws {RangeError} for an empty list, an id outside the vocabulary, more
   * tokens than the context, or options out of bounds.
   */
  async logits(
    ids: readonly number[],
    options: LogitsOptions = {},
  ): Promise<Float32Array> {
    const { vocab } = this.spec, { rows = "last", signal } = options;
    const adapters = this.#parts.adapters.set(options);
    if (rows !== "last" && rows !== "all") {
      throw new RangeError(
        `Cannot compute logits with "rows" "${rows}": "last", "all" are possible`,
      );
    }
    const { length } = ids;
    const first = rows === "all" ? 0 : Math.max(0, length - 1);
    let out = new Float32Array(0);
    await this.#visitLogits(
      ids,
      rows,
      first,
      (position, logits) => {
        if (position === first) {
          out = new Float32Array((length - first) * vocab);
        }
        out.set(logits, (position - first) * vocab);
      },
      adapters,
      signal,
    );
    return out;
  }

  /**
   * Shows `visit` the logits after each of `ids` from position `from` on, as
   * they are computed: for texts whose logits would not fit in one array.
   *
   * @throws {RangeError} as `logits()` does, or for a `from` outside the list.
   */
  async eachLogits(
    ids: readonly number[],
    visit: VisitLogits,
    options: EachLogitsOptions = {},
  ): Promise<void> {
    const { from = 0, signal } = options;
    const adapters = this.#parts.adapters.set(options);
    if (!Number.isInteger(from) || from < 0 || from >= ids.length) {
      throw new RangeError(
        `Cannot show logits from position ${from}: the text has ${ids.length} tokens, counted from 0`,
      );
    }
    await this.#visitLogits(ids, from, from, visit, adapters, signal);
  }

  async #visitLogits(
    ids: readonly number[],
    logits: "last" | "all" | number,
    first: number,
    visit: VisitLogits,
    adapters: AdapterSet | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    signal?.throwIfAborted();
    checkTokens(ids, this.spec.vocab);
    checkLength(ids.length, this.#bounds);
    const job = new LogitsJob(`logits-${this.#requests++}`, first, visit);
    const request = {
      ...{ id: job.id, prompt: [...ids], maxTokens: 0, logits },
      adapters,
    };
    this.#loop.add(request, job, signal);
    await job.done;
  }

  /**
   * A text as a point: what the model has of its tokens behind the last norm, the mean
   * over all positions or that of the last one, scaled to length 1. Texts of like
   * meaning lie near each other as far as the model was trained for that.
   *
   * @throws {RangeError} for an empty list, an id outside the vocabulary, more
   * tokens than the context, or options out of bounds.
   */
  async embed(
    tokens: readonly number[],
    { pool = "mean", signal, tenant }: EmbedOptions = {},
  ): Promise<Float32Array> {
    signal?.throwIfAborted();
    checkTokens(tokens, this.spec.vocab);
    checkLength(tokens.length, this.#bounds);
    const first = firstPooled(pool, tokens.length);
    const id = `embed-${this.#requests++}`;
    const job = new EmbedJob(id, first, tokens.length, this.spec.hidden);
    this.#loop.add(
      {
        id,
        prompt: [...tokens],
        maxTokens: 0,
        // A position: what is cached is computed too, for its rows, and no step is a
        // sweep, in which rows are not there together.
        logits: tokens.length - 1,
        ...(tenant === undefined ? {} : { tenant }),
      },
      job,
      signal,
    );
    const point = await job.done;
    if (point === undefined) throw noNumbers(this.#parts.model, tokens.length);
    return point;
  }

  /**
   * A conversation as the model's chat template writes it, up to where its
   * answer begins. Throws a ModelError where there is no template.
   */
  chatPrompt(
    messages: readonly ChatMessage[],
    options: ChatOptions = {},
  ): string {
    return chatPrompt(this.#parts, messages, options);
  }

  /** @ignore As `chatPrompt()`, for `encode()` with `quoted`. */
  quotedPrompt(messages: readonly ChatMessage[]): string {
    return quotedPrompt(this.#parts, messages);
  }

  /**
   * The tokens of a conversation, as `generate()` gives them to the model: control
   * tokens are the template's alone, whatever the messages spell out. Throws a
   * ModelError where there is no template.
   */
  promptTokens(
    messages: readonly ChatMessage[],
    options: ChatOptions = {},
  ): readonly number[] {
    return chatTokens(this.#parts, messages, options);
  }

  /**
   * A conversation without turns. `system`: what the model is told first; `options`:
   * the adapters it goes on with until a turn names others. Throws a ModelError, when
   * it is asked, where there is no chat template.
   *
   * @throws {RangeError} for an adapter that is not loaded.
   */
  conversation(system?: string, options: AdapterOptions = {}): Conversation {
    return new Conversation(
      this,
      newState(
        system === undefined ? [] : [{ role: "system", content: system }],
        this.#parts.adapters.marks(options),
      ),
    );
  }

  /**
   * Writes a conversation, or tokens, to a file: with the K and V that are cached of
   * it, whole blocks from the start, and how its tokens are chosen. The file is
   * replaced whole or not at all. Without an index among the plugins
   * (`prefixCache()`) there are no K and V to be found.
   *
   * ```ts ignore
   * const talk = engine.conversation();
   * for await (const part of talk.ask("Name a river.")) console.log(part.text);
   * await engine.save(talk, "river.quire");
   * // Later, elsewhere:
   * const { conversation } = await engine.restore("river.quire");
   * ```
   *
   * @throws {SessionError} where the file cannot be written.
   * @throws {RangeError} for tokens outside the vocabulary, or a sampler out of bounds.
   */
  async save(
    session: Conversation | SessionSource,
    path: string | URL,
    options: SaveOptions = {},
  ): Promise<SavedSession> {
    this.#requireOpen();
    const [{ saveSession }, { sessionOf }] = await Promise.all([
      import("./session_save.ts"),
      import("./session_source.ts"),
    ]);
    const { tenant, ...state } = sessionOf(this.#parts, session);
    return await saveSession(this.#session(), state, pathOf(path), {
      ...options,
      tenant: options.tenant ?? tenant,
    });
  }

  /**
   * Reads what `save()` wrote, and puts its blocks into the prefix cache. What is
   * damaged there, or finds no room, is computed anew when the conversation goes on;
   * its tokens are the same either way.
   *
   * @throws {SessionError} where there is no session, its text is damaged, or it was
   * saved with other weights, another tokenizer, other RoPE settings or another plan;
   * with `replay` its tokens are taken all the same.
   */
  async restore(
    path: string | URL,
    options: RestoreOptions = {},
  ): Promise<RestoredSession> {
    this.#requireOpen();
    checkRequest(0, options.cachePriority ?? 0, undefined);
    const { restoreSession } = await import("./session_restore.ts");
    const { state, ...restored } = await restoreSession(
      this.#session(),
      pathOf(path),
      options,
    );
    return { conversation: new Conversation(this, state), ...restored };
  }

  #session(): SessionEngine {
    return { ...this.#parts, requireOpen: () => this.#requireOpen() };
  }

  #requireOpen(): void {
    if (this.#closed === undefined) return;
    throw new Error("Cannot save or restore: the engine was closed");
  }

  /** The adapters that requests may name, by name. */
  get adapters(): readonly AdapterInfo[] {
    return this.#parts.adapters.list;
  }

  /** @ignore What a turn computes with. Throws as `generate()` does. */
  adapterMarks(options: AdapterOptions): readonly AdapterMark[] {
    return this.#parts.adapters.marks(options);
  }

  /** Every byte with its owner, now and at most. */
  memory(): MemoryReport {
    return memoryReport(this.#ledger, this.#parts.backend.weightStat?.());
  }

  /** Recounts heap, cache and ledger; throws on the first disagreement. */
  check(): void {
    this.#parts.backend.memory.check();
    this.cache.check();
    this.#ledger.check();
  }

  /** Ends all requests and gives everything back. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    await this.#loop.close(
      new Error("Cannot run a request: the engine was closed"),
    );
    await this.#parts.backend[Symbol.asyncDispose]();
    await this.#parts.compiled.close();
  }
}

function pathOf(path: string | URL): string {
  return path instanceof URL ? fileURLToPath(path) : path;
}
