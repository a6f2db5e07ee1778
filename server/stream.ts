/**
 * Server-sent events.
 *
 * @module
 */
import { apiErrorOf } from "./errors.ts";

/** What is sent, one JSON value an event. */
export interface EventSource {
  /** The events. What it throws is sent as the last one. */
  readonly events: AsyncIterator<unknown>;
  /** The client has gone, or there is nothing left to send. Called once, and waited for. */
  readonly close: () => PromiseLike<void>;
  /** Sends a comment where nothing came for so long, milliseconds. */
  readonly keepAliveMs: number;
  /**
   * Whether events are named by their `type` and the last one says by itself that it
   * is. Default: they are not, and `[DONE]` is the last.
   */
  readonly named?: boolean;
}

const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
  // Proxies that collect responses make streams pointless.
  "x-accel-buffering": "no",
} as const;

/**
 * A response of events, closed by `data: [DONE]`, or by `data: {"error": …}` where
 * something went wrong on the way. An event is made when the client has room for it.
 */
export function eventStream(source: EventSource): Response {
  const encoder = new TextEncoder();
  let next: Promise<IteratorResult<unknown>> | undefined;
  let closing: PromiseLike<void> | undefined;
  const close = (): PromiseLike<void> => closing ??= source.close();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const send = (text: string): void =>
        controller.enqueue(encoder.encode(text));
      try {
        next ??= source.events.next();
        const result = await within(next, source.keepAliveMs);
        if (closing !== undefined) return;
        if (result === undefined) return send(": keep-alive\n\n");
        next = undefined;
        if (!result.done) {
          return send(eventOf(result.value, source.named));
        }
        await close();
        if (!source.named) send("data: [DONE]\n\n");
        controller.close();
      } catch (error) {
        if (closing !== undefined) return;
        await close();
        const { body } = apiErrorOf(error);
        send(`data: ${JSON.stringify({ error: body })}\n\n`);
        controller.close();
      }
    },
    cancel: close,
  }, { highWaterMark: 0 });
  return new Response(body, { headers: HEADERS });
}

function eventOf(value: unknown, named = false): string {
  const data = `data: ${JSON.stringify(value)}\n\n`;
  return named ? `event: ${(value as { type: string }).type}\n${data}` : data;
}

/** What a promise gives, undefined where that takes longer. */
async function within<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
