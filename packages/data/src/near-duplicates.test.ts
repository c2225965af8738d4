import { expect, test } from 'vitest';
import type { Document } from './document.ts';
import { MinHash, similarity, SHINGLE_WORDS } from './minhash.ts';
import { bandsFor, candidateProbability, NearDuplicates } from './near-duplicates.ts';
import { keyOf, permute } from './permutation.ts';
import { WordHashes } from './word-hashes.ts';

/** Seeded and reproducible: below 1. */
function draws(seed: number): () => number {
  let step = 0;
  return () => keyOf(seed, step++) / 2 ** 32;
}

const document = (text: string): Document => ({ kind: 'text', text, path: 'x', line: 1 });

// Zipf's law, more or less: the share of the k-th commonest of n words falls as 1/k.
const zipf = (random: () => number, n: number): number => Math.floor(n ** random()) - 1;
const WORDS = Array.from({ length: 6000 }, (_, i) => (permute(i, 6000, 1) + 1000).toString(36));
const HANZI = Array.from({ length: 3000 }, (_, i) => String.fromCharCode(0x4e00 + permute(i, 8000, 2)));

interface Language {
  readonly words: readonly string[];
  readonly space: string;
}
const ENGLISH: Language = { words: WORDS, space: ' ' };
const CHINESE: Language = { words: HANZI, space: '' };

/** `paragraphs` of 60 words each. */
function write(random: () => number, { words, space }: Language, paragraphs = 6): string[][] {
  return Array.from({ length: paragraphs }, () => Array.from({ length: 60 }, () => (words[zipf(random, words.length)] ?? '') + space));
}
const join = (text: readonly (readonly string[])[]): string => text.map((words) => words.join('')).join('\n\n');

/** Each word, with this chance: another one, none, or one more. */
function edit(text: string[][], share: number, random: () => number, { words, space }: Language): string[][] {
  const other = (): string => (words[zipf(random, words.length)] ?? '') + space;
  return text.map((paragraph) => paragraph.flatMap((word) => {
    if (random() >= share) return [word];
    const kind = random();
    return kind < 0.6 ? [other()] : kind < 0.8 ? [] : [word, other()];
  }));
}

/** The share of documents found when each is looked for among 300 originals. */
function recall(language: Language, change: (text: string[][], random: () => number) => string[][], threshold: number): number {
  const random = draws(7);
  const originals = Array.from({ length: 300 }, () => write(random, language));
  const index = new NearDuplicates(threshold);
  for (const text of originals) {
    expect(index.find(document(join(text)))).toBeNull();
    index.add();
  }
  let found = 0;
  for (const [i, text] of originals.entries()) {
    const match = index.find(document(join(change(text, random))));
    expect([i, undefined]).toContain(match?.index);
    if (match !== null) found++;
  }
  return found / originals.length;
}

type Change = (text: string[][], random: () => number, language: Language) => string[][];
const edited = (share: number): Change => (text, random, language) => edit(text, share, random, language);

/** What is measured, with the similarity it leaves: recall at thresholds 0.7 and 0.5, each [at least, at most]. */
const COPIES: readonly (readonly [name: string, change: Change, at07: readonly [number, number], at05: readonly [number, number]])[] = [
  ['punctuation, case and spacing changed', (text) => text.map((words) => words.map((word) => ` ${word.toUpperCase()},`)), [1, 1], [1, 1]],
  ['1% of the words edited (similarity about 0.91)', edited(0.01), [0.99, 1], [1, 1]],
  ['2% edited (0.83)', edited(0.02), [0.95, 1], [1, 1]],
  ['5% edited (0.63)', edited(0.05), [0.1, 0.35], [0.95, 1]],
  ['10% edited (0.42)', edited(0.1), [0, 0.01], [0.03, 0.25]],
  ['20% edited (0.20)', edited(0.2), [0, 0], [0, 0]],
  ['paragraphs shuffled (0.97)', (text, random) => text.toSorted(() => random() - 0.5), [1, 1], [1, 1]],
  ['only the first 90%', (text) => first(text, 0.9), [1, 1], [1, 1]],
  ['only the first 80%', (text) => first(text, 0.8), [0.98, 1], [1, 1]],
  ['only the first 60%', (text) => first(text, 0.6), [0, 0.05], [0.95, 1]],
];

