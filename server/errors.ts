/**
 * Errors as clients of such servers read them:
 * `{"error": {"message", "type", "param", "code"}}`.
 *
 * @module
 */

/** What a client is told of an error. */
export interface ErrorBody {
  readonly message: string;
  /** A class of errors, `invalid_request_error` for instance. */
  readonly type: string;
  /** The field at fault, `messages[0].content` for instance. */
  readonly param: string | null;
  /** Which error of its class. */
  readonly code: string | null;
  /** What else clients look for: numbers of tokens for instance. */
  readonly [more: string]: unknown;
}

/** Settings of an `ApiError` beside its status and message. */
export interface ApiErrorOptions extends ErrorOptions {
  /** Default: what the status stands for. */
  readonly type?: string;
  readonly param?: string | null;
  readonly code?: string | null;
  /** Further fields of the body. */
  readonly more?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Statuses that the server answers with, and the `type` each stands for. */
export const ERROR_TYPES = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  405: "invalid_request_error",
  408: "timeout_error",
  409: "conflict_error",
  413: "invalid_request_error",
  415: "invalid_request_error",
  429: "rate_limit_error",
  500: "server_error",
  501: "not_supported_error",
  503: "unavailable_error",
} as const;

/** A status of an error. */
export type ErrorStatus = keyof typeof ERROR_TYPES;

/** An error that a client is told of as it is. */
export class ApiError extends Error {
  /** "ApiError". */
  override readonly name = "ApiError";
  readonly status: ErrorStatus;
  readonly body: ErrorBody;
  readonly headers: Readonly<Record<string, string>>;

  /** A status, and a message in the manner of all others: no full stop. */
  constructor(
    status: ErrorStatus,
    message: string,
    options: ApiErrorOptions = {},
  ) {
    super(message, options);
    const { type, param = null, code = null, more, headers = {} } = options;
    this.status = status;
    this.body = {
      message,
      type: type ?? ERROR_TYPES[status],
      param,
      code,
      ...more,
    };
    this.headers = headers;
  }
}

/** A request that can never be answered as it is. */
export function badRequest(
  message: string,
  param: string | null = null,
  code: string | null = "invalid_value",
): ApiError {
  return new ApiError(400, message, { param, code });
}

/** What has no place under the URL asked for. */
export function notFound(
  message: string,
  param: string | null = null,
  code = "not_found",
): ApiError {
  return new ApiError(404, message, { param, code });
}

/** A prompt longer than the context, as both families of clients look for it. */
export function tooLong(
  tokens: number,
  context: number,
  param: string | null = null,
): ApiError {
  return new ApiError(
    400,
    `request (${tokens} tokens) exceeds the available context size (${context} tokens), ` +
      `the answer included: shorten it, or serve the model with a larger context`,
    {
      type: "exceed_context_size_error",
      code: "context_length_exceeded",
      param,
      more: { n_prompt_tokens: tokens, n_ctx: context },
    },
  );
}

/** Too much at once: come again after so many seconds. */
export function tooMany(
  message: string,
  seconds: number,
  code: string,
): ApiError {
  return new ApiError(429, message, { code, headers: retryAfter(seconds) });
}

/** Not now: the server is ending, or the model is not there. */
export function unavailable(
  message: string,
  code: string,
  seconds = 5,
): ApiError {
  return new ApiError(503, message, { code, headers: retryAfter(seconds) });
}

function retryAfter(seconds: number): Record<string, string> {
  return { "retry-after": String(Math.max(1, Math.ceil(seconds))) };
}

/** Any error as one for clients: of what is our own fault they hear no details. */
export function apiErrorOf(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof Error && error.name === "BodyLimitError") {
    return new ApiError(413, "Cannot take the body: it is too large", {
      code: "body_too_large",
      cause: error,
    });
  }
  return new ApiError(500, "Something went wrong inside of the server", {
    code: "internal_error",
    cause: error,
  });
}
