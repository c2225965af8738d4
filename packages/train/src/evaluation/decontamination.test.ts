import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { emptyCounts, type EvaluationItem, isHeldOut, readSource } from '@parley/data';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sourceSpecs } from '../plan.ts';
import { checkRecipe, type Recipe, type RecipeInput } from '../recipe.ts';
import { evaluationItems, screenOptions } from './decontamination.ts';

let folder = '';
const QUESTIONS = Array.from({ length: 200 }, (_, i) => ({ question: `What is number ${i} of the long list that everybody knows?`, answers: [String(i)] }));
const SUITE = `
name: small
entries:
  - { name: own, task: question, file: ../questions.jsonl, prompt: 'Answer. {question}', answers: answers }
  - { name: reading, task: question, file: reading.jsonl, prompt: "{context}\\n\\n{question}", context: '{context}', answers: answers }
  - { name: pairs, task: translation, file: pairs.jsonl, where: { kind: everyday }, prompt: 'Translate: {en}', source: '{en}', reference: '{zh}' }
  - { name: mood, task: classification, file: mood.jsonl, prompt: 'Good or bad? {text}', labels: { good: good, bad: bad } }
  - { name: prose, task: text, file: prose.jsonl, text: '{title}: {text}', max_characters: 40 }
  - { name: chats, task: text, file: chats.jsonl }
  - { name: gone, task: prompts, file: gone.jsonl, prompt: '{prompt}' }
`;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley-decontamination-'));
  mkdirSync(join(folder, 'eval'));
  const write = (name: string, lines: readonly object[]): void => writeFileSync(join(folder, name), lines.map((line) => JSON.stringify(line)).join('\n'));
  write('questions.jsonl', QUESTIONS);
  write('eval/reading.jsonl', [{ context: 'A tale of three bears.', question: 'Who was there?', answers: ['bears'] }]);
  write('eval/pairs.jsonl', [{ kind: 'everyday', en: 'Hi. ', zh: '嗨。' }, { kind: 'manual', en: 'Click.', zh: '点击。' }]);
  write('eval/mood.jsonl', [{ text: 'I liked it', label: 'good' }]);
  write('eval/prose.jsonl', [{ title: 'Bears', text: 'Bears are large animals of the north. They eat honey.' }]);
  write('eval/chats.jsonl', [{ messages: [{ role: 'user', content: 'Hello' }, { role: 'assistant', content: 'Good day' }] }]);
  write('own.jsonl', [{ text: 'mine' }, { question: 'Why?' }]);
  write('odd.jsonl', [{ a: 1 }]);
  writeFileSync(join(folder, 'eval', 'small.yaml'), SUITE);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const recipeWith = (data: Partial<RecipeInput['data']> = {}, source: object = {}): Recipe => checkRecipe({
  name: 'r', tokenizer: { vocab_size: 300 }, model: { size: 1 }, stages: [{ name: 's', kind: 'pretrain', steps: 1 }],
  data: { held_out: 0.2, sources: [{ name: 'q', path: 'questions.jsonl', prompt: '{question}', completion: '{answers}', ...source }], ...data },
});

async function itemsFor(recipe: Recipe, paths: readonly string[]): Promise<{ items: EvaluationItem[]; notes: string[] }> {
  const items: EvaluationItem[] = [];
  const notes: string[] = [];
  const options = { specs: sourceSpecs(recipe, folder), heldOut: recipe.data.held_out, clean: recipe.data.clean, onNote: (text: string) => void notes.push(text) };
  for await (const item of evaluationItems(paths.map((path) => join(folder, path)), options)) items.push(item);
  return { items, notes };
}

test('of a file that is trained on only the items that are held out are looked for, and exactly those', async () => {
  const recipe = recipeWith();
  const { items } = await itemsFor(recipe, ['eval/small.yaml']);
  const found = items.filter(({ set }) => set === 'small/own').map(({ texts }) => texts[0]);
  const heldOut: string[] = [];
  const [spec] = sourceSpecs(recipe, folder);
  for await (const { document, digest } of readSource(spec!, emptyCounts())) {
    if (isHeldOut(digest, 0.2) && document.kind === 'conversation') heldOut.push(document.messages[0]?.content ?? '');
  }
  expect(heldOut.length).toBeGreaterThan(20);
  expect(heldOut.length).toBeLessThan(60);
  expect(found).toEqual(heldOut);
});

test('of a file that is not trained on all items are; of one whose parts are trained on none, and that is said', async () => {
  const all = await itemsFor(recipeWith({}, { name: 'other', path: 'own.jsonl', prompt: undefined, completion: undefined, text: 'x' }), ['eval/small.yaml']);
  expect(all.items.filter(({ set }) => set === 'small/own')).toHaveLength(200);
  const none = await itemsFor(recipeWith({}, { split_characters: 1000 }), ['eval/small.yaml']);
  expect(none.items.filter(({ set }) => set === 'small/own')).toEqual([]);
  expect(none.notes).toContain('small/own is not looked for in the training data: all of it is trained on (q)');
});

test('an item is its own words: no instruction, no passage, no label; a pair is both sides; a file that is absent is said', async () => {
  const { items, notes } = await itemsFor(recipeWith(), ['eval/small.yaml', 'own.jsonl']);
  expect(items.filter(({ set }) => set !== 'small/own')).toEqual([
    { set: 'small/reading', texts: ['Who was there?'] },
    { set: 'small/pairs', texts: ['Hi.', '嗨。'] },
    { set: 'small/mood', texts: ['I liked it'] },
    { set: 'small/prose', texts: ['Bears: Bears are large animals of the '] },
    { set: 'small/chats', texts: ['Hello\nGood day'] },
    { set: 'own.jsonl', texts: ['mine'] },
    { set: 'own.jsonl', texts: ['Why?'] },
  ]);
  expect(notes).toEqual([expect.stringMatching(/^small\/gone is not looked for in the training data: there is no gone\.jsonl$/)]);
  await expect(itemsFor(recipeWith(), ['eval/none.yaml'])).rejects.toThrow(/none\.yaml: there is no such suite or file/);
  await expect(itemsFor(recipeWith(), ['odd.jsonl'])).rejects.toThrow(/odd\.jsonl:1 has the fields a: to decontaminate against it/);
});

test('what a recipe says of near-duplicates, personal data and evaluation sets is what prepare is given; wrong words are refused by line', () => {
  const place = { folder, specs: [] };
  expect(screenOptions(recipeWith(), place)).toEqual({ nearDuplicates: undefined, maskPersonalData: undefined });
  const recipe = recipeWith({
    near_duplicates: { threshold: 0.8 }, mask_personal_data: ['email', 'phone'], decontaminate: { against: 'eval/small.yaml', cut: true, share: 0.3 },
  }, { near_duplicates: false, mask_personal_data: false });
  expect(screenOptions(recipe, place)).toMatchObject({ nearDuplicates: { threshold: 0.8 }, maskPersonalData: ['email', 'phone'], decontaminate: { cut: true, share: 0.3 } });
  expect(sourceSpecs(recipe, folder)[0]).toMatchObject({ nearDuplicates: false, maskPersonalData: false });
  expect(() => recipeWith({ near_duplicates: { threshold: 0.1 } })).toThrow(/data\.near_duplicates\.threshold is 0\.1: it has to be at least 0\.3/);
  expect(() => recipeWith({ mask_personal_data: ['mail'] as never })).toThrow(/mask_personal_data/);
});
