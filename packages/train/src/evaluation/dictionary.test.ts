import { expect, test } from 'vitest';
import { learnDictionary, learnMemory } from './dictionary.ts';

const pairs = [
  ['I like apples.', '我喜欢苹果。'], ['I like tea.', '我喜欢茶。'], ['He likes tea.', '他喜欢茶。'], ['He sees apples.', '他看见苹果。'],
  ['I see tea.', '我看见茶。'], ['We like apples.', '我们喜欢苹果。'], ['We see him.', '我们看见他。'],
].map(([source = '', target = '']) => ({ source, target }));

test('a dictionary is learned from sentences alone, in both directions; words never seen stay', () => {
  const toChinese = learnDictionary(pairs, { source: 'en', target: 'zh' });
  expect(toChinese('Apples')).toBe('苹果');
  expect(toChinese('tea.')).toBe('茶。');
  expect(toChinese('Zanzibar')).toBe('zanzibar');
  const toEnglish = learnDictionary(pairs.map(({ source, target }) => ({ source: target, target: source })), { source: 'zh', target: 'en' });
  expect(toEnglish('苹果。茶。')).toBe('apples . tea .');
});

test('a memory gives the translation of the sentence most alike, and of nothing alike the first', () => {
  const recall = learnMemory(pairs, 'en');
  expect(recall('He likes apples, tea')).toBe('他喜欢茶。');
  expect(recall('we see HIM')).toBe('我们看见他。');
  expect(recall('xyzzy')).toBe('我喜欢苹果。');
});
