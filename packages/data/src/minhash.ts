/**
 * MinHash (Broder, 1997): a text's set of n-grams as a sketch of 128 numbers, of which two texts share as large a part as their sets
 * do: the Jaccard similarity |A ∩ B| / |A ∪ B|, within a standard error of √(J (1 − J) / 128), at most 4.4%.
 *
 * The 128 minima are not taken of 128 hash functions but as fast similarity sketching does (Dahlgaard, Knudsen & Thorup, 2017): in
 * round i every n-gram falls by a hash into one of 128 bins with the value (i, hash), until no bin is empty; each bin keeps its
 * smallest. A text of a thousand words needs one round where 128 functions need 128; a sentence needs some, and its sketch compares
 * with the long text's all the same. Rounds 128 to 255 each fill one bin, so there is an end.
 */
import { mix, type WordHashes } from './word-hashes.ts';

/** Components of a sketch. */
export const SKETCH_SIZE = 128;
/** n of the n-grams: words, or characters of scripts without spaces. */
export const SHINGLE_WORDS = 5;

/** Sketches one text at a time, into arrays that are taken again. */
export class MinHash {
  /**
   * Each of the 128 minima as 8 bits (Li & König, 2010): two that differ agree by chance once in 256, which `similarity` takes into
   * account, and a document costs 128 bytes instead of 512.
   */
  readonly sketch = new Uint8Array(SKETCH_SIZE);
  /** Every n-gram's hash, of the last text. */
  shingles = new Uint32Array(1024);
  count = 0;
  readonly #minima = new Float64Array(SKETCH_SIZE);

  /** False, and no sketch, for a text without a word. A text shorter than an n-gram is one by itself. */
  read(words: WordHashes): boolean {
    if (words.length === 0) return false;
    this.shingle(words);
    this.#fill();
    for (let bin = 0; bin < SKETCH_SIZE; bin++) this.sketch[bin] = mix(minimum(this.#minima, bin) + Math.imul(bin, 0x9e3779b1));
    return true;
  }

  /** The n-grams of a text, into `shingles`. */
  shingle({ hashes, length }: WordHashes): void {
    const size = Math.min(SHINGLE_WORDS, length);
    this.count = length - size + 1;
    if (this.shingles.length < this.count) this.shingles = new Uint32Array(this.count * 2);
    for (let i = 0; i < this.count; i++) {
      let hash = size;
      for (let j = i; j < i + size; j++) hash = Math.imul(hash, 0x01000193) + word(hashes, j);
      this.shingles[i] = mix(hash);
    }
  }

  #fill(): void {
    const minima = this.#minima.fill(Infinity);
    const { shingles, count } = this;
    let empty = SKETCH_SIZE;
    for (let round = 0; empty > 0; round++) {
      const seed = mix(round + 0x51ed270b);
      // (round, 24 bits of hash) as one number that is smaller the earlier the round.
      const base = round * 0x1000000;
      for (let i = 0; i < count; i++) {
        const hash = mix(word(shingles, i) ^ seed);
        const bin = round < SKETCH_SIZE ? hash >>> 25 : round - SKETCH_SIZE;
        const value = base + (hash & 0xffffff);
        const least = minimum(minima, bin);
        if (value < least) {
          if (least === Infinity) empty--;
          minima[bin] = value;
        }
      }
    }
  }
}

/** The estimated Jaccard similarity of two sketches, each where it begins in its array. */
export function similarity(a: Uint8Array, atA: number, b: Uint8Array, atB: number): number {
  let equal = 0;
  for (let i = 0; i < SKETCH_SIZE; i++) if (a[atA + i] === b[atB + i]) equal++;
  return Math.max(0, (equal / SKETCH_SIZE - 1 / 256) / (1 - 1 / 256));
}

// The loops above count within their arrays.
const word = (array: Uint32Array, index: number): number => array[index] as number;
const minimum = (array: Float64Array, index: number): number => array[index] as number;
