/**
 * `GET /metrics`, in Prometheus' text format.
 *
 * Names are vLLM's where what they count is the same, llama.cpp's where its users
 * have charts of them, and our own for the rest.
 *
 * @module
 */
import type { Context } from "npm:hono@4.13.19";
import type { Engine } from "../../engine/engine.ts";
import type { Env } from "../context.ts";
import { gauge } from "../metrics.ts";
import type { Serving } from "../serving.ts";

/** Everything there is to chart. */
export function metrics(c: Context<Env>): Response {
  const serving = c.get("serving");
  const lines = [...serving.metrics.lines(), ...totals(serving)];
  const families = new Families();
  const { queue, models } = serving;
  families.add("gauge", "quire:places_taken", {}, queue.taken);
  families.add("counter", "quire:queue_refused_total", {}, queue.refused);
  for (const { id, state, engine, uses } of models.list()) {
    families.add("gauge", "quire:model_state", { model_name: id, state }, 1);
    families.add("gauge", "quire:model_uses", { model_name: id }, uses);
    if (engine !== undefined) ofEngine(families, id, engine);
  }
  const text = [...lines, ...families.lines(), ""].join("\n");
  return c.body(text, 200, {
    "content-type": "text/plain; version=0.0.4; charset=utf-8",
  });
}

/** Lines of one metric have to stand together. */
class Families {
  readonly #all = new Map<string, string[]>();

  add(
    type: "gauge" | "counter",
    name: string,
    labels: Readonly<Record<string, string>>,
    value: number,
  ): void {
    const lines = this.#all.get(name) ?? [`# TYPE ${name} ${type}`];
    lines.push(gauge(name, labels, value));
    this.#all.set(name, lines);
  }

  lines(): readonly string[] {
    return [...this.#all.values()].flat();
  }
}

function ofEngine(families: Families, id: string, engine: Engine): void {
  const model = { model_name: id };
  const s = engine.scheduler.stat(), k = engine.cache.stat();
  const add = families.add.bind(families);
  add("gauge", "vllm:num_requests_running", model, s.running);
  add("gauge", "vllm:num_requests_waiting", model, s.waiting);
  add("counter", "vllm:num_preemptions_total", model, s.preempted);
  const device = k.tiers[0]!;
  const share = 1 - k.available / Math.max(1, device.capacity);
  add("gauge", "vllm:kv_cache_usage_perc", model, share);
  add("counter", "quire:steps_total", model, s.steps);
  add("counter", "quire:rows_total", model, s.rows);
  add("counter", "quire:recomputed_positions_total", model, s.recomputed);
  add("counter", "quire:drafted_tokens_total", model, s.drafted);
  add("counter", "quire:accepted_tokens_total", model, s.accepted);
  for (const [state, blocks] of Object.entries(k.blocks)) {
    add("gauge", "quire:blocks", { ...model, state }, blocks);
  }
  for (const tier of k.tiers) {
    const labels = { ...model, tier: tier.id };
    add("gauge", "quire:tier_used_bytes", labels, tier.used);
    if (Number.isFinite(tier.capacity)) {
      add("gauge", "quire:tier_capacity_bytes", labels, tier.capacity);
    }
  }
  for (const [reason, misses] of Object.entries(k.misses)) {
    add("counter", "quire:cache_misses_total", { ...model, reason }, misses);
  }
  for (const what of COUNTED) {
    const name = what.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
    add("counter", `quire:cache_${name}_total`, model, k[what]);
  }
  for (const { tier, owner, component, bytes, peak } of engine.memory().lines) {
    const labels = { ...model, tier, owner, component };
    add("gauge", "quire:memory_bytes", labels, bytes);
    add("gauge", "quire:memory_peak_bytes", labels, peak);
  }
}

const COUNTED = [
  "hits",
  "hitTokens",
  "fetchedTokens",
  "declined",
  "forks",
  "copies",
  "evictions",
  "moves",
  "restores",
] as const;

/** What llama.cpp's server calls the sums of all models. */
function totals({ metrics, models }: Serving): string[] {
  const sum = (name: string): number =>
    models.list().reduce(
      (all, { id }) => all + metrics.value(name, { model_name: id }),
      0,
    );
  const prompt = sum("vllm:prompt_tokens_total");
  const cached = sum("vllm:prefix_cache_hits_total");
  const made = sum("vllm:generation_tokens_total");
  const promptS = sum("quire:prompt_seconds_total");
  const madeS = sum("quire:generation_seconds_total");
  let running = 0, waiting = 0;
  for (const { engine } of models.list()) {
    running += engine?.scheduler.stat().running ?? 0;
    waiting += engine?.scheduler.stat().waiting ?? 0;
  }
  const rate = (n: number, s: number): number => s > 0 ? n / s : 0;
  const all: readonly [string, "counter" | "gauge", number][] = [
    ["prompt_tokens_total", "counter", prompt - cached],
    ["prompt_tokens_cache_total", "counter", cached],
    ["prompt_cache_hit_ratio", "gauge", rate(cached, prompt)],
    ["prompt_seconds_total", "counter", promptS],
    ["tokens_predicted_total", "counter", made],
    ["tokens_predicted_seconds_total", "counter", madeS],
    ["prompt_tokens_seconds", "gauge", rate(prompt - cached, promptS)],
    ["predicted_tokens_seconds", "gauge", rate(made, madeS)],
    ["requests_processing", "gauge", running],
    ["requests_deferred", "gauge", waiting],
  ];
  return all.flatMap(([name, type, value]) => [
    `# TYPE llamacpp:${name} ${type}`,
    `llamacpp:${name} ${value}`,
  ]);
}
