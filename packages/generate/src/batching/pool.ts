/**
 * The memory of all sequences' keys and values: one cache, given out in extents of pages. Whatever is free can be had: an extent that
 * cannot grow where it stands is moved, and where no gap is large enough the others are moved together.
 */
import type { KeyValueCache } from '@parley/model';
import { type Extent, type Move, Pages } from './pages.ts';

export class KeyValuePool implements Disposable {
  readonly cache: KeyValueCache;
  readonly pageTokens: number;
  readonly #pages: Pages;

  /** Owns the cache. */
  constructor(cache: KeyValueCache, pageTokens: number) {
    this.cache = cache;
    this.pageTokens = pageTokens;
    this.#pages = new Pages(Math.floor((cache.slots * cache.capacity) / pageTokens));
  }

  get total(): number {
    return this.#pages.total;
  }

  get used(): number {
    return this.#pages.used;
  }

  get free(): number {
    return this.#pages.free;
  }

  pagesFor(tokens: number): number {
    return Math.max(1, Math.ceil(tokens / this.pageTokens));
  }

  /** The cache row in which an extent begins, until it grows or others do. */
  row(extent: Extent): number {
    return extent.start * this.pageTokens;
  }

  /** Tokens it can hold. */
  capacity(extent: Extent): number {
    return extent.pages * this.pageTokens;
  }

  /** `pages` is at most what is free. */
  reserve(pages: number): Extent {
    let extent = this.#pages.allocate(pages);
    if (extent === null) {
      this.#move(this.#pages.compact());
      extent = this.#pages.allocate(pages);
    }
    if (extent === null) throw new RangeError(`${pages} pages were asked for and ${this.free} are free`);
    return extent;
  }

  /** To `pages`, by at most what is free; the first `used` tokens stay. */
  grow(extent: Extent, pages: number, used: number): void {
    if (pages <= extent.pages || this.#pages.grow(extent, pages)) return;
    const other = this.#pages.allocate(pages);
    if (other !== null) {
      this.copy(extent, other, { from: 0, to: used });
      this.#pages.release(extent);
      this.#pages.replace(other, extent);
      return;
    }
    this.#move(this.#pages.compact(extent));
    if (!this.#pages.grow(extent, pages)) throw new RangeError(`${pages - extent.pages} more pages were asked for and ${this.free} are free`);
  }

  /** Gives back what `tokens` do not need. */
  shrink(extent: Extent, tokens: number): void {
    const pages = this.pagesFor(tokens);
    if (pages < extent.pages) this.#pages.shrink(extent, pages);
  }

  release(extent: Extent): void {
    this.#pages.release(extent);
  }

  /** Tokens `from` to `to` of one extent, to the same places of another. */
  copy(source: Extent, target: Extent, { from, to }: { from: number; to: number }): void {
    this.cache.copyRows(this.row(source) + from, this.row(target) + from, to - from);
  }

  dispose(): void {
    this.cache.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #move(moves: readonly Move[]): void {
    for (const { from, to, pages } of moves) this.cache.copyRows(from * this.pageTokens, to * this.pageTokens, pages * this.pageTokens);
  }
}
