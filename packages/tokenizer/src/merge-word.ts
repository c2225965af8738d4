/**
 * Byte-pair encoding of one word (Sennrich et al., 2016): merge the pair of lowest rank, the leftmost on a tie, until
 * none is left. Two ways to the same ids: short words rescan an array of ranks, which is quadratic and fastest for
 * words as European languages have them; long ones keep a tree of minima over a linked list, O(n log n), so that a
 * megabyte without a space costs a second and not an hour.
 */
import { type MergeTable, NO_MERGE } from './merge-table.ts';
import { at } from './unchecked.ts';

/** From how many symbols the tree is faster; measured on Chinese clauses and on base64. */
export const TREE_FROM = 24;

/**
 * Merges the first `count` symbols in place and gives how many are left.
 * @param ranks the rank of the pair that starts at each symbol but the last, NO_MERGE where it does not merge. Overwritten.
 */
export function mergeShort(merges: MergeTable, symbols: Int32Array, count: number, ranks: Int32Array): number {
  let length = count;
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
    symbols[place] = merges.result(best);
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

/** The same for words of any length; `ranks` is only read. Its memory stays for the next word while it is small. */
export class LongWordMerger {
  readonly #merges: MergeTable;
  #next = new Int32Array(0);
  #previous = new Int32Array(0);
  /** A complete binary tree: leaf `leaves + i` is the rank at symbol i, every other node the minimum of its two children. */
  #tree = new Int32Array(0);

  constructor(merges: MergeTable) {
    this.#merges = merges;
  }

  merge(symbols: Int32Array, count: number, ranks: Int32Array): number {
    const merges = this.#merges;
    const leaves = this.#prepare(count, ranks);
    const next = this.#next;
    const previous = this.#previous;
    const tree = this.#tree;
    for (let best = at(tree, 1); best !== NO_MERGE; best = at(tree, 1)) {
      let node = 1;
      while (node < leaves) {
        node *= 2;
        if (at(tree, node) !== best) node++; // the left one on a tie
      }
      const place = node - leaves;
      const taken = at(next, place);
      const after = at(next, taken);
      const result = merges.result(best);
      symbols[place] = result;
      next[place] = after;
      this.#set(leaves + taken, NO_MERGE);
      if (after < count) {
        previous[after] = place;
        this.#set(node, merges.rank(result, at(symbols, after)));
      } else {
        this.#set(node, NO_MERGE);
      }
      const before = at(previous, place);
      if (before >= 0) this.#set(leaves + before, merges.rank(at(symbols, before), result));
    }
    let length = 0;
    for (let i = 0; i < count; i = at(next, i)) symbols[length++] = at(symbols, i);
    return length;
  }

  /** Fills the list and the tree; gives the number of leaves. */
  #prepare(count: number, ranks: Int32Array): number {
    let leaves = 1;
    while (leaves < count) leaves *= 2;
    // Kept for words up to 32 KiB; one word of many megabytes does not hold on to its memory.
    if (leaves * 2 > this.#tree.length || this.#tree.length > 1 << 16) {
      this.#next = new Int32Array(leaves);
      this.#previous = new Int32Array(leaves);
      this.#tree = new Int32Array(leaves * 2);
    }
    const tree = this.#tree;
    for (let i = 0; i < count; i++) {
      this.#next[i] = i + 1;
      this.#previous[i] = i - 1;
      tree[leaves + i] = i + 1 < count ? at(ranks, i) : NO_MERGE;
    }
    tree.fill(NO_MERGE, leaves + count, leaves * 2);
    for (let node = leaves - 1; node > 0; node--) tree[node] = Math.min(at(tree, node * 2), at(tree, node * 2 + 1));
    return leaves;
  }

  #set(leaf: number, rank: number): void {
    const tree = this.#tree;
    tree[leaf] = rank;
    for (let node = leaf >>> 1; node > 0; node >>>= 1) {
      const left = at(tree, node * 2);
      const right = at(tree, node * 2 + 1);
      const minimum = left < right ? left : right;
      if (at(tree, node) === minimum) break;
      tree[node] = minimum;
    }
  }
}
