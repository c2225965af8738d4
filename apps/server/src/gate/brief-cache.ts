/** What was asked a moment ago, so that many requests of one key cost one look-up a second. What changed elsewhere is seen that soon. */

export class BriefCache<Value> {
  readonly #kept = new Map<string, { readonly until: number; readonly value: Promise<Value> }>();
  readonly #lifetimeMs: number;
  readonly #most: number;
  readonly #now: () => number;

  constructor({ lifetimeMs = 1000, most = 10_000, now = () => performance.now() }: { lifetimeMs?: number; most?: number; now?: () => number } = {}) {
    this.#lifetimeMs = lifetimeMs;
    this.#most = most;
    this.#now = now;
  }

  /** Those who ask at once share one look-up. One that failed is not kept. */
  async get(key: string, look: () => Promise<Value>): Promise<Value> {
    const now = this.#now();
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.until > now) return kept.value;
    this.#kept.delete(key);
    // A Map keeps the order of insertion and all live equally long: the oldest are first.
    for (const [old, { until }] of this.#kept) {
      if (until > now && this.#kept.size < this.#most) break;
      this.#kept.delete(old);
    }
    const value = look();
    this.#kept.set(key, { until: now + this.#lifetimeMs, value });
    value.catch(() => this.#kept.delete(key));
    return value;
  }

  forget(key: string): void {
    this.#kept.delete(key);
  }
}