function first(text: string[][], share: number): string[][] {
  let left = Math.round(text.flat().length * share);
  return text.map((paragraph) => {
    const taken = paragraph.slice(0, Math.max(0, left));
    left -= paragraph.length;
    return taken;
  });
}

for (const [name, language] of [['English', ENGLISH], ['Chinese', CHINESE]] as const) {
  for (const [what, change, at07, at05] of COPIES) {
    test(`${name} copies with ${what}: recall within ${at07.join('–')} at threshold 0.7, ${at05.join('–')} at 0.5, and never another's copy`, () => {
      for (const [threshold, [least, most]] of [[0.7, at07], [0.5, at05]] as const) {
        const found = recall(language, (text, random) => change(text, random, language), threshold);
        if (process.env['SHOW_RECALL'] !== undefined) process.stdout.write(`\nR ${name} ${what} at ${threshold}: ${found.toFixed(3)}\n`);
        expect(found).toBeGreaterThanOrEqual(least);
        expect(found).toBeLessThanOrEqual(most);
      }
    });
  }
}

test('of 4,000 unrelated documents of either language none is dropped at any threshold from 0.4', () => {
  for (const language of [ENGLISH, CHINESE]) {
    const random = draws(11);
    const index = new NearDuplicates(0.4);
    for (let i = 0; i < 2000; i++) {
      expect(index.find(document(join(write(random, language, 1 + (i % 3)))))).toBeNull();
      index.add();
    }
    expect(index.count).toBe(2000);
  }
});

/** The definition: sets, not sketches. */
function jaccard(a: readonly string[], b: readonly string[]): number {
  const grams = (words: readonly string[]): Set<string> =>
    new Set(Array.from({ length: Math.max(1, words.length - SHINGLE_WORDS + 1) }, (_, i) => words.slice(i, i + SHINGLE_WORDS).join(' ')));
  const [x, y] = [grams(a), grams(b)];
  const both = [...x].filter((gram) => y.has(gram)).length;
  return both / (x.size + y.size - both);
}

test('estimated similarity is the Jaccard of the sets: unbiased within 0.01 over 400 pairs, each within five standard errors, from 8 to 2,000 words', () => {
  const random = draws(13);
  const words = new WordHashes();
  const [one, two] = [new MinHash(), new MinHash()];
  let bias = 0;
  for (let pair = 0; pair < 400; pair++) {
    const size = Math.floor(8 * 250 ** random());
    const a = Array.from({ length: size }, () => WORDS[Math.floor(random() * 6000)] ?? '');
    const b = edit([a.map((word) => `${word} `)], random() * 0.1, random, ENGLISH).flat().map((word) => word.trim());
    const exact = jaccard(a, b);
    words.read(a.join(' '));
    one.read(words);
    words.read(b.join(', '));
    two.read(words);
    const estimate = similarity(one.sketch, 0, two.sketch, 0);
    expect(Math.abs(estimate - exact)).toBeLessThanOrEqual(5 * Math.sqrt(Math.max(exact * (1 - exact), 0.01) / 128) + 1 / 128);
    bias += (estimate - exact) / 400;
  }
  expect(Math.abs(bias)).toBeLessThan(0.01);
});

test('bands find at least 95% of what comparing with every document finds, and never anything else', () => {
  const random = draws(17);
  const index = new NearDuplicates(0.7);
  const sketches: Uint8Array[] = [];
  const [words, minhash] = [new WordHashes(), new MinHash()];
  let every = 0;
  let banded = 0;
  let wrong = 0;
  const families = Array.from({ length: 60 }, () => write(random, ENGLISH, 2));
  for (let i = 0; i < 600; i++) {
    const text = join(edit(families[i % 60] ?? [], 0.06 * random(), random, ENGLISH));
    words.read(text);
    minhash.read(words);
    const slow = sketches.some((sketch) => similarity(sketch, 0, minhash.sketch, 0) >= 0.7);
    const fast = index.find(document(text));
    if (slow) every++;
    if (fast !== null) {
      banded++;
      if (!slow || similarity(sketches[fast.index] ?? new Uint8Array(), 0, minhash.sketch, 0) !== fast.similarity) wrong++;
    } else {
      index.add();
      sketches.push(minhash.sketch.slice());
    }
  }
  expect(wrong).toBe(0);
  expect(every).toBeGreaterThan(200);
  expect(banded).toBeGreaterThanOrEqual(0.95 * every);
});

