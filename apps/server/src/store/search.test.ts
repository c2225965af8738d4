import { expect, test } from 'vitest';
import { excerpt, parseQuery, termsOf } from './search.ts';
import { emptyStore, engines } from './testing/databases.ts';

test('a text\'s terms are its words, and of scripts without blanks each character and each two neighbours', () => {
  expect(termsOf('The Café — the CAFÉ, no. 42! it\'s')).toEqual(['the', 'cafe', 'no', '42', 'it', 's']);
  expect(termsOf('今天AI很好')).toEqual(['今', '天', '今天', 'ai', '很', '好', '很好']);
  expect(termsOf('ＡＢＣ １２')).toEqual(['abc', '12']);
  // Marks that make another letter stay: が is not か, and Hangul is whole.
  expect(termsOf('が 한글')).toEqual(['が', '한', '글', '한글']);
  expect(termsOf('𠮷野家')).toEqual(['𠮷', '野', '𠮷野', '家', '野家']);
  expect(termsOf(' …!?🙂 ')).toEqual([]);
  expect(termsOf('a'.repeat(500))).toEqual(['a'.repeat(64)]);
});

test('a query asks for all of its terms, for pairs where there are pairs, and for a beginning where a word may go on', () => {
  expect(parseQuery('天气')).toEqual({ terms: ['天气'], prefix: null });
  expect(parseQuery('气')).toEqual({ terms: ['气'], prefix: null });
  expect(parseQuery('北京天气 wea')).toEqual({ terms: ['北京', '京天', '天气'], prefix: 'wea' });
  expect(parseQuery('wea ')).toEqual({ terms: ['wea'], prefix: null });
  expect(parseQuery('"; drop * --')).toEqual({ terms: ['drop'], prefix: null });
  expect(parseQuery(' ?! ')).toBeNull();
});

test('an excerpt is around the first thing looked for and cuts no character in two', () => {
  expect(excerpt('short', 'nothing')).toBe('short');
  expect(excerpt(`${'🙂'.repeat(60)} needle ${'🙂'.repeat(80)}`, 'NEED').isWellFormed()).toBe(true);
  expect(excerpt(`${'a '.repeat(60)}needle`, 'NEED')).toMatch(/^…[a ]+needle$/);
});

test.each(engines.map((engine) => ({ engine })))('random texts of few words: $engine.name finds those that the terms say', async ({ engine }) => {
  await using opened = await emptyStore(engine);
  const { conversations } = opened.store;
  const pieces = ['sun', 'sunny', 'sund', '天', '气', '天气', '气天', 'Été', 'ete', "o'clock", 'x&y', "'", '\\', '"', ':*', '한글', 'SUN', '42'];
  let state = 7;
  const draw = (below: number): number => (state = (state * 48271) % 2147483647) % below;
  const phrase = (longest: number): string => Array.from({ length: 1 + draw(longest) }, () => `${pieces[draw(pieces.length)] ?? ''}${draw(3) === 0 ? '' : ' '}`).join('');
  const texts = Array.from({ length: 60 }, () => phrase(5));
  await conversations.importAll('a', {
    format: 'parley-export', version: 1,
    conversations: texts.map((content, index) => ({ id: `c${index}`, title: '', createdAt: 1, updatedAt: 1, messages: [{ id: 'm', parentId: null, role: 'user', content, createdAt: 1 }] })),
  });
  for (let round = 0; round < 60; round++) {
    const search = phrase(2);
    const query = parseQuery(search);
    const expected = texts.flatMap((text, index) => {
      const terms = termsOf(text);
      const { prefix = null } = query ?? {};
      const holds = (query?.terms ?? []).every((term) => terms.includes(term)) && (prefix === null || terms.some((term) => term.startsWith(prefix)));
      return holds ? [`c${index}`] : [];
    });
    const found = (await conversations.list('a', { search, limit: 200 })).items.map(({ id }) => id);
    expect(found.sort(), JSON.stringify(search)).toEqual(expected.sort());
  }
});
