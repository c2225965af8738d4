/**
 * Who has which pages of the key/value memory. Attention reads a sequence's keys as one run of rows, so a sequence has an extent of
 * consecutive pages; when the free pages lie scattered, extents are moved together. Arithmetic only: rows are moved by the pool.
 */

/** Consecutive pages. Its numbers change as it grows and is moved; its identity does not. */
export interface Extent {
  start: number;
  pages: number;
}

export interface Move {
  /** In pages. */
  readonly from: number;
  readonly to: number;
  readonly pages: number;
}

export class Pages {
  readonly total: number;
  /** In the order of their place. */
  readonly #extents: Extent[] = [];
  #used = 0;

  constructor(total: number) {
    this.total = total;
  }

  get used(): number {
    return this.#used;
  }

  get free(): number {
    return this.total - this.#used;
  }

  get extents(): readonly Extent[] {
    return this.#extents;
  }

  /** An extent in the smallest gap that holds it; null if there is none, though scattered pages may suffice. */
  allocate(pages: number): Extent | null {
    let best: { index: number; start: number; size: number } | null = null;
    for (let index = 0, start = 0; index <= this.#extents.length; index++) {
      const next = this.#extents[index];
      const size = (next?.start ?? this.total) - start;
      if (size >= pages && (best === null || size < best.size)) best = { index, start, size };
      if (next) start = next.start + next.pages;
    }
    if (best === null) return null;
    const extent = { start: best.start, pages };
    this.#extents.splice(best.index, 0, extent);
    this.#used += pages;
    return extent;
  }

  /** Where it stands, if what lies behind it is free. */
  grow(extent: Extent, pages: number): boolean {
    const next = this.#extents[this.#extents.indexOf(extent) + 1];
    if ((next?.start ?? this.total) < extent.start + pages) return false;
    this.#used += pages - extent.pages;
    extent.pages = pages;
    return true;
  }

  shrink(extent: Extent, pages: number): void {
    this.#used -= extent.pages - pages;
    extent.pages = pages;
  }

  release(extent: Extent): void {
    this.#extents.splice(this.#extents.indexOf(extent), 1);
    this.#used -= extent.pages;
  }

  /** `other`, which is not among them, takes over the place of `extent`: who holds `other` need not know that it was moved. */
  replace(extent: Extent, other: Extent): void {
    Object.assign(other, extent);
    this.#extents[this.#extents.indexOf(extent)] = other;
  }

  /**
   * Moves extents together so that all free pages lie in one run: behind `before`, or at the end. The moves are to be made in their
   * order; none overwrites what a later one reads.
   */
  compact(before: Extent | null = null): Move[] {
    const moves: Move[] = [];
    const move = (extent: Extent, to: number): void => {
      if (extent.start !== to) moves.push({ from: extent.start, to, pages: extent.pages });
      extent.start = to;
    };
    const last = before === null ? this.#extents.length - 1 : this.#extents.indexOf(before);
    let low = 0;
    for (const extent of this.#extents.slice(0, last + 1)) {
      move(extent, low);
      low += extent.pages;
    }
    let high = this.total;
    for (const extent of this.#extents.slice(last + 1).reverse()) {
      high -= extent.pages;
      move(extent, high);
    }
    return moves;
  }
}
