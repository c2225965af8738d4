import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ownTextRecipe } from './own-text.ts';
import { paragraphs } from './testing/texts.ts';

let folder = '';
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'parley-own-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function texts(name: string, files: Readonly<Record<string, string>>): string {
  const path = join(folder, name);
  mkdirSync(path);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
}

const CHAT = JSON.stringify({ messages: [{ role: 'user', content: 'Who?' }, { role: 'assistant', content: 'Anna.' }] });

test('plain texts are read first and then made into conversations; the name comes from the folder', async () => {
  const { recipe, survey } = await ownTextRecipe(texts('My Letters (2024)', { 'a.txt': paragraphs(40).join('\n\n') }));
  expect(recipe.name).toBe('my-letters-2024');
  expect(survey).toMatchObject({ files: 1, documents: 1, conversations: 0 });
  expect(recipe.data.sources.map(({ name, only, dialogue }) => [name, only, dialogue])).toEqual([['texts', 'texts', undefined], ['conversations', undefined, true]]);
  expect(recipe.stages.map(({ kind }) => kind)).toEqual(['pretrain', 'finetune']);
});

test('chats alone need no source of texts', async () => {
  const { recipe } = await ownTextRecipe(texts('chats', { 'a.jsonl': Array.from({ length: 300 }, () => CHAT).join('\n') }));
  expect(recipe.data.sources.map(({ name }) => name)).toEqual(['conversations']);
});

test('more text and more time make a larger model; starting from a model leaves tokenizer and sizes to it', async () => {
  const path = texts('much', { 'a.txt': paragraphs(20_000).join('\n\n') });
  const width = async (minutes: number): Promise<unknown> => {
    const { recipe } = await ownTextRecipe(path, { minutes });
    return typeof recipe.model === 'object' ? recipe.model.hidden_size : null;
  };
  expect([await width(1), await width(5), await width(120)]).toEqual([96, 128, 192]);
  const { recipe } = await ownTextRecipe(path, { from: 'parley-nano', name: 'mine' });
  expect(recipe).toMatchObject({ name: 'mine', model: { from: 'parley-nano' } });
  expect(recipe.tokenizer).toBeUndefined();
});

test('of a few documents none is held out: a single one could be the one', async () => {
  const heldOut = async (name: string, files: number): Promise<number> =>
    (await ownTextRecipe(texts(name, Object.fromEntries(paragraphs(files * 3).map((text, i) => [`${i}.txt`, `${text} ${text}`]))))).recipe.data.held_out;
  expect([await heldOut('few', 6), await heldOut('more', 7)]).toEqual([0, 0.05]);
});

test('texts that no conversation can be made of, since they have no sentences, are only read', async () => {
  const { recipe, survey } = await ownTextRecipe(texts('words', { 'a.txt': 'word '.repeat(2000) }));
  expect(survey.speaks).toBe(false);
  expect(recipe.data.sources.map(({ name }) => name)).toEqual(['texts']);
  expect(recipe.stages.map(({ name }) => name)).toEqual(['reading']);
});

test('a name keeps its letters when their accents go', async () => {
  const { recipe } = await ownTextRecipe(texts('Späte Café-Notizen', { 'a.txt': paragraphs(40).join('\n\n') }));
  expect(recipe.name).toBe('spate-cafe-notizen');
});

test('too little text is refused with the amount', async () => {
  await expect(ownTextRecipe(texts('little', { 'a.txt': 'Hello.' }))).rejects.toThrow(/6 bytes of text/);
});
