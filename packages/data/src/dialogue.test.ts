import { expect, test } from 'vitest';
import { dialogues } from './dialogue.ts';

const sentences = Array.from({ length: 40 }, (_, i) => `This is sentence number ${i} of the story.`);

test('the turns of all conversations are the sentences of the text, in order, without the odd one at the end', () => {
  const text = sentences.join(' ');
  const made = [...dialogues({ kind: 'text', text, path: 'x', line: 1 }, { turnCharacters: 100, turns: 4 })];
  expect(made.length).toBeGreaterThan(2);
  for (const { messages } of made) {
    expect(messages.map(({ role }) => role)).toEqual(messages.map((_, i) => (i % 2 === 0 ? 'user' : 'assistant')));
    expect(messages.length).toBeLessThanOrEqual(4);
  }
  expect(text.startsWith(made.flatMap(({ messages }) => messages.map(({ content }) => content)).join(' '))).toBe(true);
});

test('a sentence too long to be a turn ends the conversation before it', () => {
  const text = `${sentences.slice(0, 6).join(' ')} ${'word '.repeat(200)}. ${sentences.slice(6, 12).join(' ')}`;
  const made = [...dialogues({ kind: 'text', text, path: 'x', line: 1 }, { turnCharacters: 60 })];
  for (const { messages } of made) for (const { content } of messages) expect(content.length).toBeLessThanOrEqual(240);
  expect(made.length).toBeGreaterThan(1);
});
