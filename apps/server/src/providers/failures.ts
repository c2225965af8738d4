/**
 * What goes wrong at another endpoint, as our callers are told: in our envelope, with the provider named. What is the caller's fault
 * stays theirs (400, 404, 429 …); what is between the two servers, a refused key above all, is a 502 and says nothing of the key.
 */
import { ApiError } from '@parley/protocol';

type ApiErrorOptions = ConstructorParameters<typeof ApiError>[1];

/** Where, and what must not be told. */
export interface Place {
  readonly name: string;
  readonly key: string | null;
}

const PASSED_ON = new Set([400, 404, 409, 413, 415, 422, 429]);

const say = ({ name, key }: Place, message: string): string => {
  const text = `The provider '${name}' ${message}`;
  return key === null ? text : text.replaceAll(key, '…');
};

const broken = (place: Place, message: string, options: Omit<ApiErrorOptions, 'status'> & { readonly status?: number }): ApiError =>
  new ApiError(say(place, message), { status: 502, type: 'server_error', ...options });

/** An answer with another status than 200. */
export function fromAnswer(place: Place, { status, headers, body }: { status: number; headers: Headers; body: string }): ApiError {
  const { message, type, param, code } = envelope(body);
  if (status === 401 || status === 403) {
    return broken(place, `does not accept this server's key (${status}): its operator has to set another.`, { code: 'provider_refused_key' });
  }
  const said = message === undefined ? `answered with status ${status}.` : `says: ${message}`;
  if (!PASSED_ON.has(status)) return broken(place, said, { code: 'provider_failed' });
  const retryAfter = headers.get('retry-after');
  return new ApiError(say(place, said), {
    status,
    type: status === 429 ? 'rate_limit_error' : status === 404 ? 'not_found_error' : 'invalid_request_error',
    param: param ?? null,
    code: code ?? type ?? null,
    headers: retryAfter !== null && /^[\w ,:+-]{1,40}$/.test(retryAfter) ? { 'retry-after': retryAfter } : {},
  });
}

/** An event of a stream that is an error. */
export function fromEvent(place: Place, body: unknown): ApiError {
  const { message = 'its answer failed', code } = fieldsOf(body);
  return broken(place, `says: ${message}`, { code: code ?? 'provider_failed' });
}

export const unreachable = (place: Place, cause: unknown): ApiError =>
  broken(place, `cannot be reached (${codeOf(cause) ?? 'no connection'}). Try again later.`, { code: 'provider_unreachable', cause });

export const timedOut = (place: Place, milliseconds: number): ApiError =>
  broken(place, `has been silent for ${milliseconds / 1000} s and was given up.`, { status: 504, code: 'provider_timeout' });

export const cutOff = (place: Place, cause?: unknown): ApiError =>
  broken(place, 'ended its answer before it was complete.', { code: 'provider_cut_off', cause });

export const notUnderstood = (place: Place): ApiError => broken(place, 'answered with something that is no answer of OpenAI\'s API.', { code: 'provider_failed' });

/** What Node calls a failed connection: ECONNREFUSED, ENOTFOUND. */
export function codeOf(error: unknown): string | undefined {
  for (let each = error; each instanceof Error; each = each.cause) {
    if ('code' in each && typeof each.code === 'string') return each.code;
    if (each instanceof AggregateError && each.errors.length > 0) return codeOf(each.errors[0]);
  }
  return undefined;
}

interface Envelope {
  readonly message?: string;
  readonly type?: string;
  readonly param?: string;
  readonly code?: string;
}

function envelope(body: string): Envelope {
  try {
    return fieldsOf(JSON.parse(body));
  } catch {
    return {};
  }
}

function fieldsOf(body: unknown): Envelope {
  const error = typeof body === 'object' && body !== null && 'error' in body ? body.error : body;
  if (typeof error === 'string') return { message: error };
  if (typeof error !== 'object' || error === null) return {};
  // Some servers give numbers as codes.
  const fields = Object.entries(error).filter((field): field is [string, string] => typeof field[1] === 'string' && field[1] !== '' && field[1].length < 2000);
  const { message, type, param, code } = Object.fromEntries(fields);
  return { ...(message && { message }), ...(type && { type }), ...(param && { param }), ...(code && { code }) };
}
