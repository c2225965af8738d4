import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { fill, FormatError, parseTable, parseTalk, variants, withArticle } from '../recipes/parley-mini/format.ts';
import { inChinese, inEnglish } from '../recipes/parley-mini/computed.ts';
import { evaluationPrompts, makeSeed, normalized, readSeedFile, seedLines, SWITCHING_TOPICS } from '../recipes/parley-mini/make-seed.ts';

const HAN = /\p{Script=Han}/u;
const LETTER = /\p{L}/u;

describe('the notation', () => {
  test('choices and wordings multiply, turns follow each other, languages stand side by side', () => {
    expect(variants('[What is/What\'s] it? | it')).toEqual(['What is it?', 'What\'s it?', 'it']);
    const [block, ...rest] = parseTalk('x', '# note\n@ each=t n=2 plain\nQ: a | b\nA: c\nQ: d\nA(zh): 好\n问：你好\n答：好');
    expect(rest).toEqual([]);
    expect(block).toMatchObject({ each: 't', n: 2, draw: null, plain: true, exchanges: [
      { language: 'en', turns: [{ asked: ['a', 'b'], answers: ['c'], language: 'en' }, { asked: ['d'], answers: ['好'], language: 'zh' }] },
      { language: 'zh', turns: [{ asked: ['你好'], answers: ['好'], language: 'zh' }] },
    ] });
  });

  test.each([['Q: a', /without an answer/], ['A: a', /before its question/], ['Q: [a/b', /bracket/], ['x', /neither/], ['@ often\nQ: a\nA: b', /often/]])(
    'refuses %j', (text, message) => {
      expect(() => parseTalk('x', text)).toThrow(message);
      expect(() => parseTalk('x', text)).toThrow(FormatError);
    });

  test('cells are filled in, with articles and capitals; an empty one gives null', () => {
    const rows = new Map([['t', parseTable('t', 'en | zh\napple | -')[0] ?? {}]]);
    expect(fill('{t.en:a}, {t.en:cap}', rows)).toBe('an apple, Apple');
    expect(fill('{t.zh}', rows)).toBeNull();
    expect(() => fill('{t.fr}', rows)).toThrow(/no column/);
    expect(() => parseTable('t', 'a | b\nc')).toThrow(/1 cells/);
    expect(['hour', 'university', 'umbrella', 'uncle', 'one', 'dog'].map(withArticle)).toEqual(['an hour', 'a university', 'an umbrella', 'an uncle', 'a one', 'a dog']);
  });

  test('numbers in words', () => {
    expect([0, 12, 20, 42].map(inEnglish)).toEqual(['zero', 'twelve', 'twenty', 'forty-two']);
    expect([0, 10, 11, 20, 42].map(inChinese)).toEqual(['零', '十', '十一', '二十', '四十二']);
  });
});

describe('the seed conversations', () => {
  const all = makeSeed();
  const bad = (wrong: (one: (typeof all)[number]) => boolean): string[] => all.filter(wrong).map((one) => JSON.stringify(one)).slice(0, 5);

  test('are what lies beside the recipe: the same files make the same conversations', () => {
    expect(seedLines(all) === readSeedFile()).toBe(true);
  });

  test('turn about, and the assistant has the last word', () => {
    expect(bad(({ messages }) => messages.length % 2 !== 0 || messages.some(({ role }, i) => role !== (i % 2 === 0 ? 'user' : 'assistant')))).toEqual([]);
  });

  test('have no empty turn, no unfilled placeholder, no stray notation', () => {
    expect(bad(({ messages, topic }) => messages.some(({ content }) => content.trim() === '' || content !== content.trim() || / \| |\\n|undefined/.test(content) ||
      (topic !== 'coding' && /[{}[\]]/.test(content))))).toEqual([]);
  });

  test('ask nothing that the evaluation asks, up to case and punctuation', () => {
    const asked = evaluationPrompts();
    expect(asked.size).toBeGreaterThan(0);
    expect(all.flatMap(({ messages }) => messages.filter(({ role, content }) => role === 'user' && asked.has(normalized(content)))).length).toBe(0);
  });

  test('are all different, and about as many in one language as in the other', () => {
    expect(new Set(all.map(({ messages }) => JSON.stringify(messages))).size).toBe(all.length);
    expect(all.length).toBeGreaterThan(12_000);
    const chinese = all.filter(({ language }) => language === 'zh').length / all.length;
    expect(chinese).toBeGreaterThan(0.4);
    expect(chinese).toBeLessThan(0.6);
  });

  test('answer in the language of the question, where the question is not about languages', () => {
    const fits = (text: string, language: string): boolean => 
      (language === 'zh' ? HAN.test(text) || !LETTER.test(text) : (text.match(/\p{Script=Han}/gu)?.length ?? 0) * 10 < text.length);
    // Of questions in words; signs and letters alone are of no language.
    expect(bad(({ messages, language, topic }) => !SWITCHING_TOPICS.has(topic) && /\p{L}{2}/u.test(messages[0]?.content ?? '') &&
      (language === 'zh') !== HAN.test(messages[0]?.content ?? ''))).toEqual([]);
    expect(bad(({ messages, language }) => !fits(messages.at(-1)?.content ?? '', language))).toEqual([]);
  });

  test('answer shortly: half of the answers within 12 words or 25 Chinese characters, and none over 400 characters', () => {
    const lengths = all.flatMap(({ messages }) => messages.filter(({ role }) => role === 'assistant').map(({ content }) => (HAN.test(content) ? content.length / 25 : content.split(' ').length / 12)));
    expect(lengths.toSorted((a, b) => a - b)[Math.floor(lengths.length / 2)]).toBeLessThanOrEqual(1);
    expect(bad(({ messages }) => messages.some(({ content }) => content.length > 400))).toEqual([]);
  });
});

test('instructions: at least six wordings a task, each with the same fields; labels where the completion is one', () => {
  const tasks = parse(readFileSync(join(import.meta.dirname, '../recipes/parley-mini/instructions.yaml'), 'utf8')) as
    Record<string, { prompt: string[]; completion: string; labels?: Record<string, string> }>;
  const fields = (text: string): string => [...new Set(text.match(/\{\w+\}/g))].toSorted().join(' ');
  for (const [name, { prompt, completion, labels }] of Object.entries(tasks)) {
    expect([name, prompt.length >= 6, new Set(prompt).size === prompt.length]).toEqual([name, true, true]);
    expect([name, new Set(prompt.map(fields)).size]).toEqual([name, 1]);
    expect(completion).toMatch(/\{\w+\}/);
    expect([name, labels === undefined || completion === '{label}']).toEqual([name, true]);
  }
});
