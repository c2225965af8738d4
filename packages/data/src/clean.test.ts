import { expect, test } from 'vitest';
import { cleanDocument, cleanText } from './clean.ts';
import { filterDocument } from './filter.ts';

test.each([
  ['plain', 'plain', []],
  ['\ufeffa', 'a', ['byte_order_mark']],
  ['a\r\nb\rc', 'a\nb\nc', ['line_ends']],
  ['a\u0000\u0007b\tc\u0085', 'ab\tc', ['control_characters']],
  ['e\u0301', '\u00e9', ['unicode_nfc']],
  ['a\ud800b', 'a\ufffdb', ['lone_surrogates']],
  ['\n a \n', 'a', ['blank_edges']],
])('%j becomes %j, and it is said why', (text, cleaned, changes) => {
  expect(cleanText(text)).toEqual({ text: cleaned, changes });
});

test('cleaning twice is cleaning once', () => {
  const nasty = '\ufeff \r\n e\u0301\u0000\ud800 x\r\n';
  const once = cleanText(nasty).text;
  expect(cleanText(once)).toEqual({ text: once, changes: [] });
});

test('a conversation is cleaned turn by turn', () => {
  const messages = [{ role: 'user', content: ' a' }, { role: 'assistant', content: 'b\r\nc' }] as const;
  const { document, changes } = cleanDocument({ kind: 'conversation', messages, path: 'x', line: 1 });
  expect(document).toMatchObject({ messages: [{ content: 'a' }, { content: 'b\nc' }] });
  expect([...changes].toSorted()).toEqual(['blank_edges', 'line_ends']);
});

test('each filter drops for its own reason, and texts are cut between sentences', () => {
  const text = (content: string) => ({ kind: 'text', text: content, path: 'x', line: 1 }) as const;
  const chat = (...turns: string[]) =>
    ({ kind: 'conversation', messages: turns.map((content, i) => ({ role: i % 2 === 0 ? 'user' : 'assistant', content }) as const), path: 'x', line: 1 }) as const;
  expect(filterDocument(text(' '), {})).toEqual({ drop: 'empty' });
  expect(filterDocument(chat('hello?'), {})).toEqual({ drop: 'no_answer' });
  expect(filterDocument(text('abc'), { minCharacters: 4 })).toEqual({ drop: 'too_short' });
  expect(filterDocument(text('abc'), { maxCharacters: 2 })).toEqual({ drop: 'too_long' });
  expect(filterDocument(chat('a', 'bcd'), { maxTurnCharacters: 2 })).toEqual({ drop: 'turn_too_long' });
  expect(filterDocument(text('a ``` b'), { exclude: [/```/u] })).toEqual({ drop: 'excluded' });
  expect(filterDocument(text('One two. Three four five.'), { cutCharacters: 15 })).toMatchObject({ keep: { text: 'One two.' }, cut: true });
});
