import { expect, test } from 'vitest';
import { type Block, blocksOf, closing, GrowingMarkdown } from './blocks.ts';

const DOCUMENT = `# Title

A paragraph with **bold**, *slanted*, \`code\` and a [link](https://example.org).
And a second line.

- one
- two
  - inner

  more of two

1. first
2. second

> quoted
> **more**
lazy

\`\`\`ts
const x = 1; // $not math$

- not a list
\`\`\`

| a | b |
|---|--:|
| 1 | 2 |
| $x$ | 中文 |

$$
\\frac{1}{2}
$$

Then $e^{i\\pi} + 1 = 0$ and \\(a\\) and it costs $5 and $6.

\\[ x^2 \\]

<div onclick="x">tag</div>

Setext
======

---

最后一段，**加粗**。
    not code
`;

const plain = (blocks: readonly Block[]): unknown => JSON.parse(JSON.stringify(blocks));

test('a text that grows by pieces of any size has the blocks of the whole text at every step (100 ways of cutting, seeded)', () => {
  let seed = 7;
  const random = (): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed / 2147483648;
  };
  const whole = new Map<number, string>();
  const wholeAt = (at: number): string => {
    const known = whole.get(at) ?? JSON.stringify(blocksOf(DOCUMENT.slice(0, at)));
    whole.set(at, known);
    return known;
  };
  for (let round = 0; round < 100; round++) {
    const growing = new GrowingMarkdown();
    for (let at = 0; at < DOCUMENT.length;) {
      at = Math.min(DOCUMENT.length, at + 1 + Math.floor(random() * 40));
      expect(JSON.stringify(growing.update(DOCUMENT.slice(0, at))), `round ${round}, at ${at}`).toBe(wholeAt(at));
    }
  }
});

test('blocks before the last two stay the same objects while the text grows', () => {
  const growing = new GrowingMarkdown();
  const before = growing.update('one\n\ntwo\n\nthree\n\nfo');
  const after = growing.update('one\n\ntwo\n\nthree\n\nfour');
  expect(after.slice(0, 3).map(({ token }, index) => token === before[index]?.token)).toEqual([true, true, true]);
  expect(after[3]?.token.raw).toBe('four');
});

test('a text that is replaced by another is read anew', () => {
  const growing = new GrowingMarkdown();
  growing.update('one\n\ntwo');
  expect(plain(growing.update('other'))).toEqual(plain(blocksOf('other')));
});

test.each([
  ['**bo', '**'], ['a **b *c', '***'], ['`co', '`'], ['done **bold**', ''], ['ends **', ''], ['2 * 3', ''], ['```\n**no', ''], ['```\nx\n```\n*yes', '*'],
  ['snake_case', ''], ['`a*b', '`'], ['\\*no', ''], ['~~st', '~~'],
])('%j is closed by %j', (text, marks) => {
  expect(closing(text)).toBe(marks);
});

test('dollars are money unless they cling to a formula', () => {
  const types = (text: string): string[] => (blocksOf(text)[0]?.token as { tokens: { type: string }[] } | undefined)?.tokens.map(({ type }) => type) ?? [];
  expect(types('It costs $5 and $6.')).toEqual(['text']);
  expect(types('So $x+1$ it is')).toContain('inlineMath');
  expect(types('$ x $')).toEqual(['text']);
});
