/**
 * How often each word occurs in a stream of documents, in bounded memory.
 *
 * While the table has room the counts are exact. When it is full it is thinned by threshold sampling (Duffield, Lund &
 * Thorup, 2007): with a threshold T, a power of two that grows until the table is half empty, a word counted c < T times
 * stays with probability c/T and then counts as T; words counted T times or more stay as they are. The expected count of
 * every word, and so of every pair within words, remains its true count. Simply dropping rare words would instead erase
 * text whose "words" seldom repeat, like Chinese clauses.
 *
 * The draw is a hash of the word and the round, so the same documents in the same order give the same counts anywhere.
 */
import type { Scanner } from './scanners.ts';
import { at } from './unchecked.ts';
import { WordTable } from './word-table.ts';

/** Longer words are counted in pieces of this length: the pair across a cut is lost, one in 256. Code units. */
const LONGEST_WORD = 256;

export class WordCounts {
  readonly table: WordTable;
  readonly #scanner: Scanner;
  #counts = new Float64Array(1 << 10);
  #threshold = 1;
  /** How often words have been drawn; no two draws of a word are the same. */
  #rounds = 0;

  constructor(scanner: Scanner, limits: { words: number; units: number }) {
    this.#scanner = scanner;
    this.table = new WordTable({ words: Math.max(limits.words, 16), units: Math.max(limits.units, 16 * LONGEST_WORD) });
  }

  /** 1 while the counts are exact, else the T of the last thinning. */
  get threshold(): number {
    return this.#threshold;
  }

  count(word: number): number {
    return at(this.#counts, word);
  }

  /** Counts the words of a document. */
  add(document: string): void {
    const text = document.toWellFormed();
    for (let start = 0; start < text.length;) {
      const end = this.#scanner(text, start, text.length);
      for (let from = start; from < end;) {
        let to = Math.min(end, from + LONGEST_WORD);
        if (to < end && (text.charCodeAt(to) & 0xfc00) === 0xdc00) to--; // not inside a surrogate pair
        this.#addWord(text, from, to);
        from = to;
      }
      start = end;
    }
  }

  #addWord(text: string, start: number, end: number): void {
    const size = this.table.size;
    let word = this.table.add(text, start, end);
    if (word < 0) {
      this.#thin();
      word = this.table.add(text, start, end);
      if (word === this.table.size - 1) this.#counts[word] = 0;
    } else if (word === size) {
      if (word >= this.#counts.length) {
        const grown = new Float64Array(this.#counts.length * 2);
        grown.set(this.#counts);
        this.#counts = grown;
      }
      this.#counts[word] = 0;
    }
    this.#counts[word] = at(this.#counts, word) + 1;
  }

  /** Halves the table: again with the last threshold, which new words have not met, then with twice that as often as it takes. */
  #thin(): void {
    const words = this.table.size / 2;
    const units = this.table.units / 2;
    const counts = this.#counts;
    for (let threshold = Math.max(this.#threshold, 2); this.table.size > words || this.table.units > units; threshold *= 2) {
      this.#threshold = threshold;
      const round = ++this.#rounds;
      this.table.retain((word, renumbered) => {
        const count = at(counts, word);
        if (count >= threshold) {
          counts[renumbered] = count;
          return true;
        }
        if ((this.table.draw(word, round) / 0x100000000) * threshold >= count) return false;
        counts[renumbered] = threshold;
        return true;
      });
    }
  }
}
