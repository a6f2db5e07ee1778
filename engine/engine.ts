/**
 * A loaded model, ready for requests.
 *
 * @module
 */
import type { Backend } from "../core/backend.ts";
import type { KVCache } from "../core/cache.ts";
import { Ledger, type LedgerLine, type TierTotal } from "../core/ledger.ts";
import type { ModelSpec } from "../core/model.ts";
import type { CachePlan, CompiledPlan } from "../core/plan.ts";
import type { Scheduler } from "../core/scheduler.ts";
import { type ChatMessage, renderChat } from "../models/chat_template.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import { Generation } from "./generation.ts";
import { LogitsJob, type VisitLogits } from "./logits.ts";
import { Loop } from "./loop.ts";
import type { GenerateOptions, GeneratePart } from "./options.ts";
import { Sampler } from "./sampler.ts";
import { StopText } from "./stop_text.ts";

export type { VisitLogits } from "./logits.ts";

/** Everything an engine is put together from. */
export interface EngineParts {
  /** The model's file, for messages. */
  readonly model: string;
  readonly spec: ModelSpec;
  readonly tokenizer: Tokenizer;
  readonly backend: Backend;
  readonly compiled: CompiledPlan;
  readonly plan: CachePlan;
  readonly cache: KVCache;
  readonly scheduler: Scheduler;
  readonly context: number;
  /** Recounts all books after every step. */
  readonly check: boolean;
}

/** Who holds how many bytes, by line and by tier. */
export interface MemoryReport {
  /** Bytes by tier, owner and component. */
  readonly lines: readonly LedgerLine[];
  /** Each tier as a whole. */
  readonly tiers: Readonly<Record<string, TierTotal>>;
}

/** How much of the logits is wanted. */
export interface LogitsOptions {
  /** Default "last". */
  readonly rows?: "last" | "all" | undefined;
  /** Ends the request with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Which rows `eachLogits()` visits. */
export interface EachLogitsOptions {
  /** Position of the first. Default 0. */
  readonly from?: number | undefined;
  /** Ends the request; its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
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
    this.#ledger.register(() => backend.lines());
    this.#ledger.register(() => cache.lines());
    this.#ledger.meter("device", () => backend.memory.stat());
    this.#loop = new Loop(
      backend,
      cache,
      parts.scheduler,
      parts.check ? () => this.check() : undefined,
    );
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
   * Leaving the loop early ends the request.
   *
   * @throws {RangeError} for options out of bounds, a prompt longer than the
   * context, or a request that does not fit the memory even alone.
   * @throws {TypeError} unless exactly one of prompt, tokens and messages is given.
   */
  async *generate(options: GenerateOptions): AsyncGenerator<GeneratePart> {
    const { signal } = options;
    signal?.throwIfAborted();
    const prompt = this.#promptTokens(options);
    const maxTokens = this.#maxTokens(prompt.length, options.maxTokens);
    const { tokenizer, backend: { limits } } = this.#parts;
    const stops = options.stop ?? [];
    const generation = new Generation({
      id: `request-${this.#requests++}`,
      prompt,
      tokenizer,
      sampler: new Sampler(options, this.spec.vocab, limits.top),
      stop: new StopText(typeof stops === "string" ? [stops] : stops),
      ignoreEos: options.ignoreEos ?? false,
    });
    const { id } = generation, { priority = 0 } = options;
    this.#loop.add({ id, prompt, maxTokens, priority }, generation);
    const abort = (): void => this.#loop.abort(id);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      yield* generation.read();
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
      this.#loop.abort(id);
    }
  }

