import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Arena, Random, ReferenceBackend } from '@parley/engine';
import { createBackend } from '@parley/engine/node';
import { llamaConfig, SequenceClassifier, singleSequence, Transformer } from '@parley/model';
import { loadClassifier, saveModel } from '@parley/model/node';
import { CHATML_TEMPLATE, PARLEY_SPECIAL_TOKENS, trainTokenizer } from '@parley/tokenizer';
import { loadTokenizer, saveTokenizer } from '@parley/tokenizer/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TrainEvent } from '../events.ts';
import { readMetrics, type ScoreMetrics } from '../metrics.ts';
import { parseRecipe } from '../recipe.ts';
import { run } from '../run.ts';
import { ClassifyObjective, classWeights } from './classify.ts';
import { itemsOfStep, microBatches } from './order.ts';

const TOPICS = { greet: ['hello', 'hi there', 'good morning', 'hey you'], part: ['goodbye', 'see you', 'so long', 'bye now'], ask: ['what is it', 'who is it', 'why so', 'when then'] };

let folder = '';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-classify-'));
  const random = new Random(3);
  const lines = Array.from({ length: 400 }, (_, i) => {
    const names = Object.keys(TOPICS) as (keyof typeof TOPICS)[];
    const intent = names[i % 7 === 0 ? 2 : i % 2] ?? 'greet'; // one of them is rare
    return JSON.stringify({ intent, words: `${TOPICS[intent][random.below(4)]} number ${i}`, set: i % 50 === 0 ? 'skip' : 'use' });
  });
  writeFileSync(join(folder, 'items.jsonl'), lines.join('\n'));
  const tokenizer = await trainTokenizer(lines, { vocabSize: 300, specialTokens: PARLEY_SPECIAL_TOKENS, pattern: 'gpt4', chatTemplate: CHATML_TEMPLATE });
  using model = Transformer.initialize(
    new ReferenceBackend(), llamaConfig({ vocabSize: 300, contextLength: 32, hiddenSize: 32, heads: 2, layers: 1, intermediateSize: 64, tieEmbeddings: false }), new Random(1),
  );
  await saveModel(model, join(folder, 'base'));
  await saveTokenizer(tokenizer, join(folder, 'base'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const STAGE = 'steps: 80, batch_items: 16, learning_rate: 0.01, eval_every: 10, checkpoint_every: 10';
const recipeText = (stage = STAGE, rest = ''): string => `
name: intents
data:
  held_out: 0.2
  sources: [{ name: words, path: items.jsonl, text: '{words}', label: '{intent}', where: { set: use } }]
model: { from: ./base }
stages: [{ name: intents, kind: classify, ${stage} }]
export: { dtype: f32${rest} }`;

const scoresOf = (output: string): ScoreMetrics[] => readMetrics(join(output, 'metrics.jsonl')).filter((line) => line.type === 'scores');

async function interrupted(text: string, output: string, at: readonly number[]): Promise<void> {
  await using backend = await createBackend({ threads: 2 });
  for (const step of [...at, Infinity]) {
    const abort = new AbortController();
    const onEvent = (event: TrainEvent): void => {
      if (event.type === 'step' && event.step === step) abort.abort();
    };
    await run({ recipe: parseRecipe(text), folder, output, backend, resume: true, signal: abort.signal, onEvent });
  }
}

test('a classify stage learns the labels, measures held-out texts, and writes a folder that answers as it measured', async () => {
  await using backend = await createBackend({ threads: 2 });
  const output = join(folder, 'run');
  const notes: string[] = [];
  const result = await run({ recipe: parseRecipe(recipeText()), folder, output, backend, onEvent: (event) => void (event.type === 'note' && notes.push(event.text)) });
  expect(notes[0]).toMatch(/^words: \d+ texts to train on, \d+ held out; dropped: 8 not selected$/);
  expect(notes[1]).toBe('3 labels: ask, greet, part');
  const last = scoresOf(output).at(-1);
  expect(last?.scores['accuracy']).toBeGreaterThan(0.95);
  expect(result.stages[0]?.scores).toEqual(last?.scores);
  using classifier = await loadClassifier(join(output, 'model'), { backend });
  const tokenizer = await loadTokenizer(join(output, 'model'));
  expect(classifier.labels).toEqual(['ask', 'greet', 'part']);
  using arena = new Arena(backend);
  let right = 0;
  const items = readFileSync(join(folder, 'items.jsonl'), 'utf8').split('\n').map((line) => JSON.parse(line) as { intent: string; words: string });
  for (const { intent, words } of items) {
    arena.reset();
    const logits = await classifier.forward({ arena, tape: null }, singleSequence(tokenizer.encode(words))).read();
    if (classifier.labels[logits.indexOf(Math.max(...logits))] === intent) right++;
  }
  expect(right / items.length).toBeGreaterThan(0.95);
  const card = readFileSync(join(output, 'model', 'README.md'), 'utf8');
  expect(card).toContain('pipeline_tag: text-classification');
  expect(card).toMatch(/bag of words, linear \| \d+\.\d % \|/);
});

test('stopped and resumed, with an adapter and dropout, the best weights and all, it comes to the same bits', async () => {
  const text = recipeText(`${STAGE}, lora: { rank: 4, dropout: 0.1 }, class_weights: balanced, label_smoothing: 0.1, best_by: loss`.replace('learning_rate: 0.01', 'learning_rate: 0.02'), ', merge: true');
  await interrupted(text, join(folder, 'lora'), []);
  await interrupted(text, join(folder, 'lora-interrupted'), [7, 20]);
  const weights = (output: string): string => readFileSync(join(folder, output, 'model', 'model.safetensors')).toString('base64');
  expect(weights('lora-interrupted')).toBe(weights('lora'));
  expect(scoresOf(join(folder, 'lora-interrupted'))).toEqual(scoresOf(join(folder, 'lora')));
  expect(scoresOf(join(folder, 'lora')).at(-1)?.scores['macro_f1']).toBeGreaterThan(0.8);
});

test('early stopping ends the stage after so many measurements without a better one, keeps the best weights, and says both', async () => {
  await using backend = await createBackend({ threads: 2 });
  const output = join(folder, 'early');
  const notes: string[] = [];
  const text = recipeText('steps: 400, batch_items: 16, learning_rate: 0.02, schedule: constant, eval_every: 5, checkpoint_every: 5, early_stopping: 2');
  const result = await run({ recipe: parseRecipe(text), folder, output, backend, onEvent: (event) => void (event.type === 'note' && notes.push(event.text)) });
  const measured = scoresOf(output);
  const best = Math.max(...measured.map(({ scores }) => scores['accuracy'] ?? 0));
  expect(measured.length).toBeLessThan(80);
  expect(measured.findIndex(({ scores }) => scores['accuracy'] === best)).toBe(measured.length - 3);
  expect(result.stages[0]?.scores?.['accuracy']).toBe(best);
  expect(notes.some((note) => note.includes('was better'))).toBe(true);
  // What was written is what was best.
  using classifier = await loadClassifier(join(output, 'model'), { backend });
  expect(classifier.labels).toHaveLength(3);
  await expect(run({ recipe: parseRecipe(text), folder, output, backend })).rejects.toThrow('holds a run that is finished');
});

test('gradients of micro-batches add up to those of the step, class weights included, within 1e-6', async () => {
  const backend = new ReferenceBackend();
  const config = llamaConfig({ vocabSize: 40, contextLength: 16, hiddenSize: 16, heads: 2, layers: 1, intermediateSize: 32 });
  using classifier = SequenceClassifier.initialize(Transformer.initialize(backend, config, new Random(2)), ['a', 'b', 'c'], new Random(3));
  const random = new Random(4);
  const train = Array.from({ length: 12 }, (_, i) => ({ ids: Int32Array.from({ length: 2 + (i % 5) }, () => random.below(40)), label: i % 3, text: '' }));
  const gradient = async (microTokens: number): Promise<{ values: Float32Array; loss: number }> => {
    for (const { grad } of classifier.parameters.values()) if (grad) backend.fill(grad, 0);
    using objective = new ClassifyObjective({ classifier, train, heldOut: [], weights: [1, 4, 0.5], smoothing: 0.1, microTokens });
    const { loss } = await objective.accumulate([...train.keys()], new Random(1));
    return { values: await (classifier.parameters.get('model.embed_tokens.weight')?.grad?.read() ?? Promise.reject(new Error('no gradient'))), loss };
  };
  const [whole, parts] = [await gradient(1000), await gradient(10)];
  expect(parts.loss).toBeCloseTo(whole.loss, 5);
  expect(Math.max(...whole.values.map((value, i) => Math.abs(value - (parts.values[i] ?? NaN))))).toBeLessThan(1e-6);
});

test('balanced weights make every label count the same; a label nobody has is refused', () => {
  const train = [0, 0, 0, 1].map((label) => ({ ids: Int32Array.of(1), label, text: '' }));
  const [a = 0, b = 0] = classWeights('balanced', { labels: ['a', 'b'], train });
  expect(3 * a).toBeCloseTo(b, 12);
  expect(3 * a + b).toBeCloseTo(4, 12);
  expect(classWeights({ b: 2 }, { labels: ['a', 'b'], train })).toEqual([1, 2]);
  expect(() => classWeights({ c: 2 }, { labels: ['a', 'b'], train })).toThrow('class_weights names the label "c"');
});

test('every epoch takes every item once, in another order each time, and steps need not divide it', () => {
  const stage = { count: 10, perStep: 4, seed: 5 };
  const order = Array.from({ length: 5 }, (_, i) => itemsOfStep(i + 1, stage)).flat();
  expect(order.slice(0, 10).toSorted((a, b) => a - b)).toEqual([...Array(10).keys()]);
  expect(order.slice(10, 20).toSorted((a, b) => a - b)).toEqual([...Array(10).keys()]);
  expect(order.slice(0, 10)).not.toEqual(order.slice(10, 20));
  expect(microBatches([0, 1, 2, 3], (item) => [3, 4, 9, 1][item] ?? 0, 8)).toEqual([[0, 1], [2], [3]]);
});

test.each([
  [recipeText(`${STAGE}, batch_tokens: 100`), 'has batch_tokens, which is for stages of kind pretrain and finetune'],
  [recipeText(`${STAGE}, beta: 0.1`), 'has beta, which is for stages of kind dpo'],
  [recipeText(`${STAGE}, lora: {}`), 'set export.merge: true'],
  [recipeText().replace('{ from: ./base }', '{ size: 2 }\ntokenizer: { vocab_size: 300 }'), 'starts from a model: give model.from'],
  [recipeText().replace('kind: classify', 'kind: finetune').replace('batch_items: 16, ', ''), 'has a label, which is for a stage of kind classify'],
  [recipeText().replace("text: '{words}'", "system: x, text: '{words}'"), 'has system, which items of kind classify have no use for'],
])('a recipe that asks for what is not there is refused: %#', (text, message) => {
  expect(() => parseRecipe(text)).toThrow(message);
});
