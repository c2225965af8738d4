import { expect, test } from 'vitest';
import { editDistance, nearestName } from './nearest-name.ts';

test('edit distance: insert, delete, replace, swap', () => {
  expect([['', 'abc'], ['abc', 'abd'], ['abc', 'acb'], ['kitten', 'sitting'], ['same', 'same']].map(([a = '', b = '']) => editDistance(a, b)))
    .toEqual([3, 1, 1, 3, 0]);
});

test('the nearest name ignores case and separators; there is none where nothing is near', () => {
  expect(nearestName('max_new_token', ['maxLength', 'maxNewTokens'])).toBe('maxNewTokens');
  expect(nearestName('zzzzzz', ['topK', 'topP'])).toBeUndefined();
  expect(nearestName('x', [])).toBeUndefined();
});