  /**
   * Logits after the last of `ids`, or after each of them: rows × vocabulary,
   * row-major.
   *
   * @throws {RangeError} for an empty list, an id outside the vocabulary, or more
   * tokens than the context.
   */
  async logits(
    ids: readonly number[],
    { rows = "last", signal }: LogitsOptions = {},
  ): Promise<Float32Array> {
    const { vocab } = this.spec;
    const first = rows === "all" ? 0 : Math.max(0, ids.length - 1);
    let out = new Float32Array(0);
    await this.#visitLogits(ids, rows, first, (position, logits) => {
      if (position === first) {
        out = new Float32Array((ids.length - first) * vocab);
      }
      out.set(logits, (position - first) * vocab);
    }, signal);
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
    { from = 0, signal }: EachLogitsOptions = {},
  ): Promise<void> {
    await this.#visitLogits(ids, from, from, visit, signal);
  }

  async #visitLogits(
    ids: readonly number[],
    logits: "last" | "all" | number,
    first: number,
    visit: VisitLogits,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    signal?.throwIfAborted();
    this.#checkTokens(ids);
    if (ids.length > this.context) throw this.#tooLong(ids.length);
    const job = new LogitsJob(`logits-${this.#requests++}`, first, visit);
    const { id } = job;
    this.#loop.add({ id, prompt: ids, maxTokens: 0, logits }, job);
    const abort = (): void => this.#loop.abort(id);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      await job.done;
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
      this.#loop.abort(id);
    }
  }

  /**
   * A conversation as the model's chat template writes it, up to where its
   * answer begins. Throws a ModelError where there is no template.
   */
  chatPrompt(messages: readonly ChatMessage[]): string {
    const { tokenizer } = this;
    const text = (id: number | undefined): string =>
      id === undefined ? "" : tokenizer.decode([id]);
    return renderChat(tokenizer.chatTemplate, messages, {
      model: this.#parts.model,
      bos: text(tokenizer.bos),
      eos: text(tokenizer.eos),
    });
  }

  /** Every byte with its owner, now and at most. */
  memory(): MemoryReport {
    const lines = this.#ledger.lines();
    const tiers = [...new Set(lines.map((l) => l.tier))];
    return {
      lines,
      tiers: Object.fromEntries(
        tiers.map((tier) => [tier, this.#ledger.total(tier)]),
      ),
    };
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

  #promptTokens(options: GenerateOptions): readonly number[] {
    const { prompt, tokens, messages } = options;
    const given = [prompt, tokens, messages].filter((x) => x !== undefined);
    if (given.length !== 1) {
      throw new TypeError(
        `Cannot generate: exactly one of "prompt", "tokens" and "messages" is wanted, ${given.length} given`,
      );
    }
    const { tokenizer } = this;
    if (tokens !== undefined) {
      this.#checkTokens(tokens);
      return tokens;
    }
    if (prompt !== undefined) {
      const ids = tokenizer.encode(prompt, { bos: tokenizer.addBos });
      if (ids.length > 0) return ids;
      if (tokenizer.bos !== undefined) return [tokenizer.bos];
      throw new RangeError(
        "Cannot generate from an empty prompt: the model has no BOS token",
      );
    }
    const ids = tokenizer.encode(this.chatPrompt(messages!), { special: true });
    return tokenizer.addBos && ids[0] !== tokenizer.bos
      ? [tokenizer.bos!, ...ids]
      : ids;
  }

  #checkTokens(ids: readonly number[]): void {
    if (ids.length === 0) {
      throw new RangeError("Cannot compute no tokens: one is the least");
    }
    for (const id of ids) {
      if (Number.isInteger(id) && id >= 0 && id < this.spec.vocab) continue;
      throw new RangeError(
        `Cannot compute token ${id}: ids go from 0 to ${this.spec.vocab - 1}`,
      );
    }
  }

  #maxTokens(prompt: number, wanted: number | undefined): number {
    const left = this.context - prompt;
    if (left < 1) throw this.#tooLong(prompt);
    if (wanted === undefined) return left;
    if (!Number.isInteger(wanted) || wanted < 1) {
      throw new RangeError(
        `Cannot generate with "maxTokens" ${wanted}: a whole number above 0 is wanted`,
      );
    }
    return Math.min(wanted, left);
  }

  #tooLong(length: number): RangeError {
    const { context: trained } = this.spec;
    return new RangeError(
      `Cannot take ${length} tokens: the context holds ${this.context}, the answer included; ` +
        (this.context < trained
          ? `load with a "context" of up to ${trained}`
          : "shorten the prompt"),
    );
  }
}
