/**
 * Near-duplicates in one pass: documents whose sets of word 5-grams (characters where no spaces are written) are as similar as a
 * threshold to one that came before, in this source or another. The first stays. Same documents, same order: same answer.
 *
 * Banding (Leskovec, Rajaraman & Ullman, Mining of Massive Datasets, 3.4): the 128 components of a sketch (minhash.ts) are cut into b
 * bands of r; two documents are compared when a whole band is equal, which happens with probability 1 − (1 − s^r)^b at similarity s: an
 * S-curve. `bandsFor` takes the longest bands, so the fewest comparisons, that still find 95% at the threshold; at 0.7 that is 25
 * bands of 5, which find 99% at 0.7, 99.99% at 0.8, and compare 54% at 0.5 and 6% at 0.3. What is compared is then dropped or not by
 * the similarity of the whole sketches, so the bands cost no precision.
 *
 * Memory, a kept document: its sketch, 128 bytes, and 4 bytes a band in a table that is between 35% and 70% full: 128 + 4b / 0.35 at
 * most (at 0.7: 414 bytes, 300 on average), whatever the document's length. Dropped documents cost nothing.
 */
import { DataError } from './errors.ts';
import { type Document } from './document.ts';
import { MinHash, similarity, SKETCH_SIZE } from './minhash.ts';
import { WordHashes } from './word-hashes.ts';

export const DEFAULT_THRESHOLD = 0.7;

export interface Bands {
  readonly bands: number;
  readonly rows: number;
}

/** Bands for a threshold: the longest that find at least 95% of the pairs that are just as similar. Throws DataError outside 0.3…1. */
export function bandsFor(threshold: number): Bands {
  if (!(threshold >= 0.3 && threshold <= 1)) {
    throw new DataError(`the threshold of near-duplicates is ${threshold}: it is a similarity from 0.3 (much in common) to 1 (the same words)`);
  }
  for (let rows = 16; rows > 1; rows--) {
    const bands = Math.floor(SKETCH_SIZE / rows);
    if (candidateProbability(threshold, { bands, rows }) >= 0.95) return { bands, rows };
  }
  return { bands: SKETCH_SIZE, rows: 1 };
}

/** The S-curve: the chance that two documents of this similarity are compared. */
export function candidateProbability(jaccard: number, { bands, rows }: Bands): number {
  return 1 - (1 - jaccard ** rows) ** bands;
}

/** A band that so many kept documents share says nothing about them: it is boilerplate, and is entered for no more. */
const MOST_PER_BAND = 32;
/** Sketches are kept in blocks of so many documents: nothing is copied as their number grows. */
const BLOCK = 1 << 12;
const FULL = 0.7;

/** The document that one is a near-duplicate of. */
export interface Original {
  /** Its number among those added, from 0. */
  readonly index: number;
  /** Estimated. */
  readonly similarity: number;
}

export class NearDuplicates {
  readonly threshold: number;
  readonly bands: Bands;
  readonly #words = new WordHashes();
  readonly #minhash = new MinHash();
  readonly #blocks: Uint8Array[] = [];
  /** One open-addressing table a band: document + 1, or 0. What it is found by lies in its sketch. */
  #tables: Uint32Array[];
  #count = 0;
  #readable = false;

  constructor(threshold = DEFAULT_THRESHOLD) {
    this.threshold = threshold;
    this.bands = bandsFor(threshold);
    this.#tables = this.#emptyTables(1024);
  }

  /** Documents added. */
  get count(): number {
    return this.#count;
  }

  /** What all of it takes. */
  get bytes(): number {
    return this.#blocks.length * BLOCK * SKETCH_SIZE + this.#tables.reduce((sum, table) => sum + table.byteLength, 0);
  }

