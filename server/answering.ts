/**
 * One request to the engine: its place, its engine, its end.
 *
 * @module
 */
import type { Context } from "npm:hono@4.13.19";
import type { Engine } from "../engine/engine.ts";
import type {
  GenerateOptions,
  GeneratePart,
  Usage,
} from "../engine/options.ts";
import type { Env } from "./context.ts";
import { ApiError, badRequest, tooLong } from "./errors.ts";
import { engineError } from "./engine_error.ts";
import type { Lease } from "./models.ts";
import type { Serving } from "./serving.ts";

/** How long an answer may show that it cannot be made before its stream begins. */
const AT_ONCE_MS = 40;

/** What an engine is to be asked, once it is there. */
export interface Asked {
  /** One request each, told apart by where it stands. */
  readonly requests: readonly GenerateOptions[];
}

/** What a request says of itself, for places, quotas and the log. */
export interface Asker {
  readonly model?: string | null | undefined;
  readonly user?: string | null | undefined;
  readonly n: number;
  readonly stream?: boolean | null | undefined;
}

/** A part of an answer, and which request it belongs to. */
export interface Part extends GeneratePart {
  readonly request: number;
}

/** An answer that is being made. Whoever has it reads it to its end or ends it. */
export interface Answer extends AsyncDisposable {
  readonly engine: Engine;
  /** The model's name. */
  readonly model: string;
  /** What comes, of all requests in turn. Throws what ended it, as an ApiError. */
  readonly parts: AsyncIterableIterator<Part>;
  /** Ends it: its blocks are free at once. */
  end(why?: unknown): void;
}

/** Whose request it is: of a key, a user. */
export function tenantOf(
  c: Context<Env>,
  user: string | null | undefined,
): string {
  const owner = c.get("owner");
  return owner === "" ? user ?? "" : `${owner}/${user ?? ""}`;
}

/**
 * Takes places, waits for the model, and begins. Throws an ApiError for what cannot
 * be answered, before anything was sent.
 */
export async function beginAnswer(
  c: Context<Env>,
  asker: Asker,
  make: (engine: Engine) => readonly GenerateOptions[],
): Promise<Answer> {
  const serving = c.get("serving");
  serving.requireOpen();
  const held = takePlaces(c, asker);
  let lease: Lease | undefined;
  try {
    lease = await serving.models.use(asker.model ?? undefined);
    const { engine } = lease;
    const requests = await serving.turns.run(() => make(engine));
    for (const request of requests) checkLength(engine, request);
    const answer = new Answering(c, held, lease, requests, !asker.stream);
    return await answer.begun();
  } catch (error) {
    lease?.[Symbol.dispose]();
    held[Symbol.dispose]();
    throw engineError(error);
  }
}

/** Places of a request in the queue and in its quotas. */
export interface Places extends Disposable {
  readonly tenant: string;
  charge(tokens: number): void;
}

/** Throws an ApiError, 429, where one of them has no room. */
export function takePlaces(
  c: Context<Env>,
  { user, n }: Pick<Asker, "user" | "n">,
): Places {
  const { queue, tenants, owners } = c.get("serving");
  const tenant = tenantOf(c, user);
  const stack = new DisposableStack();
  try {
    const owner = stack.use(owners.enter(c.get("owner"), n));
    const own = stack.use(tenants.enter(tenant, n));
    stack.use(queue.enter(n));
    return {
      tenant,
      charge: (tokens) => {
        owner.charge(tokens);
        own.charge(tokens);
      },
      [Symbol.dispose]: () => stack.dispose(),
    };
  } catch (error) {
    stack.dispose();
    throw error;
  }
}

function checkLength(engine: Engine, { tokens }: GenerateOptions): void {
  if (tokens === undefined) return;
  if (tokens.length >= engine.context) {
    throw tooLong(tokens.length, engine.context);
  }
  const { vocab } = engine.spec;
  const strange = tokens.find((id) => id >= vocab);
  if (strange === undefined) return;
  throw badRequest(
    `Cannot take token ${strange}: ids go from 0 to ${vocab - 1}`,
    "prompt",
  );
}

class Answering implements Answer {
  readonly engine: Engine;
  readonly model: string;
  readonly parts: AsyncIterableIterator<Part>;
  readonly #serving: Serving;
  readonly #id: string;
  readonly #held: Places;
  readonly #lease: Lease;
  readonly #controller = new AbortController();
  readonly #generators: AsyncGenerator<GeneratePart>[];
  /** What each generator is to give next. */
  readonly #next = new Map<number, Promise<Given>>();
  readonly #began = performance.now();
  readonly #signals: readonly AbortSignal[];
  #over = false;
  #end = "aborted";

