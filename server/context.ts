/**
 * What handlers find in their context.
 *
 * @module
 */
import type { Serving } from "./serving.ts";

/** Variables of a request, for Hono. */
export interface Env {
  /** Set by middleware before any handler runs. */
  Variables: {
    /** What all requests share. */
    serving: Serving;
    /** From the client, or made up. */
    requestId: string;
    /** Which key it came with; "" where none is asked for. */
    owner: string;
  };
}
