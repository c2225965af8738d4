/**
 * A table of words, numbered in the order they came. Words are looked up as ranges of a text, so that a word seen before
 * costs no allocation: its code units are hashed and compared in place. Serves the encoder's cache and the trainer's counts.
 */
import { at } from './unchecked.ts';

export interface WordTableLimits {
  /** At most this many words… */
  words: number;
  /** …and this many UTF-16 code units in all of them. */
  units: number;
  /** Gives up after so many occupied slots: bounds what words chosen to collide can cost. */
  probes?: number;
}

const INITIAL_WORDS = 1 << 10;

export class WordTable {
  readonly limits: Readonly<WordTableLimits>;
  /** hash, word + 1 (0: empty); twice as many slots as words at least. */
  #slots = new Int32Array(INITIAL_WORDS * 4);
  #mask = INITIAL_WORDS * 2 - 1;
  #hashes = new Int32Array(INITIAL_WORDS);
  /** Where each word starts in `#units`; one more than there are words. */
  #starts = new Int32Array(INITIAL_WORDS + 1);
  #units = new Uint16Array(INITIAL_WORDS * 8);
  #size = 0;

  constructor(limits: WordTableLimits) {
    this.limits = limits;
  }

  get size(): number {
    return this.#size;
  }

  /** Code units of all words. */
  get units(): number {
    return at(this.#starts, this.#size);
  }

  /** The number of a word, adding it when it is new (`size` grows then); −1 when it is new and there is no room for it. */
  add(text: string, start: number, end: number): number {
    const length = end - start;
    let hash = length;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x5bd1e995) ^ (hash >>> 15);
    hash ^= hash >>> 13;
    const slots = this.#slots;
    const probes = this.limits.probes ?? 0x7fffffff;
    let slot = (hash & this.#mask) * 2;
    for (let probe = 0; at(slots, slot + 1) !== 0; probe++) {
      if (probe === probes) return -1;
      if (at(slots, slot) === hash) {
        const word = at(slots, slot + 1) - 1;
        if (this.#equals(word, text, start, length)) return word;
      }
      slot = (slot + 2) & (this.#mask * 2);
    }
    return this.#insert(hash, slot, text, start, end);
  }

  /** The code units of a word; a view that the next `add` may move. */
  wordUnits(word: number): Uint16Array {
    return this.#units.subarray(at(this.#starts, word), at(this.#starts, word + 1));
  }

  word(word: number): string {
    let text = '';
    for (const unit of this.wordUnits(word)) text += String.fromCharCode(unit);
    return text;
  }

  /** A number in 0…2³²−1 that looks random, the same for the same word and salt wherever and whenever. */
  draw(word: number, salt: number): number {
    let hash = at(this.#hashes, word) ^ Math.imul(salt, 0x9e3779b1);
    for (let round = 0; round < 2; round++) {
      hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
      hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    }
    return (hash ^ (hash >>> 16)) >>> 0;
  }

  clear(): void {
    this.#slots.fill(0);
    this.#size = 0;
  }

  /** Keeps the words that `keep` says, in their order, numbered anew; `keep` is told the new number too. */
  retain(keep: (word: number, renumbered: number) => boolean): void {
    let size = 0;
    let used = 0;
    for (let word = 0; word < this.#size; word++) {
      const start = at(this.#starts, word);
      const end = at(this.#starts, word + 1);
      if (!keep(word, size)) continue;
      this.#units.copyWithin(used, start, end);
      this.#hashes[size] = at(this.#hashes, word);
      this.#starts[size] = used;
      used += end - start;
      size++;
    }
    this.#starts[size] = used;
    this.#size = size;
    this.#rebuild();
  }

  #equals(word: number, text: string, start: number, length: number): boolean {
    const units = this.#units;
    const from = at(this.#starts, word);
    if (at(this.#starts, word + 1) - from !== length) return false;
    for (let i = 0; i < length; i++) if (at(units, from + i) !== text.charCodeAt(start + i)) return false;
    return true;
  }

  #insert(hash: number, slot: number, text: string, start: number, end: number): number {
    const word = this.#size;
    const used = at(this.#starts, word);
    const needed = used + end - start;
    if (word >= this.limits.words || needed > this.limits.units) return -1;
    if (word === this.#hashes.length) {
      this.#grow();
      return this.add(text, start, end);
    }
    if (needed > this.#units.length) {
      const grown = new Uint16Array(Math.min(Math.max(needed, this.#units.length * 2), this.limits.units));
      grown.set(this.#units);
      this.#units = grown;
    }
    for (let i = start; i < end; i++) this.#units[used + i - start] = text.charCodeAt(i);
    this.#hashes[word] = hash;
    this.#starts[word + 1] = needed;
    this.#slots[slot] = hash;
    this.#slots[slot + 1] = word + 1;
    this.#size++;
    return word;
  }

  #grow(): void {
    const capacity = this.#hashes.length * 2;
    const hashes = new Int32Array(capacity);
    hashes.set(this.#hashes);
    const starts = new Int32Array(capacity + 1);
    starts.set(this.#starts);
    this.#hashes = hashes;
    this.#starts = starts;
    this.#slots = new Int32Array(capacity * 4);
    this.#mask = capacity * 2 - 1;
    this.#rebuild();
  }

  #rebuild(): void {
    const slots = this.#slots;
    slots.fill(0);
    for (let word = 0; word < this.#size; word++) {
      const hash = at(this.#hashes, word);
      let slot = (hash & this.#mask) * 2;
      while (at(slots, slot + 1) !== 0) slot = (slot + 2) & (this.#mask * 2);
      slots[slot] = hash;
      slots[slot + 1] = word + 1;
    }
  }
}
