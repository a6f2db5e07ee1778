/**
 * Sessions: what stands before K and V. Checksums are put right after most changes,
 * so that they hide nothing.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import { SessionError } from "../../engine/session_error.ts";
import {
  encodeHead,
  finishHead,
  FIXED,
  readHead,
  type SessionHead,
} from "../../engine/session_format.ts";
import type { SessionText } from "../../engine/session_text.ts";
import { bendJson, writeJson } from "./bend_json.ts";
import { bendBytes, type Field, howMany } from "./bytes.ts";
import type { Random } from "./random.ts";
import { checkMessage, claim, type Sample, type Target } from "./target.ts";

const NAME = "talk.quire";

const FIELDS: readonly Field[] = [8, 12, 16, 20, 24, 28, 36, 40].map((at) => ({
  at,
  bytes: at === 28 ? 8 : 4,
}));

function seed(text: Partial<SessionText>, tokens: readonly number[]): Sample {
  const head = encodeHead({
    model: "m.gguf",
    plan: "wasm",
    prints: {
      weights: "w",
      tokenizer: "t",
      rope: "r",
      plan: "p",
      address: "a",
    },
    messages: [],
    past: "",
    sampler: undefined,
    cut: false,
    adapters: [],
    ...text,
  }, tokens);
  finishHead(head, Math.min(2, tokens.length), head.length);
  return new Map([[NAME, new Uint8Array(head)]]);
}

function reseal(bytes: Uint8Array, length: number): void {
  if (bytes.length < FIXED) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(
    36,
    crc32(bytes.subarray(FIXED, Math.max(FIXED, length))),
    true,
  );
  view.setUint32(40, crc32(bytes.subarray(0, 40)), true);
}

function mutate(seeds: readonly Sample[], r: Random): Sample {
  const bytes = r.pick(seeds).get(NAME)!, other = r.pick(seeds).get(NAME)!;
  let bent = new Uint8Array(bytes);
  if (r.once(2)) {
    const view = new DataView(bytes.buffer), length = view.getUint32(16, true);
    const text = bytes.subarray(FIXED, FIXED + length);
    const value = JSON.parse(new TextDecoder().decode(text));
    for (let n = howMany(r); n > 0; n--) {
      bendJson(value, r, JSON.parse(new TextDecoder().decode(text)));
    }
    const json = new TextEncoder().encode(writeJson(value, r));
    bent = new Uint8Array([
      ...bytes.subarray(0, FIXED),
      ...json,
      ...bytes.subarray(FIXED + length),
    ]);
    new DataView(bent.buffer).setUint32(16, json.length, true);
  } else bent = bendBytes(bent, r, FIELDS, other, howMany(r));
  if (bent.length >= FIXED && !r.once(8)) {
    const view = new DataView(bent.buffer);
    const said = FIXED + view.getUint32(16, true) +
      4 * view.getUint32(20, true);
    reseal(bent, Math.min(said, bent.length));
  }
  return new Map([[NAME, bent]]);
}

async function open(bytes: Uint8Array): Promise<SessionHead | string> {
  let at = 0;
  try {
    return await readHead(NAME, (out) => {
      const from = bytes.subarray(at, at + out.length);
      out.set(from);
      at += from.length;
      return Promise.resolve(from.length === out.length);
    }, bytes.length);
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    return checkMessage(error.message);
  }
}

/** The fields as they stand there. */
function check(head: SessionHead, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const u32 = (at: number): number => view.getUint32(at, true);
  const at = FIXED + u32(16);
  claim(
    new TextDecoder().decode(bytes.subarray(0, 8)) === "QUIRESES",
    "no session",
  );
  claim(u32(8) === 1, `version ${u32(8)}`);
  claim(head.tokens.length === u32(20), `${head.tokens.length} tokens`);
  claim(head.tokens.every((t, i) => t === u32(at + 4 * i)), "other tokens");
  claim(
    head.at === at + 4 * u32(20) && head.at <= bytes.length,
    `blocks at ${head.at}`,
  );
  claim(head.positions <= head.tokens.length, `${head.positions} positions`);
  claim(
    u32(36) === crc32(bytes.subarray(FIXED, head.at)),
    "damaged, and accepted",
  );
  const { model, plan, past, prints, messages, sampler } = head.text;
  const texts = [model, plan, past, ...Object.values(prints)];
  claim(texts.every((t) => typeof t === "string"), "a text is none");
  for (const { role, content } of messages) {
    claim(
      typeof role === "string" && typeof content === "string",
      "a message is none",
    );
  }
  const numbers = Object.values(sampler ?? {}).filter((n) =>
    typeof n === "number"
  );
  claim(numbers.every(Number.isFinite), "a sampler of no numbers");
}

/** Heads of sessions. */
export const session: Target = {
  name: "session",
  weight: 1,
  seeds: () =>
    Promise.resolve([
      seed({}, [1, 2, 3]),
      seed({
        messages: [{ role: "user", content: "Größe? 🙂", extra: [1] }, {
          role: "assistant",
          content: "",
        }],
        past: "[user]",
        sampler: {
          temperature: 0.5,
          topK: 3,
          seed: 2 ** 53,
          logitBias: { 7: -Infinity },
        },
        cut: true,
      }, Array.from({ length: 100 }, (_, i) => 31 * i)),
    ]),
  mutate,
  async read(sample) {
    const bytes = sample.get(NAME)!, head = await open(bytes);
    if (typeof head === "string") return head;
    check(head, bytes);
    return undefined;
  },
};
