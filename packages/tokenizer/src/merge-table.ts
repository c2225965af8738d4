/**
 * The merges of a vocabulary: an open-addressing table from a pair of token ids to the rank of their merge, one cache
 * line a look-up (a `Map` keyed by a number over 2³¹ would box every key), and from the rank to the id it makes.
 */
import { at } from './unchecked.ts';

/** left + 1 (0: empty), right, rank, and one unused so that a slot never straddles cache lines. */
const STRIDE = 4;

/** The rank of a pair that does not merge: after every other. */
export const NO_MERGE = 0x7fffffff;

export class MergeTable {
  readonly #slots: Int32Array;
  readonly #mask: number;
  readonly #results: Int32Array;

  /**
   * @param merges left, right and result of each merge, in order of rank: 3 integers each. A pair that stands twice
   * keeps its last rank, as in Hugging Face's tokenizers.
   */
  constructor(merges: Int32Array) {
    const count = merges.length / 3;
    let capacity = 16;
    while (capacity < count * 2) capacity *= 2;
    this.#slots = new Int32Array(capacity * STRIDE);
    this.#mask = capacity - 1;
    this.#results = new Int32Array(count);
    for (let rank = 0; rank < count; rank++) {
      const left = at(merges, rank * 3);
      const right = at(merges, rank * 3 + 1);
      const slot = this.#find(left, right);
      this.#slots[slot] = left + 1;
      this.#slots[slot + 1] = right;
      this.#slots[slot + 2] = rank;
      this.#results[rank] = at(merges, rank * 3 + 2);
    }
  }

  /** Where the pair is, or would be. */
  #find(left: number, right: number): number {
    const slots = this.#slots;
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    hash ^= hash >>> 15;
    for (let i = hash & this.#mask; ; i = (i + 1) & this.#mask) {
      const slot = i * STRIDE;
      const key = at(slots, slot);
      if (key === 0 || (key === left + 1 && at(slots, slot + 1) === right)) return slot;
    }
  }

  /** The rank of the pair's merge, NO_MERGE when there is none. */
  rank(left: number, right: number): number {
    const slot = this.#find(left, right);
    return at(this.#slots, slot) === 0 ? NO_MERGE : at(this.#slots, slot + 2);
  }

  /** Every pair that merges, in no order. */
  forEach(visit: (left: number, right: number, rank: number) => void): void {
    const slots = this.#slots;
    for (let slot = 0; slot < slots.length; slot += STRIDE) {
      const key = at(slots, slot);
      if (key !== 0) visit(key - 1, at(slots, slot + 1), at(slots, slot + 2));
    }
  }

  /** What the merge of a rank makes. */
  result(rank: number): number {
    return at(this.#results, rank);
  }
}
