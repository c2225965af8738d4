import { expect, test } from 'vitest';
import { excerptOf, fuzzy, piecesOf, termsOf } from './match.ts';

const marked = (text: string, query: string): string => piecesOf(text, query).map(({ text: piece, hit }) => (hit ? `[${piece}]` : piece)).join('');

test.each([
  ['Paris in spring', 'paris', '[Paris] in spring'],
  ['东京三日游怎么安排', '三日 东京', '[东京][三日]游怎么安排'],
  ['Ｐａｒｌｅｙ 和 parley', 'PARLEY', '[Ｐａｒｌｅｙ] 和 [parley]'],
  ['an ﬁle and İstanbul', 'file', 'an [ﬁle] and İstanbul'],
  ['an ﬁle', 'f', 'an [ﬁ]le'],
  ['banana', 'ana nan', 'b[anana]'],
  ['a.b (c)', '.b (', 'a[.b] [(]c)'],
  ['nothing', 'else', 'nothing'],
  ['nothing', '  ', 'nothing'],
] as const)('in %s, %s is marked as %s', (text, query, expected) => {
  expect(marked(text, query).replaceAll('][', '')).toBe(expected.replaceAll('][', ''));
});

test('pieces put together are the text, for every text and query of a small alphabet', () => {
  const letters = ['a', 'İ', 'ﬁ', '😀', '中', ' '];
  for (let i = 0; i < 1000; i++) {
    const word = (seed: number, length: number): string => Array.from({ length }, (_, j) => letters[(seed * 7 + j * j * 3 + (seed >> j)) % letters.length]).join('');
    const text = word(i, i % 9);
    expect(piecesOf(text, word(i * 5 + 1, i % 3)).map((piece) => piece.text).join('')).toBe(text);
  }
});

test('terms are split at spaces of any width, each once', () => {
  expect(termsOf(' Tea　ＴＥＡ coffee\n')).toEqual(['tea', 'coffee']);
});

test('an excerpt shows the first occurrence on one line and cuts no character in two', () => {
  const text = `${'😀'.repeat(60)}\nthe needle\n${'😀'.repeat(60)}`;
  const excerpt = excerptOf(text, 'needle', 31);
  expect(excerpt).toContain('the needle');
  expect(excerpt.startsWith('…') && excerpt.endsWith('…')).toBe(true);
  expect(excerpt.isWellFormed()).toBe(true);
  expect(excerptOf('short  text', 'absent')).toBe('short text');
});

test('letters in order fit; the better fit is the one whose letters begin words or stand together', () => {
  const order = (query: string, ...texts: string[]): string[] => texts.flatMap((text) => {
    const found = fuzzy(text, query);
    return found === undefined ? [] : [{ text, score: found.score }];
  }).toSorted((a, b) => b.score - a.score).map(({ text }) => text);
  expect(order('nc', 'ancient', 'New chat', 'encode')).toEqual(['New chat', 'encode', 'ancient']);
  expect(order('set', 'Reset', 'Settings', 'Some entries there')).toEqual(['Settings', 'Some entries there', 'Reset']);
  expect(order('设', '打开设置', '新对话')).toEqual(['打开设置']);
  expect(fuzzy('abc', 'cb')).toBeUndefined();
});

test('the letters that fit are marked, and the pieces are the text', () => {
  expect(fuzzy('New chat', 'nch')?.pieces).toEqual([{ text: 'N', hit: true }, { text: 'ew ', hit: false }, { text: 'ch', hit: true }, { text: 'at', hit: false }]);
});
