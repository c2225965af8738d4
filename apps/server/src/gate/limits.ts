/**
 * Requests and tokens a minute, for each identity: two token buckets that fill evenly and hold one minute's worth. A request is let in
 * while there is something in both. Tokens are taken when they are known (the prompt when it is read, each word when it is said), so an
 * answer may take the bucket below nothing; the next request then waits for what was borrowed, and the mean over time is the limit.
 */
import { ApiError } from '@parley/protocol';

export interface RateLimits {
  readonly requestsPerMinute: number | null;
  readonly tokensPerMinute: number | null;
}

/** Those who have not asked for so long that their buckets are full again are forgotten when there are more than this. */
const MOST_KEPT = 10_000;

class Bucket {
  #level: number;
  #at: number;
  #limit: number;

  constructor(limit: number, now: number) {
    this.#limit = limit;
    this.#level = limit;
    this.#at = now;
  }

  /** What is in it, below 0 where more was taken than there was. A limit that was changed counts from now on. */
  level(limit: number, now: number): number {
    this.#level = Math.min(limit, this.#level + ((now - this.#at) * this.#limit) / 60_000);
    this.#at = now;
    this.#limit = limit;
    return this.#level;
  }

  take(amount: number): void {
    this.#level -= amount;
  }

  get full(): boolean {
    return this.#level >= this.#limit;
  }

  /** Milliseconds until there is so much in it. */
  untilMs(level: number): number {
    return Math.max(0, ((level - this.#level) * 60_000) / this.#limit);
  }
}

type Kind = 'requests' | 'tokens';
const KINDS: readonly Kind[] = ['requests', 'tokens'];
const limitOf = (limits: RateLimits, kind: Kind): number | null => (kind === 'requests' ? limits.requestsPerMinute : limits.tokensPerMinute);

export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** One request. Throws ApiError (429) naming the limit and when to ask again. */
  admit(id: string, limits: RateLimits): void {
    for (const kind of KINDS) {
      const limit = limitOf(limits, kind);
      if (limit === null) continue;
      const bucket = this.#bucket(id, kind, limit);
      if (bucket.level(limit, this.#now()) < 1) throw limited(kind, limit, bucket.untilMs(1));
    }
    // Refused requests take nothing, or whoever asks again too soon would never be let in.
    if (limits.requestsPerMinute !== null) this.#bucket(id, 'requests', limits.requestsPerMinute).take(1);
  }

  spend(id: string, tokens: number, limits: RateLimits): void {
    if (limits.tokensPerMinute !== null) this.#bucket(id, 'tokens', limits.tokensPerMinute).take(tokens);
  }

  /** `x-ratelimit-limit-requests: 60`, `-remaining-requests: 59`, `-reset-requests: 1s` (until the bucket is full), and of tokens. */
  headers(id: string, limits: RateLimits): Record<string, string> {
    return Object.fromEntries(KINDS.flatMap((kind) => {
      const limit = limitOf(limits, kind);
      if (limit === null) return [];
      const bucket = this.#bucket(id, kind, limit);
      const level = bucket.level(limit, this.#now());
      return [
        [`x-ratelimit-limit-${kind}`, String(limit)], [`x-ratelimit-remaining-${kind}`, String(Math.max(0, Math.floor(level)))],
        [`x-ratelimit-reset-${kind}`, duration(bucket.untilMs(limit))],
      ];
    }));
  }

  #bucket(id: string, kind: Kind, limit: number): Bucket {
    const name = `${kind} ${id}`;
    let bucket = this.#buckets.get(name);
    if (bucket === undefined) {
      if (this.#buckets.size >= MOST_KEPT) for (const [key, each] of this.#buckets) if (each.full) this.#buckets.delete(key);
      bucket = new Bucket(limit, this.#now());
      this.#buckets.set(name, bucket);
    }
    return bucket;
  }
}

/** As OpenAI writes it: `17ms`, `1.5s`, `6m0s`, `1h0m0s`. */
export function duration(ms: number): string {
  const whole = Math.ceil(ms);
  if (whole < 1000) return `${whole}ms`;
  const seconds = Math.round(whole / 10) / 100;
  if (seconds < 60) return `${seconds}s`;
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds % 60)];
  return `${hours > 0 ? `${hours}h` : ''}${minutes}m${rest}s`;
}

function limited(kind: Kind, limit: number, waitMs: number): ApiError {
  const per = kind === 'requests' ? 'requests per min (RPM)' : 'tokens per min (TPM)';
  return new ApiError(`Rate limit reached on ${per}: Limit ${limit}. Please try again in ${duration(waitMs)}.`, {
    status: 429, type: kind, code: 'rate_limit_exceeded',
    headers: { 'retry-after': String(Math.max(1, Math.ceil(waitMs / 1000))), 'retry-after-ms': String(Math.ceil(waitMs)) },
  });
}
