/**
 * Every error.
 *
 * @module
 */
import { z } from "npm:zod@4.6.7";

/** `{"error": {…}}`. */
export const errorBody = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
});
