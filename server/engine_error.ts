/**
 * What an engine throws, as clients are told.
 *
 * @module
 */
import { ModelError } from "../core/errors.ts";
import { ApiError, apiErrorOf, badRequest } from "./errors.ts";

/**
 * Errors of the request's making by their message, all others without. `FormatError`
 * is known by its name: it is thrown for schemas that no text can be made by.
 */
export function engineError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (!(error instanceof Error)) return apiErrorOf(error);
  if (error.name === "FormatError") {
    return badRequest(error.message, "response_format", "invalid_json_schema");
  }
  // Of its file the client need not hear.
  if (error instanceof ModelError) return badRequest(problemOf(error), null);
  if (error.name === "TimeoutError") {
    return new ApiError(408, "The deadline passed before there was an answer", {
      code: "deadline_exceeded",
    });
  }
  if (error.name === "AbortError") {
    return new ApiError(503, "The request was ended", {
      code: "aborted",
      cause: error,
    });
  }
  if (error.name !== "RangeError" && error.name !== "TypeError") {
    return apiErrorOf(error);
  }
  const { message } = error;
  if (/^Cannot (take|run) /.test(message)) {
    return badRequest(message, null, "context_length_exceeded");
  }
  if (/^Cannot (generate|sample|compute|stop) /.test(message)) {
    return badRequest(message);
  }
  return apiErrorOf(error);
}

function problemOf({ problem }: ModelError): string {
  return `Cannot use the model for this: ${problem}`;
}
