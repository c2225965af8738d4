/** Errors as OpenAI's clients expect them: an HTTP status and `{ error: { message, type, param, code } }`, all four fields always. */

export type ErrorType =
  | 'invalid_request_error' | 'authentication_error' | 'permission_error' | 'not_found_error' | 'rate_limit_error' | 'server_error'
  /** OpenAI's, of the limit that was reached. */
  | 'requests' | 'tokens' | 'insufficient_quota';

export interface ErrorBody {
  readonly error: { readonly message: string; readonly type: ErrorType; readonly param: string | null; readonly code: string | null };
}

export interface ApiErrorOptions {
  readonly status: number;
  readonly type?: ErrorType;
  /** The field that is at fault, as the caller wrote it: `messages.0.role`. */
  readonly param?: string | null;
  /** For programs: `model_not_found`, `context_length_exceeded`. */
  readonly code?: string | null;
  /** Sent with it, such as Retry-After. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

export class ApiError extends Error {
  override name = 'ApiError';
  readonly status: number;
  readonly type: ErrorType;
  readonly param: string | null;
  readonly code: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(message: string, options: ApiErrorOptions) {
    super(message, { cause: options.cause });
    this.status = options.status;
    this.type = options.type ?? (options.status >= 500 ? 'server_error' : 'invalid_request_error');
    this.param = options.param ?? null;
    this.code = options.code ?? null;
    this.headers = options.headers ?? {};
  }

  get body(): ErrorBody {
    const { message, type, param, code } = this;
    return { error: { message, type, param, code } };
  }
}

/** 400: something about the request itself. */
export const invalidRequest = (message: string, param: string | null = null, code: string | null = null): ApiError =>
  new ApiError(message, { status: 400, param, code });
