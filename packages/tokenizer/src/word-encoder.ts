/**
 * From a word to the ids of its tokens: a cache of words seen, and behind it UTF-8 and the merges. The cache is emptied
 * when it is full, which keeps it at a few megabytes and, text being what it is, costs next to nothing.
 */
import { TokenizerError } from './errors.ts';
import { type MergeTable, NO_MERGE } from './merge-table.ts';
import { LongWordMerger, mergeShort, TREE_FROM } from './merge-word.ts';
import { at } from './unchecked.ts';
import { WordTable } from './word-table.ts';

const CACHE_WORDS = 1 << 16;
const CACHE_UNITS = 1 << 20;
const CACHE_IDS = 1 << 19;
/** Longer words seldom come twice. Code units. */
const LONGEST_CACHED = 64;

export interface WordEncoderOptions {
  /** byte → id of its token, −1 where the vocabulary has none. */
  byteIds: Int32Array;
  merges: MergeTable;
  /** What a byte without a token becomes; undefined: an error. `fuse` makes one of several in a row. */
  unknown: { id: number; fuse: boolean } | undefined;
  /** `ignore_merges`: a word that is a token as a whole is that token, whatever the merges say. */
  wholeWord: ((bytes: Uint8Array) => number | undefined) | undefined;
}

export class WordEncoder {
  readonly #options: WordEncoderOptions;
  readonly #cache = new WordTable({ words: CACHE_WORDS, units: CACHE_UNITS, probes: 32 });
  /** For each cached word, where its ids end in `#cacheIds`; they start where the last word's end. */
  #cacheEnds = new Int32Array(CACHE_WORDS + 1);
  #cacheIds = new Int32Array(CACHE_IDS);
  #bytes = new Uint8Array(3 * LONGEST_CACHED);
  #symbols = new Int32Array(3 * LONGEST_CACHED);
  #ranks = new Int32Array(3 * LONGEST_CACHED);
  readonly #longWords: LongWordMerger;
  /** first byte · 256 + second → rank of the pair: what a word's first look-ups all are. */
  readonly #byteRanks = new Int32Array(0x10000).fill(NO_MERGE);

  constructor(options: WordEncoderOptions) {
    this.#options = options;
    const { byteIds, merges } = options;
    this.#longWords = new LongWordMerger(merges);
    const bytesOf = new Map(Array.from(byteIds, (id, byte) => [id, byte]));
    merges.forEach((left, right, rank) => {
      const [first, second] = [bytesOf.get(left), bytesOf.get(right)];
      if (first !== undefined && second !== undefined) this.#byteRanks[(first << 8) | second] = rank;
    });
  }

  /** Appends the ids of `text.slice(start, end)`, which is well-formed UTF-16 and starts and ends between characters. */
  encode(text: string, start: number, end: number, ids: number[]): void {
    if (end - start > LONGEST_CACHED) {
      const count = this.#merge(text, start, end);
      for (let i = 0; i < count; i++) ids.push(at(this.#symbols, i));
      this.#shrink();
      return;
    }
    const size = this.#cache.size;
    const word = this.#cache.add(text, start, end);
    if (word >= 0 && word < size) {
      const to = at(this.#cacheEnds, word + 1);
      for (let i = at(this.#cacheEnds, word); i < to; i++) ids.push(at(this.#cacheIds, i));
      return;
    }
    this.#encodeNew(text, start, end, ids, word);
  }

  #encodeNew(text: string, start: number, end: number, ids: number[], word: number): void {
    let count: number;
    try {
      count = this.#merge(text, start, end);
    } catch (error) {
      this.#cache.clear(); // the word has been entered, and has no ids
      throw error;
    }
    for (let i = 0; i < count; i++) ids.push(at(this.#symbols, i));
    const used = word < 0 ? 0 : at(this.#cacheEnds, word);
    if (word < 0 || used + count > CACHE_IDS) {
      if (word >= 0 || this.#cache.size >= CACHE_WORDS || this.#cache.units + LONGEST_CACHED > CACHE_UNITS) this.#cache.clear();
      return;
    }
    for (let i = 0; i < count; i++) this.#cacheIds[used + i] = at(this.#symbols, i);
    this.#cacheEnds[word + 1] = used + count;
  }

  /** Leaves the ids of a word in `#symbols` and gives their number. */
  #merge(text: string, start: number, end: number): number {
    const { byteIds, merges, unknown, wholeWord } = this.#options;
    if ((end - start) * 3 > this.#bytes.length) {
      this.#bytes = new Uint8Array((end - start) * 3);
      this.#symbols = new Int32Array((end - start) * 3);
      this.#ranks = new Int32Array((end - start) * 3);
    }
    const bytes = this.#bytes;
    const symbols = this.#symbols;
    const ranks = this.#ranks;
    const byteCount = writeUtf8(text, start, end, bytes);
    if (wholeWord !== undefined) {
      const id = wholeWord(bytes.subarray(0, byteCount));
      if (id !== undefined) {
        symbols[0] = id;
        return 1;
      }
    }
    let count = 0;
    let afterUnknown = false;
    for (let i = 0; i < byteCount; i++) {
      const id = at(byteIds, at(bytes, i));
      if (id >= 0) {
        symbols[count++] = id;
        afterUnknown = false;
        continue;
      }
      if (unknown === undefined) {
        throw new TokenizerError(
          `byte 0x${at(bytes, i).toString(16).padStart(2, '0')} of ${JSON.stringify(text.slice(start, Math.min(end, start + 40)))} ` +
            'has no token in this vocabulary, and it names no unk_token: use a vocabulary with all 256 bytes',
        );
      }
      if (!(unknown.fuse && afterUnknown)) symbols[count++] = unknown.id;
      afterUnknown = true;
    }
    if (unknown === undefined) {
      for (let i = 0; i + 1 < count; i++) ranks[i] = at(this.#byteRanks, (at(bytes, i) << 8) | at(bytes, i + 1));
    } else {
      for (let i = 0; i + 1 < count; i++) ranks[i] = merges.rank(at(symbols, i), at(symbols, i + 1));
    }
    return count < TREE_FROM ? mergeShort(merges, symbols, count, ranks) : this.#longWords.merge(symbols, count, ranks);
  }

  /** Gives back the memory that one very long word took. */
  #shrink(): void {
    if (this.#bytes.length <= 1 << 16) return;
    this.#bytes = new Uint8Array(3 * LONGEST_CACHED);
    this.#symbols = new Int32Array(3 * LONGEST_CACHED);
    this.#ranks = new Int32Array(3 * LONGEST_CACHED);
  }
}

/** Writes the UTF-8 of well-formed UTF-16 and gives its length. Faster than TextEncoder for words. */
export function writeUtf8(text: string, start: number, end: number, bytes: Uint8Array): number {
  let length = 0;
  for (let i = start; i < end; i++) {
    let point = text.charCodeAt(i);
    if (point < 0x80) {
      bytes[length++] = point;
      continue;
    }
    if (point < 0x800) {
      bytes[length++] = 0xc0 | (point >> 6);
    } else {
      if ((point & 0xfc00) === 0xd800) {
        point = text.codePointAt(i++) as number;
        bytes[length++] = 0xf0 | (point >> 18);
        bytes[length++] = 0x80 | ((point >> 12) & 0x3f);
      } else {
        bytes[length++] = 0xe0 | (point >> 12);
      }
      bytes[length++] = 0x80 | ((point >> 6) & 0x3f);
    }
    bytes[length++] = 0x80 | (point & 0x3f);
  }
  return length;
}
