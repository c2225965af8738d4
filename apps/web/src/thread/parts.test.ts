/** The thread's small parts that depend on nothing. */
import { expect, test } from 'vitest';
import { resolveLanguage } from '../i18n.ts';
import { isSending } from './composing.ts';
import { fenced, readTextFile } from './files.ts';
import { percent, sureness, visible } from './probability.ts';
import { rangeOf, rowAt, topsOf } from './rows.ts';

const stroke = { key: 'Enter', shiftKey: false, ctrlKey: false, altKey: false, isComposing: false, keyCode: 13 };

test('Enter sends, but not with Shift and not while an input method is choosing', () => {
  expect(isSending(stroke)).toBe(true);
  expect(isSending({ ...stroke, shiftKey: true })).toBe(false);
  expect(isSending({ ...stroke, isComposing: true })).toBe(false);
  expect(isSending({ ...stroke, keyCode: 229 })).toBe(false);
  expect(isSending({ ...stroke, key: 'a' })).toBe(false);
});

test('rows near the window, for any scroll position', () => {
  const heights = Array.from({ length: 10_000 }, (_, index) => 40 + (index * 37) % 200);
  const tops = topsOf(heights);
  for (const y of [-50, 0, 1, 39, 40, 5000, 123_456, 1e9]) {
    const row = rowAt(tops, y);
    const slow = Math.max(0, heights.findLastIndex((_, index) => (tops[index] ?? 0) <= y));
    expect(row).toBe(slow);
  }
  expect(rangeOf(topsOf([]), { top: 0, height: 100, margin: 10 })).toEqual({ from: 0, to: 0 });
  const { from, to } = rangeOf(tops, { top: 5000, height: 800, margin: 900 });
  expect(tops[from]).toBeLessThanOrEqual(4100);
  expect(tops[to]).toBeGreaterThanOrEqual(6700);
});

test('a file is fenced by more backticks than it has', () => {
  expect(fenced('a.md', '```\nx\n```\n')).toBe('a.md:\n````md\n```\nx\n```\n````\n');
});

test('files that are no text, or too much, are refused by name', async () => {
  expect(await readTextFile(new File([new Uint8Array([0xff, 0xfe, 0])], 'x.bin'))).toEqual({ problem: 'notText' });
  expect(await readTextFile(new File(['x'.repeat(200_001)], 'x.txt'))).toEqual({ problem: 'tooLarge' });
  expect(await readTextFile(new File(['中文'], '文.txt'))).toEqual({ text: '文.txt:\n```txt\n中文\n```\n' });
});

test('probabilities as people read them', () => {
  expect([1, 0.934, 0.0999, 0.0042, 0.0004, 0].map(percent)).toEqual(['100%', '93%', '10%', '0.4%', '<0.1%', '0%']);
  expect([Math.log(0.95), Math.log(0.5), Math.log(0.001), null].map(sureness)).toEqual([5, 3, 0, 5]);
  expect(visible(' the\n')).toBe('·the↵');
});

test('the language is the person\'s choice, then the server\'s suggestion, then the browser\'s', () => {
  expect(resolveLanguage('zh', 'en', ['en-US'])).toBe('zh');
  expect(resolveLanguage('auto', 'zh', ['en-US'])).toBe('zh');
  expect(resolveLanguage('auto', undefined, ['zh-TW', 'en'])).toBe('zh');
  expect(resolveLanguage('auto', undefined, [])).toBe('en');
});
