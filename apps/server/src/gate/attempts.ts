/**
 * Attempts to sign in: so many in a quarter of an hour for a name from one address, for an address, and for a name from anywhere. The
 * last is wide, so that somebody who guesses cannot easily lock the right person out. An attempt counts when it begins.
 */
import { ApiError } from '@parley/protocol';

const WINDOW_MS = 15 * 60_000;
const LIMITS = { pair: 8, address: 40, name: 100 } as const;
const MOST_KEPT = 50_000;
/** Passwords being checked at once: each takes tens of megabytes and a core for a moment. */
const AT_ONCE = 8;

export class Attempts {
  readonly #counts = new Map<string, { count: number; readonly until: number }>();
  readonly #now: () => number;
  #checking = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Runs a check of a password. Throws ApiError (429) where there were too many; the right one forgives those of this name from this address. */
  async try<Result>({ name, address }: { name: string; address: string }, check: () => Promise<Result | null>): Promise<Result | null> {
    const from = networkOf(address);
    const person = name.normalize('NFKC').toLowerCase();
    const counted = { pair: `pair ${from} ${person}`, address: `address ${from}`, name: `name ${person}` };
    for (const [kind, limit] of Object.entries(LIMITS) as [keyof typeof LIMITS, number][]) {
      const { count, until } = this.#count(counted[kind]);
      if (count >= limit) throw tooMany(until - this.#now());
    }
    if (this.#checking >= AT_ONCE) throw tooMany(1000);
    for (const key of Object.values(counted)) this.#count(key).count++;
    this.#checking++;
    try {
      const result = await check();
      if (result !== null) this.#counts.delete(counted.pair);
      return result;
    } finally {
      this.#checking--;
    }
  }

  #count(key: string): { count: number; readonly until: number } {
    const now = this.#now();
    const kept = this.#counts.get(key);
    if (kept !== undefined && kept.until > now) return kept;
    this.#counts.delete(key);
    for (const [old, { until }] of this.#counts) {
      if (until > now && this.#counts.size < MOST_KEPT) break;
      this.#counts.delete(old);
    }
    const fresh = { count: 0, until: now + WINDOW_MS };
    this.#counts.set(key, fresh);
    return fresh;
  }
}

/** One person may have 2^64 addresses of IPv6: the network is counted. */
function networkOf(address: string): string {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address;
  const [head = '', tail = ''] = address.split('::');
  const [before, after] = [head.split(':').filter((part) => part !== ''), tail.split(':').filter((part) => part !== '')];
  const filled = [...before, ...Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0'), ...after];
  return `${filled.slice(0, 4).join(':')}::`;
}

function tooMany(waitMs: number): ApiError {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000));
  return new ApiError(`There were too many attempts to sign in. Try again in ${seconds} s.`, {
    status: 429, type: 'rate_limit_error', code: 'too_many_attempts', headers: { 'retry-after': String(seconds) },
  });
}
