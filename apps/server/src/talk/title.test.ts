import { expect, test } from 'vitest';
import { titleOf } from './title.ts';

const columns = (text: string): number => Array.from(text).reduce((sum, each) => sum + (/[\u1100-\uffdc]/u.test(each) ? 2 : 1), 0);

test.each([
  ['Hello!', 'Hello!'],
  ['What is the capital of France?', 'What is the capital of France?'],
  ['  \n\n## Plan for **Monday**\nand more', 'Plan for Monday'],
  ['```ts\nconst x = 1;\n```\nWhat does this do?', 'const x = 1'],
  ['Write a poem about the sea. It should rhyme, and have four stanzas of four lines each.', 'Write a poem about the sea'],
  ['Explain how a transformer language model computes attention over its context', 'Explain how a transformer language model…'],
  ['Version 3.5 of the library does not build on machines with many cores', 'Version 3.5 of the library does not build on…'],
  ['请用简单的话解释一下什么是注意力机制，并且举三个生活中的例子来说明它', '请用简单的话解释一下什么是注意力机制'],
  ['人工智能的历史从图灵开始到今天一共经历了哪些重要的阶段和转折点呢', '人工智能的历史从图灵开始到今天一共经历了哪些…'],
  ['Расскажи, пожалуйста, подробно историю железных дорог в Сибири и на Дальнем Востоке', 'Расскажи, пожалуйста'],
  ['!!! ???', '!!! ???'],
  ['👩‍👩‍👧‍👦'.repeat(40), `${'👩‍👩‍👧‍👦'.repeat(23)}…`],
  ['x'.repeat(200), `${'x'.repeat(47)}…`],
])('%j is called %j', (text, title) => {
  // A title that was cut at a clause has no ellipsis: its end is an end.
  expect(titleOf(text)).toBe(title);
});

test('titles of any text are one line of at most 49 columns or so, and well formed', () => {
  // Joined emoji are counted here by their parts.
  const pieces = ['a', 'word ', '字', '。', ', ', '\n', '`', '👍🏽', 'é', '\u200f', 'ش', '```\n', '# ', '1. ', 'https://example.org/a?b=c', '\ud83d'];
  let state = 1;
  const next = (n: number): number => (state = (state * 48271) % 2147483647) % n;
  for (let i = 0; i < 500; i++) {
    const text = Array.from({ length: next(60) }, () => pieces[next(pieces.length)]).join('');
    const title = titleOf(text.toWellFormed());
    expect(title).not.toMatch(/[\n\r]/);
    expect(columns(title)).toBeLessThanOrEqual(100);
    expect(title.isWellFormed()).toBe(true);
  }
});
