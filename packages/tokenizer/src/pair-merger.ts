/**
 * Learns merges from word counts: Sennrich et al. (2016), with the counts kept up to date instead of counted again.
 *
 * Every pair knows the words it may occur in; merging it visits only those and adjusts the pairs beside it. The next
 * pair comes from a heap whose entries are corrected when they reach the top: a count can only fall between the merge
 * that makes a pair and its own, so an entry is never too low.
 *
 * The most frequent pair is merged first; of equals the one with the smaller left id, then the smaller right id.
 */
import { at } from './unchecked.ts';

/** A growing Int32Array. */
class Integers {
  data = new Int32Array(1 << 12);
  length = 0;

  push(value: number): void {
    if (this.length === this.data.length) {
      const grown = new Int32Array(this.length * 2);
      grown.set(this.data);
      this.data = grown;
    }
    this.data[this.length++] = value;
  }
}

export class PairMerger {
  /** The symbols of all words, end to end; a word that has shrunk leaves room behind it. */
  readonly #symbols: Int32Array;
  /** For each word, where its symbols start, how many they are now, and how often the word occurs. */
  readonly #starts: Int32Array;
  readonly #lengths: Int32Array;
  readonly #counts: Float64Array;

  // Pairs, numbered as they appear: left id, right id, count, and the first link of the list of their words.
  readonly #left = new Integers();
  readonly #right = new Integers();
  readonly #heads = new Integers();
  #pairCounts = new Float64Array(1 << 12);
  /** Open addressing: pair + 1, 0 where empty. */
  #slots = new Int32Array(1 << 14);

  // Links of the lists: word, and next link (−1: the last). Those of merged pairs are used again.
  readonly #linkWords = new Integers();
  readonly #linkNext = new Integers();
  #freeLink = -1;

  /** Binary heap of pairs, and the count each had when it was put there. */
  readonly #heap: number[] = [];
  readonly #heapCounts: number[] = [];

