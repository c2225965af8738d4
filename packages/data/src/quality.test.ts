import { expect, test } from 'vitest';
import { judgeQuality, QUALITY_RULES, type QualityRule } from './quality.ts';

const ENGLISH = `The railway came to the valley in 1871, and with it came people who had never seen a mountain. They built a hotel, two
churches and a school, and within ten years the village had become a town of three thousand.

Not everyone was happy. The farmers, whose fields had been crossed by the line, complained that their cows gave less milk; the innkeeper
on the old road lost most of his guests. "We were promised progress," he wrote to his brother, "and it has gone past my door."

When the mine closed in 1904, the trains became fewer. Today one can still walk along the old line, which is now a path for cyclists.`;
const CHINESE = `铁路在一八七一年通到了这个山谷，随之而来的是许多从未见过高山的人。他们盖起了一家旅馆、两座教堂和一所学校，不到十年，村子就变成了三千人的小镇。

并不是所有人都高兴。农民们抱怨说，铁路穿过了田地，奶牛产的奶也少了；老路上的客店老板失去了大部分客人。他在给哥哥的信里写道：“他们答应给我们进步，可是进步从我门前过去了。”`;
const breaks = (text: string): QualityRule | null => judgeQuality(text)?.rule ?? null;

test('running prose in English and Chinese breaks no rule', () => {
  expect(judgeQuality(ENGLISH)).toBeNull();
  expect(judgeQuality(CHINESE)).toBeNull();
});

const sentences = ENGLISH.replaceAll('\n', ' ').match(/[^.]+\./g) ?? [];
const many = (n: number, make: (i: number) => string, joint = ' '): string => Array.from({ length: n }, (_, i) => make(i)).join(joint);
const word = (i: number): string => ['stone', 'river', 'garden', 'letter', 'window', 'summer', 'engine', 'copper'][i % 8]! + String.fromCharCode(97 + (i * 7) % 26, 97 + (i * 11) % 26);

test.each<[QualityRule, string]>([
  ['few_words', 'Too short to learn from. The end.'],
  ['short_words', `the a to of is it I am we ${many(60, (i) => String.fromCharCode(97 + (i % 26)))} and so on.`],
  ['long_words', `the and ${many(60, (i) => `Donaudampfschifffahrt${word(i)}`)}.`],
  ['symbols', `${ENGLISH} ${many(20, (i) => `#${word(i)}`)}.`],
  ['bullets', many(40, (i) => `- the ${word(i)} and ${word(i + 3)} of ${word(i * 3)} in town.`, '\n')],
  ['ellipses', many(20, (i) => `And then the ${word(i)} was ${word(i * 5)} to me, and so it went on…`, '\n')],
  ['few_letters', `The table has the values: ${many(60, (i) => String(1000 + i))} and that is all of it.`],
  ['few_common_words', many(80, word)],
  ['links', `${ENGLISH} ${many(9, (i) => `https://example.org/${i}`)}`],
  ['capitals', ENGLISH.toUpperCase()],
  ['unended_lines', many(25, (i) => `the long ${word(i)} line that is in no sentence and ${word(i * 3)} stops`, '\n')],
  ['short_lines', many(40, (i) => `The ${word(i)} is ${word(i * 3)}.`, '\n')],
  ['few_han', `${CHINESE}\n${many(50, word)}。`],
  ['few_punctuation', `${CHINESE.replace(/\p{P}/gu, '').replaceAll('\n', '')}。`],
  ['low_entropy', `${'的是在了，。'.repeat(40)}`],
  ['repeated_lines', many(20, (i) => (i % 2 === 0 ? 'Click here for the whole list of what we have.' : `${sentences[i % sentences.length]} And ${word(i)}.`), '\n')],
  ['top_2_gram', many(24, (i) => `the best price of ${word(i)} is: `)],
  ['repeated_5_grams', `${ENGLISH}\n\n${many(3, (i) => `${word(i)} ${sentences[1]} ${word(i + 2)}`, '\n\n')}`],
])('%s is why this is dropped', (rule, text) => {
  expect(breaks(text)).toBe(rule);
});

test('a threshold can be moved or switched off, and the judgement names value and threshold', () => {
  const short = 'Too short to learn from. The end.';
  expect(judgeQuality(short)).toEqual({ rule: 'few_words', value: 7, threshold: 50 });
  expect(judgeQuality(short, { few_words: 5 })).toBeNull();
  expect(judgeQuality(short, { few_words: null })).toBeNull();
  expect(judgeQuality(ENGLISH, { few_words: 500 })?.rule).toBe('few_words');
});

test('every rule switched off lets anything through, and only rules of words are left out for Chinese', () => {
  const off = Object.fromEntries(Object.keys(QUALITY_RULES).map((rule) => [rule, null]));
  for (const text of ['', '####', 'a'.repeat(1000), '的'.repeat(1000)]) expect(judgeQuality(text, off)).toBeNull();
  expect(judgeQuality(CHINESE.replace(/\p{P}/gu, ''), { few_punctuation: null, unended_lines: null })).toBeNull();
});

test('repeated n-grams by rolling hashes are those found by comparing the words themselves', () => {
  for (let seed = 1; seed <= 20; seed++) {
    let state = seed;
    const next = (n: number): number => (state = (state * 48_271) % 2_147_483_647) % n;
    const words = Array.from({ length: 120 }, () => `w${next(6)}`);
    const text = words.join(' ');
    const off = Object.fromEntries(Object.keys(QUALITY_RULES).filter((rule) => rule !== 'repeated_5_grams').map((rule) => [rule, null]));
    const seen = new Set<string>();
    const covered = new Set<number>();
    for (let i = 0; i + 5 <= words.length; i++) {
      const gram = words.slice(i, i + 5).join(' ');
      if (seen.has(gram)) for (let j = i; j < i + 5; j++) covered.add(j);
      seen.add(gram);
    }
    const expected = [...covered].reduce((sum, i) => sum + (words[i]?.length ?? 0) + 1, 0) / text.length;
    expect(judgeQuality(text, { ...off, repeated_5_grams: 0 }, 'en')?.value ?? 0).toBeCloseTo(expected, 10);
  }
});
