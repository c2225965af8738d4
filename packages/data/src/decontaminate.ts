/**
 * Decontamination: training documents that contain evaluation items are found, so that a score measures what was learned and not what
 * was seen. As in GPT-3 (Brown et al., 2020, appendix C) the unit is a run of 13 words; a character of a script without spaces
 * counts two thirds of a word, so that in Chinese it is 20 characters. Case, punctuation and spacing do not count.
 *
 * - An item of at least 13 words is contained if the document holds half of its runs, or if half of the document's runs are the
 *   item's: a copy in a long document, and a passage of a long item that is a document by itself. One run alone is not enough:
 *   "had children under the age of 18 living with them, were married couples living together" is in every article on a town.
 * - A shorter item has no run. It is contained if a message, a line, what follows a colon or what stands in quotes is just this. One
 *   under 5 words (8 characters) is not looked for: "How are you?" is everybody's.
 * - An item of several short texts, such as a sentence and its translation, is contained if one of them stands so and the others
 *   occur anywhere in the document; then there is no shortest length.
 *
 * Memory: 12 bytes a run of the items in a table that is between 30% and 60% full, and a byte of sieve a slot: 43 at most; nothing a document.
 */
import type { Document } from './document.ts';
import { mix, WordHashes } from './word-hashes.ts';

/** Something a model is evaluated on. */
export interface EvaluationItem {
  /** What is reported together: the name of a test. */
  readonly set: string;
  /** One text; or several that make the item together. */
  readonly texts: readonly string[];
}

export interface DecontaminationOptions {
  /** The share of an item's runs, or of a document's, that makes the one contain the other. Default 0.5. */
  readonly share?: number | undefined;
  /** Cut the lines that hold items out of a text instead of dropping it. Conversations are always dropped. Default false. */
  readonly cut?: boolean | undefined;
}

/** One evaluation set's part of the report. */
export interface DecontaminationCounts {
  readonly set: string;
  readonly items: number;
  /** Of those, items too short to be told from anything else: not looked for. */
  readonly tooShort: number;
  /** Items found in documents. */
  found: number;
  /** Documents with items of the set: dropped, and cut. */
  dropped: number;
  cut: number;
}

export type Decontaminated = { readonly keep: Document; readonly cut: boolean } | { readonly drop: 'contaminated'; readonly sets: readonly string[] };

