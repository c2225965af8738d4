/**
 * What sequences that have ended left behind: their tokens, with keys and values still in their extents. A prompt that begins like one
 * of them starts from there. The least recently used go first when memory is wanted.
 */
import type { Extent } from './pages.ts';

export interface Remembered {
  readonly tokens: readonly number[];
  readonly extent: Extent;
}

/** How many tokens two sequences begin with in common. */
export function commonPrefix(a: readonly number[], b: readonly number[]): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}

export class PrefixCache {
  /** Least recently used first. */
  readonly #entries = new Set<Remembered>();
  readonly #release: (extent: Extent) => void;
  #tokens = 0;
  #pages = 0;

  constructor(release: (extent: Extent) => void) {
    this.#release = release;
  }

  get tokens(): number {
    return this.#tokens;
  }

  /** Pages that could be had by forgetting. */
  get pages(): number {
    return this.#pages;
  }

  /** Takes the extent over, or releases it if another says as much; others that say less are forgotten. */
  add(tokens: readonly number[], extent: Extent): void {
    for (const entry of this.#entries) {
      const common = commonPrefix(entry.tokens, tokens);
      if (common === tokens.length) {
        this.#release(extent);
        this.touch(entry);
        return;
      }
      if (common === entry.tokens.length) this.#forget(entry);
    }
    const entry = { tokens, extent };
    this.#entries.add(entry);
    this.#tokens += tokens.length;
    this.#pages += extent.pages;
  }

  /** The one that begins most like `tokens`, of which at most `limit` count. */
  find(tokens: readonly number[], limit: number): { entry: Remembered; common: number } | null {
    let best: { entry: Remembered; common: number } | null = null;
    for (const entry of this.#entries) {
      const common = Math.min(limit, commonPrefix(entry.tokens, tokens));
      if (common > (best?.common ?? 0)) best = { entry, common };
    }
    return best;
  }

  touch(entry: Remembered): void {
    this.#entries.delete(entry);
    this.#entries.add(entry);
  }

  /** It is forgotten, and its extent is the caller's. */
  take(entry: Remembered): Extent {
    this.#entries.delete(entry);
    this.#tokens -= entry.tokens.length;
    this.#pages -= entry.extent.pages;
    return entry.extent;
  }

  /** Forgets the least recently used one; false if there is none but `spared`. */
  evict(spared: Remembered | null = null): boolean {
    for (const entry of this.#entries) {
      if (entry === spared) continue;
      this.#forget(entry);
      return true;
    }
    return false;
  }

  #forget(entry: Remembered): void {
    this.#release(this.take(entry));
  }
}
