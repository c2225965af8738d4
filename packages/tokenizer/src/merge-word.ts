/**
 * Byte-pair encoding of one word (Sennrich et al., 2016): merge the pair of lowest rank, the leftmost on a tie, until
 * none is left. Two ways to the same ids: short words rescan an array of ranks, which is quadratic and fastest up to
 * about a hundred symbols; long ones keep a heap over a linked list, O(n log n), so that a megabyte without a space
 * costs a second and not an hour.
 */
import { type MergeTable, NO_MERGE } from './merge-table.ts';
import { at } from './unchecked.ts';

/** From how many symbols the heap is faster; measured on runs of letters and on base64. */
export const HEAP_FROM = 128;

/** Merges the first `count` symbols in place and gives how many are left. `ranks` is scratch of at least `count`. */
export function mergeShort(merges: MergeTable, symbols: Int32Array, count: number, ranks: Int32Array): number {
  let length = count;
  for (let i = 0; i + 1 < length; i++) ranks[i] = merges.rank(at(symbols, i), at(symbols, i + 1));
  while (length > 1) {
    let best = NO_MERGE;
    let place = 0;
    for (let i = 0; i < length - 1; i++) {
      const rank = at(ranks, i);
      if (rank < best) {
        best = rank;
        place = i;
      }
    }
    if (best === NO_MERGE) break;
    symbols[place] = merges.result(at(symbols, place), at(symbols, place + 1));
    length--;
    // Ranks up to `place` stay, the one of the merged pair goes, and those around it change.
    for (let i = place + 1; i < length; i++) {
      symbols[i] = at(symbols, i + 1);
      ranks[i] = at(ranks, i + 1);
    }
    if (place + 1 < length) ranks[place] = merges.rank(at(symbols, place), at(symbols, place + 1));
    if (place > 0) ranks[place - 1] = merges.rank(at(symbols, place - 1), at(symbols, place));
  }
  return length;
}

/** The same for words of any length. */
export function mergeLong(merges: MergeTable, symbols: Int32Array, count: number): number {
  const next = new Int32Array(count);
  const previous = new Int32Array(count);
  /** The rank of the pair that starts at a symbol; −1 once the symbol has been merged into the one before it. */
  const ranks = new Int32Array(count);
  // rank · 2³² + place: one exact number that orders by rank, then from left to right.
  const heap = new MinimumHeap(count);
  for (let i = 0; i < count; i++) {
    next[i] = i + 1;
    previous[i] = i - 1;
    ranks[i] = i + 1 < count ? merges.rank(at(symbols, i), at(symbols, i + 1)) : NO_MERGE;
    if (at(ranks, i) !== NO_MERGE) heap.append(at(ranks, i) * 0x100000000 + i);
  }
  heap.order();

  while (heap.length > 0) {
    const key = heap.pop();
    const rank = Math.floor(key / 0x100000000);
    const place = key - rank * 0x100000000;
    if (at(ranks, place) !== rank) continue; // the pair has changed since
    const taken = at(next, place);
    const after = at(next, taken);
    symbols[place] = merges.result(at(symbols, place), at(symbols, taken));
    ranks[taken] = -1;
    next[place] = after;
    const afterRank = after < count ? merges.rank(at(symbols, place), at(symbols, after)) : NO_MERGE;
    ranks[place] = afterRank;
    if (afterRank !== NO_MERGE) heap.push(afterRank * 0x100000000 + place);
    if (after < count) previous[after] = place;
    const before = at(previous, place);
    if (before >= 0) {
      const beforeRank = merges.rank(at(symbols, before), at(symbols, place));
      ranks[before] = beforeRank;
      if (beforeRank !== NO_MERGE) heap.push(beforeRank * 0x100000000 + before);
    }
  }
  let length = 0;
  for (let i = 0; i < count; i = at(next, i)) symbols[length++] = at(symbols, i);
  return length;
}

/** A binary heap of numbers, smallest first. */
class MinimumHeap {
  #keys: Float64Array;
  #length = 0;

  constructor(capacity: number) {
    this.#keys = new Float64Array(Math.max(capacity, 16));
  }

  get length(): number {
    return this.#length;
  }

  /** Adds without ordering: call `order` after the last. */
  append(key: number): void {
    if (this.#length === this.#keys.length) {
      const grown = new Float64Array(this.#length * 2);
      grown.set(this.#keys);
      this.#keys = grown;
    }
    this.#keys[this.#length++] = key;
  }

  order(): void {
    for (let i = (this.#length >>> 1) - 1; i >= 0; i--) this.#sink(i, at(this.#keys, i));
  }

  push(key: number): void {
    this.append(key);
    const keys = this.#keys;
    let i = this.#length - 1;
    while (i > 0) {
      const parent = (i - 1) >>> 1;
      if (at(keys, parent) <= key) break;
      keys[i] = at(keys, parent);
      i = parent;
    }
    keys[i] = key;
  }

  pop(): number {
    const smallest = at(this.#keys, 0);
    const last = at(this.#keys, --this.#length);
    if (this.#length > 0) this.#sink(0, last);
    return smallest;
  }

  #sink(from: number, key: number): void {
    const keys = this.#keys;
    let i = from;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= this.#length) break;
      if (child + 1 < this.#length && at(keys, child + 1) < at(keys, child)) child++;
      if (at(keys, child) >= key) break;
      keys[i] = at(keys, child);
      i = child;
    }
    keys[i] = key;
  }
}