export const RUN_WORDS = 13;
/** Thirds of a word: a word has three, a character of a script without spaces two. */
const RUN_THIRDS = 3 * RUN_WORDS;
const SHORTEST_THIRDS = 15;
/** A run that so many items share is a phrase and says nothing. */
const MOST_OWNERS = 8;
const FULL = 0.6;
/** As in GPT-3: what is left of a text that was cut has to be worth it. */
const LEAST_LEFT = 200;
const MOST_CUTS = 10;
/** What sets a short text off from an instruction around it. */
const MARKS = /[\n:：;；"“”「」『』«»]/g;
/** Units longer than this (in UTF-16 units) hold no text of 13 words. */
const LONGEST_UNIT = 40 * RUN_WORDS;

interface ShortItem {
  readonly item: number;
  readonly texts: readonly Uint32Array[];
}

export class Decontaminator {
  readonly #share: number;
  readonly #cut: boolean;
  readonly #sets = new Map<string, DecontaminationCounts & { items: number; tooShort: number }>();
  /** Of every item: its set, and whether it was found. */
  readonly #itemSets: string[] = [];
  readonly #found: boolean[] = [];
  /** Of every long text: its item, and its runs in the table. */
  readonly #longItems: number[] = [];
  readonly #longRuns: number[] = [];
  /** (hash, hash, long text + 1) a slot. */
  #table = new Uint32Array(3 << 12);
  #entries = 0;
  /** By the hash of each of an item's texts. */
  readonly #short = new Map<number, ShortItem[]>();
  /** One bit for many runs: what is not in it is not in the table. */
  #sieve = new Uint32Array(1 << 10);
  readonly #words = new WordHashes();
  readonly #part = new WordHashes();
  readonly #runs = new Runs();
  readonly #partRuns = new Runs();
  #digest = 0;

  constructor(options: DecontaminationOptions = {}) {
    this.#share = options.share ?? 0.5;
    this.#cut = options.cut ?? false;
  }

  /** Reads all items. */
  static async of(items: AsyncIterable<EvaluationItem> | Iterable<EvaluationItem>, options: DecontaminationOptions = {}): Promise<Decontaminator> {
    const decontaminator = new Decontaminator(options);
    for await (const item of items) decontaminator.add(item);
    return decontaminator;
  }

  /** By evaluation set, in the order they came. */
  get report(): readonly DecontaminationCounts[] {
    return [...this.#sets.values()].map((counts) => ({ ...counts }));
  }

  /** Of the settings and every item. */
  get key(): object {
    return { share: this.#share, cut: this.#cut, items: this.#digest };
  }

  /** What the items' runs take. */
  get bytes(): number {
    return this.#table.byteLength + this.#sieve.byteLength;
  }

  /** The same item twice is one. */
  add({ set, texts }: EvaluationItem): void {
    const counts = this.#sets.get(set) ?? { set, items: 0, tooShort: 0, found: 0, dropped: 0, cut: 0 };
    this.#sets.set(set, counts);
    const item = this.#itemSets.length;
    const short: Uint32Array[] = [];
    let thirds = 0;
    let long = false;
    for (const text of texts) {
      this.#words.read(text);
      for (let i = 0; i < this.#words.length; i++) this.#digest = Math.imul(this.#digest ^ entry(this.#words.hashes, i), 0x01000193) + item;
      const length = thirdsOf(this.#words);
      if (length < RUN_THIRDS) {
        if (length > 0) short.push(this.#words.hashes.slice(0, this.#words.length));
        thirds = Math.max(thirds, length);
        continue;
      }
      long = true;
      this.#addLong(item);
    }
    counts.items++;
    this.#itemSets.push(set);
    this.#found.push(false);
    if (long) return;
    if (short.length === 0 || (short.length === 1 && thirds < SHORTEST_THIRDS)) {
      counts.tooShort++;
      return;
    }
    for (const words of short) {
      const key = this.#keyOf(words);
      const entry = { item, texts: short };
      const there = this.#short.get(key);
      if (there === undefined) this.#short.set(key, [entry]);
      else if (there.length < MOST_OWNERS) there.push(entry);
    }
  }

  #keyOf(hashes: Uint32Array): number {
    this.#partRuns.read({ hashes: new Uint32Array(hashes), characters: new Uint8Array(hashes.length), length: hashes.length });
    return this.#partRuns.key(0, hashes.length);
  }

  #addLong(item: number): void {
    const text = this.#longItems.push(item) - 1;
    this.#runs.read(this.#words);
    let own = 0;
    for (let i = 0; i < this.#runs.count; i++) {
      if ((this.#entries + 1) * 3 > this.#table.length * FULL) this.#grow();
      if (this.#enter(this.#runs.first(i), this.#runs.second(i), text + 1)) own++;
    }
    this.#longRuns.push(own);
  }

  /** False for a run that the text, or too many others, have already. */
  #enter(first: number, second: number, owner: number): boolean {
    const table = this.#table;
    const slots = table.length / 3;
    let owners = 0;
    for (let slot = first % slots; ; slot = slot + 1 === slots ? 0 : slot + 1) {
      const there = entry(table, 3 * slot + 2);
      if (there === 0) {
        table[3 * slot] = first;
        table[3 * slot + 1] = second;
        table[3 * slot + 2] = owner;
        this.#entries++;
        const sieve = this.#sieve;
        const bit = first % (sieve.length * 32);
        sieve[bit >>> 5] = entry(sieve, bit >>> 5) | (1 << (bit & 31));
        return true;
      }
      if (entry(table, 3 * slot) === first && entry(table, 3 * slot + 1) === second && (there === owner || ++owners === MOST_OWNERS)) return false;
    }
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new Uint32Array(old.length * 2);
    // Eight bits a slot: one run in thirteen passes by chance.
    this.#sieve = new Uint32Array(this.#table.length / 3 / 4);
    this.#entries = 0;
    for (let i = 0; i < old.length; i += 3) if (entry(old, i + 2) !== 0) this.#enter(entry(old, i), entry(old, i + 1), entry(old, i + 2));
  }

  /** What is to become of a training document; the report counts it. */
  screen(document: Document): Decontaminated {
    const found = this.#find(document);
    if (found.items.size === 0) return { keep: document, cut: false };
    const sets = new Set<string>();
    for (const item of found.items) {
      const set = this.#itemSets[item] ?? '';
      const counts = this.#sets.get(set);
      if (counts !== undefined && this.#found[item] === false) counts.found++;
      this.#found[item] = true;
      sets.add(set);
    }
    const rest = this.#cut && document.kind === 'text' ? cutLines(document.text, found.places) : null;
    for (const set of sets) {
      const counts = this.#sets.get(set);
      if (counts !== undefined) counts[rest === null ? 'dropped' : 'cut']++;
    }
    return rest === null || document.kind !== 'text' ? { drop: 'contaminated', sets: [...sets] } : { keep: { ...document, text: rest }, cut: true };
  }

  /** The items in a document, and where in a text: [from, to) of words' beginnings. */
  #find(document: Document): { items: Set<number>; places: [from: number, to: number][] } {
    const items = new Set<number>();
    const places: [number, number][] = [];
    const words = this.#words;
    const messages = document.kind === 'text' ? [document.text] : document.messages.map(({ content }) => content);
    for (const [i, text] of messages.entries()) words.read(text, i > 0);
    if (this.#entries > 0) this.#findLong(items, places);
    if (this.#short.size > 0) for (const text of messages) this.#findShort(text, items, places);
    return { items, places };
  }

  #findLong(items: Set<number>, places: [number, number][]): void {
    const { starts } = this.#words;
    const runs = this.#runs;
    const table = this.#table;
    const slots = table.length / 3;
    const sieve = this.#sieve;
    const bits = sieve.length * 32;
    runs.read(this.#words);
    const hits = new Map<number, { slots: Set<number>; places: [number, number][] }>();
    for (let i = 0; i < runs.count; i++) {
      const first = runs.first(i);
      const bit = first % bits;
      if ((entry(sieve, bit >>> 5) & (1 << (bit & 31))) === 0) continue;
      const second = runs.second(i);
      for (let slot = first % slots; ; slot = slot + 1 === slots ? 0 : slot + 1) {
        const owner = entry(table, 3 * slot + 2);
        if (owner === 0) break;
        if (entry(table, 3 * slot) !== first || entry(table, 3 * slot + 1) !== second) continue;
        const hit = hits.get(owner - 1) ?? { slots: new Set(), places: [] };
        hits.set(owner - 1, hit);
        hit.slots.add(slot);
        hit.places.push([starts[i] ?? 0, starts[runs.end(i) - 1] ?? 0]);
      }
    }
    for (const [text, hit] of hits) {
      if (hit.slots.size < this.#share * Math.min(this.#longRuns[text] ?? 0, runs.count)) continue;
      items.add(this.#longItems[text] ?? 0);
      places.push(...hit.places);
    }
  }

  #findShort(text: string, items: Set<number>, places: [number, number][]): void {
    const words = this.#part;
    words.read(text);
    this.#partRuns.read(words);
    const look = (from: number, to: number): void => {
      if (to - from > LONGEST_UNIT) return;
      const first = words.indexAt(from);
      const end = words.indexAt(to);
      if (end === first) return;
      for (const { item, texts } of this.#short.get(this.#partRuns.key(first, end)) ?? []) {
        if (!texts.every((wanted) => this.#occurs(wanted))) continue;
        items.add(item);
        places.push([from, Math.max(from, to - 1)]);
      }
    };
    // The whole; every line; what follows each colon in it; what stands between two marks.
    look(0, text.length);
    let line = 0;
    let mark = 0;
    const colons: number[] = [];
    const endLine = (at: number): void => {
      look(line, at);
      for (const colon of colons) look(colon, at);
      colons.length = 0;
      line = at + 1;
    };
    for (const { index, 0: found } of text.matchAll(MARKS)) {
      look(mark, index);
      mark = index + 1;
      if (found === '\n') endLine(index);
      else if (found === ':' || found === '：') colons.push(index + 1);
    }
    if (mark > 0) {
      look(mark, text.length);
      endLine(text.length);
    }
  }

  /** Whether these words stand in the document one after the other. */
  #occurs(wanted: Uint32Array): boolean {
    const { hashes, length } = this.#words;
    const [head] = wanted;
    for (let i = hashes.indexOf(head ?? 0); i !== -1 && i + wanted.length <= length; i = hashes.indexOf(head ?? 0, i + 1)) {
      if (wanted.every((hash, j) => hashes[i + j] === hash)) return true;
    }
    return false;
  }
}

/** The hashes of all runs of a text, 64 bits each as two halves, from prefix hashes: as many steps as words, whatever the run. */
class Runs {
  count = 0;
  #ends = new Uint32Array(1024);
  #a = new Uint32Array(1025);
  #b = new Uint32Array(1025);
  #firsts = new Uint32Array(1024);
  #seconds = new Uint32Array(1024);

  read({ hashes, characters, length }: Pick<WordHashes, 'hashes' | 'characters' | 'length'>): void {
    if (this.#firsts.length < length) {
      const size = 2 * length;
      this.#ends = new Uint32Array(size);
      this.#a = new Uint32Array(size + 1);
      this.#b = new Uint32Array(size + 1);
      this.#firsts = new Uint32Array(size);
      this.#seconds = new Uint32Array(size);
    }
    this.count = 0;
    let thirds = 0;
    let start = 0;
    for (let end = 0; end < length; end++) {
      const hash = entry(hashes, end);
      this.#a[end + 1] = Math.imul(entry(this.#a, end), BASE_A) + hash;
      this.#b[end + 1] = Math.imul(entry(this.#b, end), BASE_B) + mix(hash);
      thirds += flag(characters, end) === 1 ? 2 : 3;
      while (thirds >= RUN_THIRDS) {
        const size = end + 1 - start;
        this.#firsts[start] = mix(entry(this.#a, end + 1) - Math.imul(entry(this.#a, start), power(POWERS_A, size)));
        this.#seconds[start] = entry(this.#b, end + 1) - Math.imul(entry(this.#b, start), power(POWERS_B, size));
        this.#ends[start] = end + 1;
        thirds -= flag(characters, start) === 1 ? 2 : 3;
        start++;
      }
    }
    this.count = start;
  }

  first(index: number): number {
    return entry(this.#firsts, index);
  }

  second(index: number): number {
    return entry(this.#seconds, index);
  }

  /** A number for these words, whatever text they stand in. */
  key(from: number, to: number): number {
    let a = entry(this.#a, to);
    let b = entry(this.#b, to);
    const size = to - from;
    a = mix(a - Math.imul(entry(this.#a, from), powerOf(BASE_A, size))) >>> 0;
    b = (b - Math.imul(entry(this.#b, from), powerOf(BASE_B, size))) >>> 0;
    return a * 0x200000 + (b >>> 11);
  }

  /** One past the run's last word. */
  end(index: number): number {
    return entry(this.#ends, index);
  }
}

const BASE_A = 0x01000193;
const BASE_B = 0x5bd1e995;
const powersOf = (base: number): Int32Array => {
  const powers = new Int32Array(RUN_THIRDS + 1).fill(1);
  for (let i = 1; i < powers.length; i++) powers[i] = Math.imul(power(powers, i - 1), base);
  return powers;
};
const POWERS_A = powersOf(BASE_A);
const POWERS_B = powersOf(BASE_B);

function powerOf(base: number, exponent: number): number {
  let result = 1;
  for (let power = base; exponent > 0; exponent >>>= 1, power = Math.imul(power, power)) if (exponent & 1) result = Math.imul(result, power);
  return result;
}

function thirdsOf({ characters, length }: WordHashes): number {
  let thirds = 0;
  for (let i = 0; i < length; i++) thirds += flag(characters, i) === 1 ? 2 : 3;
  return thirds;
}

/** The text without the lines that these places touch; null where too little would be left, or too many pieces. */
function cutLines(text: string, places: readonly (readonly [from: number, to: number])[]): string | null {
  const lines = text.split('\n');
  const kept: string[] = [];
  let at = 0;
  let cuts = 0;
  let cutting = false;
  for (const line of lines) {
    const end = at + line.length;
    const touched = line !== '' && places.some(([from, to]) => from < end && to >= at);
    if (touched && !cutting) cuts++;
    if (line !== '') cutting = touched;
    if (!touched) kept.push(line);
    at = end + 1;
  }
  const rest = kept.join('\n').replace(/\n{3,}/g, '\n\n').trim();
  return rest.length < LEAST_LEFT || cuts > MOST_CUTS ? null : rest;
}

// The loops above count within their arrays.
function entry(array: Uint32Array, index: number): number {
  return array[index] as number;
}
function flag(array: Uint8Array, index: number): number {
  return array[index] as number;
}
function power(array: Int32Array, index: number): number {
  return array[index] as number;
}
