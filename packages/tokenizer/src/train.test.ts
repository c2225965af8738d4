import { expect, test } from 'vitest';
import { BYTES_IN_TOKEN_ORDER, byteToCharacter } from './byte-alphabet.ts';
import { translatePattern } from './pattern.ts';
import { GPT2_PATTERN, GPT4_PATTERN, gpt4Scanner } from './scanners.ts';
import { nastyText, numbers } from './testing/corpus.ts';
import type { Tokenizer } from './tokenizer.ts';
import { trainTokenizer, type TrainProgress } from './train.ts';
import { WordCounts } from './word-counts.ts';

/** The definition: count every pair again for every merge. Gives the merges, in GPT-2's alphabet. */
function trainByDefinition(documents: readonly string[], merges: number, pattern: string): string[] {
  const order = BYTES_IN_TOKEN_ORDER.map(byteToCharacter);
  const words = new Map<string, number>();
  for (const document of documents) {
    for (const [word] of document.matchAll(translatePattern(pattern))) words.set(word, (words.get(word) ?? 0) + 1);
  }
  const list = Array.from(words, ([word, count]) => ({ symbols: Array.from(new TextEncoder().encode(word), byteToCharacter), count }));
  const learned: string[] = [];
  while (learned.length < merges) {
    const pairs = new Map<string, number>();
    for (const { symbols, count } of list) {
      for (let i = 0; i + 1 < symbols.length; i++) {
        const pair = `${symbols[i]} ${symbols[i + 1]}`;
        pairs.set(pair, (pairs.get(pair) ?? 0) + count);
      }
    }
    const id = (pair: string, side: number): number => order.indexOf(pair.split(' ')[side] ?? '');
    const [best] = [...pairs].sort((a, b) => b[1] - a[1] || id(a[0], 0) - id(b[0], 0) || id(a[0], 1) - id(b[0], 1));
    if (best === undefined || best[1] < 2) break;
    const [left = '', right = ''] = best[0].split(' ');
    learned.push(best[0]);
    order.push(left + right);
    for (const word of list) {
      const merged: string[] = [];
      for (let i = 0; i < word.symbols.length; i++) {
        if (word.symbols[i] === left && word.symbols[i + 1] === right) {
          merged.push(left + right);
          i++;
        } else merged.push(word.symbols[i] ?? '');
      }
      word.symbols = merged;
    }
  }
  return learned;
}

const mergesOf = (tokenizer: Tokenizer): string[] => (tokenizer.toJSON() as { model: { merges: string[] } }).model.merges;

test.each([
  { seed: 31, pattern: 'gpt2' as const, source: GPT2_PATTERN },
  { seed: 32, pattern: 'gpt4' as const, source: GPT4_PATTERN },
  { seed: 33, pattern: 'gpt4' as const, source: GPT4_PATTERN },
])('learns the merges of the definition, $pattern, seed $seed', async ({ seed, pattern, source }) => {
  const documents = Array.from({ length: 6 }, (_, i) => nastyText(seed * 100 + i, 800).toWellFormed());
  const tokenizer = await trainTokenizer(documents, { vocabSize: 256 + 3 + 100, pattern });
  expect(mergesOf(tokenizer)).toEqual(trainByDefinition(documents, 100, source));
  expect(tokenizer.vocabSize).toBe(359);
});

test.each([41, 42, 43, 44])('learns them from words of few letters, where pairs overlap and tie, seed %i', async (seed) => {
  const below = numbers(seed);
  const documents = Array.from({ length: 60 }, () => Array.from({ length: 1 + below(30) }, () => 'aab '[below(4)]).join(''));
  const tokenizer = await trainTokenizer(documents, { vocabSize: 256 + 3 + 60 });
  expect(mergesOf(tokenizer)).toEqual(trainByDefinition(documents, 60, GPT4_PATTERN));
});

test('the same documents give the same tokenizer, from an array and from a stream', async () => {
  const documents = Array.from({ length: 20 }, (_, i) => nastyText(600 + i, 1000));
  async function* stream(): AsyncGenerator<string> {
    for (const document of documents) yield await Promise.resolve(document);
  }
  const [first, second] = [await trainTokenizer(documents, { vocabSize: 500 }), await trainTokenizer(stream(), { vocabSize: 500 })];
  expect(second.toJSON()).toEqual(first.toJSON());
});

test('ids: bytes in GPT-2\'s order, merges, special tokens; Parley\'s roles', async () => {
  const tokenizer = await trainTokenizer(['the theme of the thesis'], { vocabSize: 262 });
  expect(tokenizer.tokenToId('!')).toBe(0);
  expect(tokenizer.tokenToId('Ġ')).toBe(220);
  expect(tokenizer.idToToken(256)).toBe('he');
  expect([...tokenizer.specialTokens]).toEqual([['<|endoftext|>', 259], ['<|im_start|>', 260], ['<|im_end|>', 261]]);
  expect([tokenizer.bosTokenId, tokenizer.padTokenId, tokenizer.eosTokenId]).toEqual([259, 259, 261]);
});