  /**
   * The most similar of the earlier documents that share a band with this one, if it reaches the threshold. The document becomes the
   * one that `add` adds. One without words is like no other.
   */
  find(document: Document): Original | null {
    readDocument(this.#words, document);
    return this.findWords(this.#words);
  }

  /** As `find`, for words already read. */
  findWords(words: WordHashes): Original | null {
    this.#readable = this.#minhash.read(words);
    if (!this.#readable) return null;
    const { sketch } = this.#minhash;
    let best: Original | null = null;
    let last = -1;
    for (let band = 0; band < this.bands.bands; band++) {
      this.#probe(band, sketch, 0, (index) => {
        if (index === last) return;
        last = index;
        const found = similarity(sketch, 0, this.#block(index), (index % BLOCK) * SKETCH_SIZE);
        if (found >= this.threshold && (best === null || found > best.similarity || (found === best.similarity && index < best.index))) {
          best = { index, similarity: found };
        }
      });
    }
    return best;
  }

  /** Keeps the document last looked for, so that later ones are compared with it; its number, or null for one without words. */
  add(): number | null {
    if (!this.#readable) return null;
    this.#readable = false;
    const index = this.#count++;
    if (index % BLOCK === 0) this.#blocks.push(new Uint8Array(BLOCK * SKETCH_SIZE));
    this.#block(index).set(this.#minhash.sketch, (index % BLOCK) * SKETCH_SIZE);
    const size = this.#tables[0]?.length ?? 0;
    if (this.#count > size * FULL) this.#rebuild(size * 2);
    else this.#enter(index);
    return index;
  }

  #block(index: number): Uint8Array {
    return this.#blocks[Math.floor(index / BLOCK)] as Uint8Array;
  }

  #emptyTables(size: number): Uint32Array[] {
    return Array.from({ length: this.bands.bands }, () => new Uint32Array(size));
  }

  #rebuild(size: number): void {
    this.#tables = this.#emptyTables(size);
    for (let index = 0; index < this.#count; index++) this.#enter(index);
  }

  #enter(index: number): void {
    const block = this.#block(index);
    const offset = (index % BLOCK) * SKETCH_SIZE;
    for (let band = 0; band < this.bands.bands; band++) {
      let same = 0;
      const slot = this.#probe(band, block, offset, () => same++);
      if (same < MOST_PER_BAND) (this.#tables[band] as Uint32Array)[slot] = index + 1;
    }
  }

  /** Calls `visit` for every document whose band equals the sketch's at `offset`; the free slot where the search ends. */
  #probe(band: number, sketch: Uint8Array, offset: number, visit: (index: number) => void): number {
    const { rows } = this.bands;
    const table = this.#tables[band] as Uint32Array;
    const mask = table.length - 1;
    const from = offset + band * rows;
    let slot = hashBand(sketch, from, rows) & mask;
    for (;;) {
      const entry = table[slot] as number;
      if (entry === 0) return slot;
      const index = entry - 1;
      if (equalBand(sketch, from, this.#block(index), (index % BLOCK) * SKETCH_SIZE + band * rows, rows)) visit(index);
      slot = (slot + 1) & mask;
    }
  }
}

/** The words of a document that its likeness is judged by: of a conversation what user and assistant say, not what the system does. */
export function readDocument(words: WordHashes, document: Document): void {
  if (document.kind === 'text') {
    words.read(document.text);
    return;
  }
  let first = true;
  for (const { role, content } of document.messages) {
    if (role === 'system') continue;
    words.read(content, !first);
    first = false;
  }
  if (first) words.read('');
}

function hashBand(sketch: Uint8Array, from: number, rows: number): number {
  let hash = rows;
  for (let i = from; i < from + rows; i++) hash = Math.imul(hash ^ (sketch[i] as number), 0x01000193) + 0x9e3779b1;
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

function equalBand(a: Uint8Array, atA: number, b: Uint8Array, atB: number, rows: number): boolean {
  for (let i = 0; i < rows; i++) if (a[atA + i] !== b[atB + i]) return false;
  return true;
}