test('bands are as long as they can be while 95% is found at the threshold; the curve is 1 − (1 − s^r)^b', () => {
  expect([0.5, 0.6, 0.7, 0.8, 0.9, 1].map(bandsFor)).toEqual([
    { bands: 42, rows: 3 }, { bands: 32, rows: 4 }, { bands: 25, rows: 5 }, { bands: 18, rows: 7 }, { bands: 10, rows: 12 }, { bands: 8, rows: 16 },
  ]);
  for (let threshold = 0.3; threshold <= 1; threshold += 0.01) {
    const found = bandsFor(threshold);
    expect(found.bands * found.rows).toBeLessThanOrEqual(128);
    expect(candidateProbability(threshold, found)).toBeGreaterThanOrEqual(0.95);
  }
  expect(candidateProbability(0.5, { bands: 25, rows: 5 })).toBeCloseTo(0.548, 3);
  expect(() => bandsFor(0.1)).toThrow('the threshold of near-duplicates is 0.1');
});

test('a conversation is judged by what user and assistant say, not by the system message or the turns\' bounds', () => {
  const random = draws(19);
  const turns = write(random, CHINESE, 4).map((words) => words.join(''));
  const system = join(write(random, ENGLISH, 8));
  const chat = (contents: readonly string[], prompt: string | null): Document => ({
    kind: 'conversation', path: 'x', line: 1,
    messages: [
      ...(prompt === null ? [] : [{ role: 'system' as const, content: prompt }]),
      ...contents.map((content, i) => ({ role: i % 2 === 0 ? 'user' as const : 'assistant' as const, content })),
    ],
  });
  const index = new NearDuplicates();
  expect(index.find(chat(turns, system))).toBeNull();
  index.add();
  expect(index.find(chat(turns, null))).toEqual({ index: 0, similarity: 1 });
  expect(index.find(document(turns.join('\n')))).toEqual({ index: 0, similarity: 1 });
  expect(index.find(chat(write(random, CHINESE, 2).map((words) => words.join('')), system))).toBeNull();
});

test('what a text without words is like, and one shorter than an n-gram', () => {
  const index = new NearDuplicates();
  expect(index.find(document('… !!! 🙂'))).toBeNull();
  expect(index.add()).toBeNull();
  expect(index.find(document('See you'))).toBeNull();
  expect(index.add()).toBe(0);
  expect(index.find(document('see you!'))).toEqual({ index: 0, similarity: 1 });
  expect(index.find(document('See him'))).toBeNull();
  // Changing one word of a short text is saying something else.
  expect(index.find(document('He is older than I am.'))).toBeNull();
  index.add();
  expect(index.find(document('He is younger than I am.'))).toBeNull();
});

test('memory is at most 414 bytes a document at 0.7, however long documents are, and thousands that share boilerplate stay quick', () => {
  const random = draws(23);
  const index = new NearDuplicates();
  const words = new WordHashes();
  const boilerplate = join(write(random, ENGLISH, 1));
  for (let i = 0; i < 12_000; i++) {
    words.read(`${boilerplate} ${join(write(random, ENGLISH, 1))}`);
    index.findWords(words);
    index.add();
  }
  expect(index.count).toBe(12_000);
  // Blocks of sketches are whole: up to half a megabyte more than is used.
  expect((index.bytes - (1 << 19)) / index.count).toBeLessThanOrEqual(414);
});

test('words: case, width, punctuation and spaces do not count; characters without spaces between are words', () => {
  const words = new WordHashes();
  const read = (text: string): number[] => {
    words.read(text);
    return [...words.hashes.subarray(0, words.length)];
  };
  expect(read('Hello, WORLD!')).toEqual(read('hello\nｗｏｒｌｄ'));
  expect(read('我爱你。')).toHaveLength(3);
  expect(read('我 爱，你')).toEqual(read('我爱你'));
  expect(read('GPT模型')).toHaveLength(3);
  expect(read('𠀀𠀁 🙂 naïve')).toHaveLength(3);
  expect(read('สวัสดี')).toHaveLength('สวัสดี'.length);
  expect(read('안녕 세상')).toHaveLength(2);
  expect(new Set(read('ab ba a b 甲 乙')).size).toBe(6);
  words.read('one two');
  words.read('three 四', true);
  expect([...words.starts.subarray(0, words.length)]).toEqual([0, 4, 0, 6]);
  expect(read('x'.repeat(5000).split('').join(' '))).toHaveLength(5000);
});
