/** What can go wrong between here and a hub. Every message names the host, the file or the value, and what to do about it. */
import { ModelError } from '../../errors.ts';

export type HubErrorKind =
  /** A name that is no OWNER/NAME, a token or an endpoint that cannot be one. */
  | 'name'
  | 'model-not-found' | 'revision-not-found' | 'file-not-found'
  /** Terms must be accepted first, or the token is missing, wrong or may not. */
  | 'gated' | 'unauthorized'
  /** Nothing may be fetched, and it is not in the cache. */
  | 'offline'
  /** The host was not reached, or the connection broke more often than was retried. */
  | 'network'
  /** The hub answered with a status that retrying did not change. */
  | 'server'
  /** The hub's answer is not what its interface promises, or names files outside of the model's folder. */
  | 'protocol' | 'unsafe-path'
  | 'disk-full' | 'cache' | 'checksum';

export class HubError extends ModelError {
  override name = 'HubError';
  readonly kind: HubErrorKind;
  readonly host: string | null;
  readonly status: number | null;
  readonly file: string | null;

  constructor(kind: HubErrorKind, message: string, details: { host?: string; status?: number; file?: string; cause?: unknown } = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = kind;
    this.host = details.host ?? null;
    this.status = details.status ?? null;
    this.file = details.file ?? null;
  }
}

/** A fault that may be gone at the next attempt. What is thrown when it is not, is `final`. */
export class Transient extends Error {
  override name = 'Transient';
  readonly final: HubError;
  /** What the hub asked to wait, in milliseconds. */
  readonly retryAfter: number | undefined;
  /** How many times more this kind of fault is worth an attempt, where that is fewer than of others. */
  readonly attempts: number;

  constructor(final: HubError, details: { retryAfter?: number | undefined; attempts?: number } = {}) {
    super(final.message, { cause: final });
    this.final = final;
    this.retryAfter = details.retryAfter;
    this.attempts = details.attempts ?? Infinity;
  }
}

/** Node's error code, of the error or of what caused it: `ENOSPC`, `ECONNREFUSED`. */
export function errorCode(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if ('code' in at && typeof at.code === 'string') return at.code;
    if (at instanceof AggregateError && at.errors.length > 0) return errorCode(at.errors[0]);
  }
  return undefined;
}