  /**
   * @param words symbols of all words end to end, where each starts (one more than there are words), and their counts.
   */
  constructor(words: { symbols: Int32Array; starts: Int32Array; counts: Float64Array }) {
    this.#symbols = words.symbols;
    this.#starts = words.starts;
    this.#counts = words.counts;
    this.#lengths = new Int32Array(words.counts.length);
    for (let word = 0; word < this.#lengths.length; word++) {
      const start = at(words.starts, word);
      const length = at(words.starts, word + 1) - start;
      this.#lengths[word] = length;
      const count = at(words.counts, word);
      for (let i = start; i + 1 < start + length; i++) this.#add(at(this.#symbols, i), at(this.#symbols, i + 1), count, word);
    }
    for (let pair = 0; pair < this.#left.length; pair++) this.#push(pair);
  }

  /** The pair to merge next and its count, undefined when every word is one symbol. */
  best(): { left: number; right: number; count: number } | undefined {
    for (;;) {
      const pair = this.#heap[0];
      if (pair === undefined) return undefined;
      const count = at(this.#pairCounts, pair);
      if (count === this.#heapCounts[0]) return { left: at(this.#left.data, pair), right: at(this.#right.data, pair), count };
      this.#popHeap();
      if (count > 0) this.#push(pair);
    }
  }

  /** Replaces the pair that `best` names by `result`, a new symbol, wherever it stands. */
  merge(left: number, right: number, result: number): void {
    this.#popHeap();
    const firstNewPair = this.#left.length;
    const merged = at(this.#slots, this.#find(left, right)) - 1;
    let link = at(this.#heads.data, merged);
    while (link >= 0) {
      this.#mergeInWord(at(this.#linkWords.data, link), left, right, result);
      const next = at(this.#linkNext.data, link);
      this.#linkNext.data[link] = this.#freeLink;
      this.#freeLink = link;
      link = next;
    }
    this.#heads.data[merged] = -1;
    // Every pair whose count can have risen contains the new symbol, and is therefore new.
    for (let pair = firstNewPair; pair < this.#left.length; pair++) if (at(this.#pairCounts, pair) > 0) this.#push(pair);
  }

  #mergeInWord(word: number, left: number, right: number, result: number): void {
    const symbols = this.#symbols;
    const count = at(this.#counts, word);
    const start = at(this.#starts, word);
    const end = start + at(this.#lengths, word);
    let write = start;
    for (let read = start; read < end;) {
      const symbol = at(symbols, read);
      if (symbol !== left || read + 1 >= end || at(symbols, read + 1) !== right) {
        symbols[write++] = symbol;
        read++;
        continue;
      }
      this.#subtract(left, right, count);
      if (write > start) {
        const before = at(symbols, write - 1); // already `result` when two merges touch
        this.#subtract(before, left, count);
        this.#add(before, result, count, word);
      }
      if (read + 2 < end) {
        const after = at(symbols, read + 2);
        this.#subtract(right, after, count);
        this.#add(result, after, count, word);
      }
      symbols[write++] = result;
      read += 2;
    }
    this.#lengths[word] = write - start;
  }

  #find(left: number, right: number): number {
    const mask = this.#slots.length - 1;
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    hash ^= hash >>> 15;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const pair = at(this.#slots, slot) - 1;
      if (pair < 0 || (at(this.#left.data, pair) === left && at(this.#right.data, pair) === right)) return slot;
    }
  }

  #subtract(left: number, right: number, count: number): void {
    const pair = at(this.#slots, this.#find(left, right)) - 1;
    this.#pairCounts[pair] = at(this.#pairCounts, pair) - count;
  }

  #add(left: number, right: number, count: number, word: number): void {
    const slot = this.#find(left, right);
    let pair = at(this.#slots, slot) - 1;
    if (pair < 0) {
      pair = this.#left.length;
      this.#left.push(left);
      this.#right.push(right);
      this.#heads.push(-1);
      if (pair === this.#pairCounts.length) {
        const grown = new Float64Array(pair * 2);
        grown.set(this.#pairCounts);
        this.#pairCounts = grown;
      }
      this.#slots[slot] = pair + 1;
      if (this.#left.length * 2 > this.#slots.length) this.#growSlots();
    }
    this.#pairCounts[pair] = at(this.#pairCounts, pair) + count;
    const head = at(this.#heads.data, pair);
    if (head >= 0 && at(this.#linkWords.data, head) === word) return; // already the last word added
    let link = this.#freeLink;
    if (link >= 0) {
      this.#freeLink = at(this.#linkNext.data, link);
      this.#linkWords.data[link] = word;
      this.#linkNext.data[link] = head;
    } else {
      link = this.#linkWords.length;
      this.#linkWords.push(word);
      this.#linkNext.push(head);
    }
    this.#heads.data[pair] = link;
  }

  #growSlots(): void {
    this.#slots = new Int32Array(this.#slots.length * 2);
    for (let pair = 0; pair < this.#left.length; pair++) {
      this.#slots[this.#find(at(this.#left.data, pair), at(this.#right.data, pair))] = pair + 1;
    }
  }

  /** Whether the heap's entry (pair, count) goes before another. */
  #before(pair: number, count: number, otherPair: number, otherCount: number): boolean {
    if (count !== otherCount) return count > otherCount;
    const left = at(this.#left.data, pair);
    const otherLeft = at(this.#left.data, otherPair);
    return left !== otherLeft ? left < otherLeft : at(this.#right.data, pair) < at(this.#right.data, otherPair);
  }

  #push(pair: number): void {
    const heap = this.#heap;
    const counts = this.#heapCounts;
    const count = at(this.#pairCounts, pair);
    let i = heap.length;
    while (i > 0) {
      const parent = (i - 1) >>> 1;
      const parentPair = heap[parent] as number;
      const parentCount = counts[parent] as number;
      if (!this.#before(pair, count, parentPair, parentCount)) break;
      heap[i] = parentPair;
      counts[i] = parentCount;
      i = parent;
    }
    heap[i] = pair;
    counts[i] = count;
  }

  #popHeap(): void {
    const heap = this.#heap;
    const counts = this.#heapCounts;
    const pair = heap.pop() as number;
    const count = counts.pop() as number;
    const length = heap.length;
    if (length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= length) break;
      if (
        child + 1 < length &&
        this.#before(heap[child + 1] as number, counts[child + 1] as number, heap[child] as number, counts[child] as number)
      ) {
        child++;
      }
      if (!this.#before(heap[child] as number, counts[child] as number, pair, count)) break;
      heap[i] = heap[child] as number;
      counts[i] = counts[child] as number;
      i = child;
    }
    heap[i] = pair;
    counts[i] = count;
  }
}