test('stops when no pair occurs twice, with a smaller vocabulary', async () => {
  const tokenizer = await trainTokenizer(['abcdefg'], { vocabSize: 1000 });
  expect(tokenizer.vocabSize).toBe(259);
});

test('everything trained on comes back from its ids', async () => {
  const documents = Array.from({ length: 20 }, (_, i) => nastyText(700 + i, 2000, { disputed: true }));
  const tokenizer = await trainTokenizer(documents, { vocabSize: 700 });
  for (const document of documents) expect(tokenizer.decode(tokenizer.encode(document))).toBe(document.toWellFormed());
});

test('progress goes forward, and an aborted signal stops', async () => {
  const seen: TrainProgress[] = [];
  await trainTokenizer([nastyText(1, 20_000)], { vocabSize: 600, onProgress: (progress) => void seen.push(progress) });
  expect(seen.at(-1)).toMatchObject({ phase: 'merge', documents: 1, merges: 341, totalMerges: 341, threshold: 1 });
  for (let i = 1; i < seen.length; i++) expect(seen[i]?.merges).toBeGreaterThanOrEqual(seen[i - 1]?.merges ?? 0);
  await expect(trainTokenizer(['text'], { vocabSize: 300, signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
});

test('errors name the numbers', async () => {
  await expect(trainTokenizer(['a'], { vocabSize: 200 })).rejects.toThrow('a vocabulary of 200 has no room for 256 bytes and 3 special tokens: make it at least 259');
  await expect(trainTokenizer([], { vocabSize: 300 })).rejects.toThrow('no text');
  await expect(trainTokenizer(['a'], { vocabSize: 300, maxWords: 1 })).rejects.toThrow('maxWords is 1');
});

// ---- bounded memory -------------------------------------------------------------------------------------------------

test('counts are exact while there is room, and long words are counted in pieces', () => {
  const counts = new WordCounts(gpt4Scanner(3), { words: 100, units: 100_000 });
  counts.add('the cat the dog the');
  counts.add('x'.repeat(600));
  counts.add('🙂'.repeat(200)); // pieces end between characters
  const found = Object.fromEntries(Array.from({ length: counts.table.size }, (_, word) => [counts.table.word(word), counts.count(word)]));
  expect(found).toEqual({
    the: 1, ' cat': 1, ' the': 2, ' dog': 1, ['x'.repeat(256)]: 2, ['x'.repeat(88)]: 1, ['🙂'.repeat(128)]: 1, ['🙂'.repeat(72)]: 1,
  });
  expect(counts.threshold).toBe(1);
});

test('a full table is thinned: within its bounds, frequent words close to their counts, all counts within 6% in sum', () => {
  const below = numbers(3);
  const limits = { words: 2000, units: 20_000 };
  const counts = new WordCounts(gpt4Scanner(3), limits);
  const exact = new Map<string, number>();
  let total = 0;
  let rare = 0;
  for (let i = 0; i < 400; i++) {
    const words = Array.from({ length: 200 }, () => {
      const word = below(3) > 0 ? `w${String.fromCharCode(97 + below(20))}` : `r${below(2 ** 31).toString(26).replaceAll(/\d/g, 'z')}`;
      exact.set(word, (exact.get(word) ?? 0) + 1);
      total++;
      if (word.startsWith('r')) rare++;
      return word;
    });
    counts.add(words.map((word) => `${word}\n`).join(''));
    expect(counts.table.size).toBeLessThanOrEqual(limits.words);
    expect(counts.table.units).toBeLessThanOrEqual(limits.units);
  }
  expect(counts.threshold).toBeGreaterThan(1);
  let sum = 0;
  let rareSum = 0;
  let worst = 0;
  for (let word = 0; word < counts.table.size; word++) {
    const text = counts.table.word(word);
    if (text === '\n') continue;
    sum += counts.count(word);
    if (text.startsWith('r')) rareSum += counts.count(word);
    else worst = Math.max(worst, Math.abs(counts.count(word) - (exact.get(text) ?? 0)));
  }
  expect(worst).toBeLessThanOrEqual(counts.threshold);
  // The text whose words never repeat keeps its weight: dropping rare words would leave almost nothing of it.
  expect(Math.abs(rareSum / rare - 1)).toBeLessThan(0.06);
  expect(Math.abs(sum / total - 1)).toBeLessThan(0.06);
});

test('a thinned training run is deterministic and close to the exact one', async () => {
  const documents = Array.from({ length: 60 }, (_, i) => nastyText(800 + i, 3000));
  const thresholds: number[] = [];
  const options = { vocabSize: 500, maxWords: 1500, onProgress: ({ threshold }: TrainProgress) => void thresholds.push(threshold) };
  const [first, second] = [await trainTokenizer(documents, options), await trainTokenizer(documents, options)];
  expect(Math.max(...thresholds)).toBeGreaterThan(1);
  expect(second.toJSON()).toEqual(first.toJSON());
  const exact = await trainTokenizer(documents, { vocabSize: 500 });
  const test = nastyText(999, 50_000);
  expect(first.encode(test).length).toBeLessThan(exact.encode(test).length * 1.05);
});
