/**
 * Clients of a server, in a thread of their own: so many streams at a time, a share
 * of them left early.
 *
 * @module
 */
import { type Wanted, wantedBy } from "./load_plan.ts";

/** What the thread is told. */
export interface Orders {
  readonly url: string;
  readonly streams: number;
  readonly ms: number;
  readonly share: number;
}

/** What it found. */
export interface Found {
  readonly whole: number;
  readonly left: number;
  /** What went wrong, by message. */
  readonly errors: Readonly<Record<string, number>>;
}

const self = globalThis as unknown as {
  onmessage: (event: MessageEvent<Orders>) => void;
  postMessage(found: Found): void;
};

self.onmessage = async ({ data }) => self.postMessage(await run(data));

async function run({ url, streams, ms, share }: Orders): Promise<Found> {
  const until = performance.now() + ms;
  const errors: Record<string, number> = {};
  let whole = 0, left = 0;
  const client = async (number: number): Promise<void> => {
    for (let n = 0; performance.now() < until; n++) {
      const wanted = wantedBy(number, n, share);
      try {
        if (await streamed(url, wanted)) whole++;
        else left++;
      } catch (error) {
        const why = String(error).slice(0, 200);
        errors[why] = (errors[why] ?? 0) + 1;
      }
    }
  };
  await Promise.all(Array.from({ length: streams }, (_, i) => client(i)));
  return { whole, left, errors };
}

/** Whether it came to its end; throws where that is not as it should be. */
async function streamed(url: string, wanted: Wanted): Promise<boolean> {
  const controller = new AbortController();
  try {
    return await read(url, wanted, controller);
  } catch (error) {
    if (controller.signal.aborted) return false;
    throw error;
  }
}

async function read(
  url: string,
  { content, maxTokens, leavesAfter }: Wanted,
  controller: AbortController,
): Promise<boolean> {
  const res = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    signal: controller.signal,
    body: JSON.stringify({
      messages: [{ role: "user", content }],
      max_tokens: maxTokens,
      ignore_eos: true,
      stream: true,
    }),
  });
  if (res.status !== 200) throw new Error(`${res.status} ${await res.text()}`);
  const decoder = new TextDecoder();
  let tail = "", pieces = 0, finished = false;
  for await (const bytes of res.body!) {
    const text = tail + decoder.decode(bytes, { stream: true });
    const events = text.split("\n\n");
    tail = events.pop()!;
    for (const event of events) {
      if (event.startsWith('data: {"error"')) throw new Error(event);
      finished ||= /"finish_reason":"(length|stop)"/.test(event);
      if (event === "data: [DONE]") {
        if (!finished) throw new Error("a stream without a finish_reason");
        return true;
      }
      pieces++;
    }
    if (leavesAfter !== undefined && pieces > leavesAfter) {
      controller.abort();
      return false;
    }
  }
  throw new Error("a stream that broke off");
}