  constructor(
    c: Context<Env>,
    held: Places,
    lease: Lease,
    requests: readonly GenerateOptions[],
    listens: boolean,
  ) {
    this.#serving = c.get("serving");
    this.#id = c.get("requestId");
    this.#held = held;
    this.#lease = lease;
    this.engine = lease.engine;
    this.model = lease.id;
    // The server ends, or the client has gone; of a stream, its `cancel()` says so.
    const { ending } = this.#serving;
    this.#signals = listens ? [c.req.raw.signal, ending] : [ending];
    for (const signal of this.#signals) {
      if (signal.aborted) this.end(signal.reason);
      signal.addEventListener("abort", this.#hear);
    }
    const { signal } = this.#controller;
    this.#generators = requests.map((request) =>
      this.engine.generate({ ...request, tenant: held.tenant, signal })
    );
    this.parts = this.#read();
  }

  readonly #hear = ({ target }: Event): void =>
    this.end((target as AbortSignal).reason);

  end(why?: unknown): void {
    this.#controller.abort(
      why ?? new DOMException("The request was ended", "AbortError"),
    );
  }

  /** Itself, unless it turns out soon that it cannot be. */
  async begun(): Promise<this> {
    for (const i of this.#generators.keys()) this.#ask(i);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const soon = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), AT_ONCE_MS);
    });
    const first = await Promise.race([...this.#next.values(), soon]);
    clearTimeout(timer);
    if (first?.error === undefined) return this;
    await this[Symbol.asyncDispose]();
    throw first.error;
  }

  #ask(request: number): void {
    const asked = this.#generators[request]!.next().then(
      (result): Given => ({ request, result }),
      (error): Given => ({ request, error: error ?? new Error("no reason") }),
    );
    this.#next.set(request, asked);
  }

  async *#read(): AsyncGenerator<Part> {
    try {
      while (this.#next.size > 0) {
        const { request, result, error } = await Promise.race(
          this.#next.values(),
        );
        if (error !== undefined) throw error;
        if (result!.done) {
          this.#next.delete(request);
          continue;
        }
        this.#ask(request);
        const part = result!.value;
        if (part.usage !== undefined) this.#account(part, part.usage);
        yield { ...part, request };
      }
      this.#end = "done";
    } catch (error) {
      const told = engineError(error);
      this.#end = this.#controller.signal.aborted ? "aborted" : "error";
      if (this.#end === "error") {
        this.#serving.log("error", { id: this.#id, error: reasonOf(error) });
      }
      throw told;
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  #account(part: GeneratePart, usage: Usage): void {
    const { metrics, log } = this.#serving;
    const labels = { model_name: this.model };
    const { promptTokens, cachedTokens, completionTokens } = usage;
    const { ttftMs, decodeMs } = usage;
    // Answers to one prompt have it in common.
    const prompt = part.index === 0 ? promptTokens : 0;
    const cached = part.index === 0 ? cachedTokens : 0;
    this.#held.charge(prompt + completionTokens);
    metrics.count("vllm:prompt_tokens_total", labels, prompt);
    metrics.count("vllm:generation_tokens_total", labels, completionTokens);
    metrics.count("vllm:prefix_cache_queries_total", labels, prompt);
    metrics.count("vllm:prefix_cache_hits_total", labels, cached);
    const finished_reason = part.finish ?? "length";
    metrics.count("vllm:request_success_total", { ...labels, finished_reason });
    metrics.count("quire:prompt_seconds_total", labels, ttftMs / 1000);
    metrics.count("quire:generation_seconds_total", labels, decodeMs / 1000);
    metrics.time("vllm:time_to_first_token_seconds", labels, ttftMs / 1000);
    if (completionTokens > 1) {
      const tpot = decodeMs / 1000 / (completionTokens - 1);
      metrics.time("vllm:time_per_output_token_seconds", labels, tpot);
    }
    log("answer", {
      id: this.#id,
      model: this.model,
      index: part.index,
      promptTokens,
      cachedTokens,
      completionTokens,
      ttftMs: Math.round(ttftMs),
      decodeMs: Math.round(decodeMs),
      finish: finished_reason,
    });
  }

  /** Once: everything it held is given back. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    this.end();
    for (const signal of this.#signals) {
      signal.removeEventListener("abort", this.#hear);
    }
    await Promise.all(this.#generators.map((g) => g.return(undefined)));
    const { metrics, log } = this.#serving;
    const labels = { model_name: this.model };
    const ms = performance.now() - this.#began;
    metrics.time("vllm:e2e_request_latency_seconds", labels, ms / 1000);
    metrics.count("quire:answers_total", { ...labels, end: this.#end });
    log("end", { id: this.#id, end: this.#end, ms: Math.round(ms) });
    this.#lease[Symbol.dispose]();
    this.#held[Symbol.dispose]();
  }
}

interface Given {
  readonly request: number;
  readonly result?: IteratorResult<GeneratePart>;
  readonly error?: unknown;
}

function reasonOf(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
