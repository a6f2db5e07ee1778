import assert from "node:assert/strict";
import type { Output } from "./contest.ts";
import {
  nodeLlamaCpp,
  peerSample,
  type PeersSetup,
  threadSettings,
  wllama,
} from "./peers.ts";

/** Lines as the runner wrote them, shortened. */
const NLC =
  `{"peer":"nlc","threads":2,"reps":2,"busy_before":0.651,"load":{"init_ms":541.9,"model_ms":380.9,"context_ms":207.6,"total_ms":1130.4},"cases":{"prefill32":{"prompt_tokens":32,"prefill_tps":{"min":46.566,"median":92.062,"max":137.6,"n":2},"ttft_ms":{"min":232.6,"median":459.9,"max":687.2,"n":2}},"par1":{"tokens":64,"agg_tps":{"min":8.539,"median":9.154,"max":9.769,"n":2},"agg_decode_tps":{"min":8.523,"median":9.278,"max":10.032,"n":2},"per_seq_tps":{"min":8.523,"median":9.278,"max":10.032,"n":2}},"depth1000":{"depth":1000,"prefill_tps_once":330.68,"decode_tps":{"min":48.715,"median":54.196,"max":57.149,"n":3}}},"ttft_cold_ms":212.5,"info":{"threads":2,"batch":512},"machine":{"wall_s":29.4,"others_busy":0.363,"steal":0}}\n`;
const WLLAMA =
  `{"peer":"wllama","threads":2,"cases":{"prefill32":{"prompt_tokens":32,"prefill_tps":{"min":27.192,"median":27.192,"max":27.192,"n":1},"own_prefill_tps":{"median":28.53}}},"load":{"first_ms":3641.7,"cached_ms":{"min":2267.3,"median":2267.3,"max":2267.3,"n":1}},"ttft_cold_ms":1199.2,"machine":{"others_busy":0.026}}`;
const MEMORY =
  `{"peer":"nlc","load":{"total_ms":916.3},"cases":{"mem":{}},"ttft_cold_ms":98.9,"mem_peak_mib":{"pss":425,"rss":447,"anon":304,"procs":2}}`;
const FAILED =
  `{"peer":"nlc","threads":2,"error":"Error: runner ended with 1: no such file"}`;

const SETUP: PeersSetup = {
  model: "/models/m.gguf",
  bench: "/bench",
  modules: "/peers",
  threads: 2,
  waitIdle: 3,
};

/** A program that says the given texts in turn, and the arguments it got. */
function saying(...texts: string[]) {
  const calls: string[][] = [];
  const run = (
    command: string,
    args: readonly string[],
  ): Promise<Output> => {
    calls.push([command, ...args]);
    const stdout = texts[calls.length - 1]!;
    return Promise.resolve({ success: true, stdout, stderr: "" });
  };
  return { calls, run };
}

Deno.test("peerSample() takes the medians of node-llama-cpp by our names", () => {
  const { figures, othersBusy } = peerSample(NLC);
  assert.deepEqual(figures, {
    prefill32: 92.062,
    batch1: 9.154,
    batch1Decoding: 9.278,
    decode1000: 54.196,
    load: 1130.4,
    firstToken: 212.5,
    loadAndFirstToken: 1342.9,
  });
  assert.equal(othersBusy, 0.363);
});

Deno.test("peerSample() takes wllama's load from the browser's storage where there is one", () => {
  assert.equal(peerSample(WLLAMA).figures.load, 2267.3);
  const once = JSON.stringify({ load: { first_ms: 3641.7 } });
  assert.deepEqual(peerSample(once).figures, { load: 3641.7 });
});

Deno.test("peerSample() gives proportional memory in bytes", () => {
  assert.equal(peerSample(MEMORY).figures.memory, 425 * 2 ** 20);
});

Deno.test("peerSample() leaves out what a run could not measure", () => {
  const line =
    `{"cases":{"decode128":{"decode_tps":null},"sample":{"text":"x"}}}`;
  assert.deepEqual(peerSample(line).figures, {});
});

Deno.test("peerSample() throws what the runner says, and at a line that is none", () => {
  assert.throws(() => peerSample(FAILED), /runner ended with 1: no such file/);
  assert.throws(() => peerSample("Killed"), SyntaxError);
});

Deno.test("nodeLlamaCpp() runs memory alone and takes nothing else from it", async () => {
  const { calls, run } = saying(NLC, MEMORY);
  const peer = nodeLlamaCpp(SETUP, run);
  const { figures } = await peer.run(peer.settings[0]!, [
    "load",
    "prefill32",
    "decode1000",
    "memory",
  ]);
  assert.equal(calls.length, 2);
  const [first, second] = calls.map((call) => call.join(" "));
  assert.match(first!, /^node \/bench\/peer\.mjs --peer nlc /);
  assert.match(first!, /--threads 1 --case prefill32,depth1000 --reps 1 /);
  assert.match(first!, /--waitIdle 3 --modules \/peers\/node_modules$/);
  assert.match(second!, /--case mem /);
  assert.equal(figures.load, 1130.4);
  assert.equal(figures.memory, 425 * 2 ** 20);
});

Deno.test("nodeLlamaCpp() measures a load alone by a short case", async () => {
  const { calls, run } = saying(NLC);
  const peer = nodeLlamaCpp(SETUP, run);
  await peer.run(peer.settings[1]!, ["load"]);
  assert.equal(calls.length, 1);
  assert.match(calls[0]!.join(" "), /--threads 2 --case prefill32 /);
  assert.doesNotMatch(calls[0]!.join(" "), /--loadReps/);
});

Deno.test("wllama() has four settings and loads again only for the load", async () => {
  const { calls, run } = saying(WLLAMA, WLLAMA);
  const peer = wllama(SETUP, run);
  assert.equal(new Set(peer.settings.map((s) => s.id)).size, 4);
  const both = peer.settings.find((s) => s.id === "compat, flash off")!;
  await peer.run(both, ["load", "decode"]);
  await peer.run(both, ["decode"]);
  assert.match(calls[0]!.join(" "), /--loadReps 1 --compat --flash 0$/);
  assert.doesNotMatch(calls[1]!.join(" "), /--loadReps/);
});

Deno.test("wllama() chooses by short cases that it can run", () => {
  const peer = wllama(SETUP);
  assert.equal(peer.probe("prefill512"), "prefill128");
  assert.equal(peer.probe("decode4000"), "decode1000");
  assert.equal(peer.probe("batch8"), "decode");
});

Deno.test("threadSettings() tries one thread, and all where they are more", () => {
  assert.deepEqual(threadSettings(1).map((s) => s.threads), [1]);
  assert.deepEqual(threadSettings(4).map((s) => s.threads), [1, 4]);
});

Deno.test("a peer that dies without a line is an error with its words", async () => {
  const peer = nodeLlamaCpp(SETUP, () =>
    Promise.resolve({
      success: false,
      stdout: "",
      stderr: "Cannot find module peer.mjs",
    }));
  await assert.rejects(
    peer.run(peer.settings[0]!, ["decode"]),
    /nlc: Cannot find module/,
  );
});
