import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random, ReferenceBackend } from '@parley/engine';
import { OptionError } from '@parley/generate';
import { llamaConfig, SequenceClassifier, Transformer } from '@parley/model';
import { saveClassifier, saveModel } from '@parley/model/node';
import { trainTokenizer } from '@parley/tokenizer';
import { saveTokenizer } from '@parley/tokenizer/node';
import { afterAll, beforeAll, expect, expectTypeOf, test } from 'vitest';
import { pipeline, TaskError, type TextClassificationOutput, type TextClassificationPipeline } from './index.ts';

const LABELS = ['card', 'loan', 'other', 'transfer'];
let root = '';
let pipe: TextClassificationPipeline;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'parley-classification-'));
  const tokenizer = await trainTokenizer(['the cat sat on the mat'], { vocabSize: 270, specialTokens: ['<|endoftext|>'], pattern: 'gpt4' });
  const backend = new ReferenceBackend();
  const config = llamaConfig({ vocabSize: 270, contextLength: 24, hiddenSize: 32, heads: 2, layers: 1, intermediateSize: 32 });
  using classifier = SequenceClassifier.initialize(Transformer.initialize(backend, config, new Random(1)), LABELS, new Random(2));
  classifier.score.write(Float32Array.from({ length: 128 }, (_, i) => Math.sin(i)));
  using writer = Transformer.initialize(backend, config, new Random(1));
  for (const [name, save] of [['classifier', () => saveClassifier(classifier, join(root, 'classifier'))], ['writer', () => saveModel(writer, join(root, 'writer'))]] as const) {
    await save();
    await saveTokenizer(tokenizer, join(root, name));
  }
  pipe = await pipeline('text-classification', join(root, 'classifier'), { backend: 'reference', worker: false });
});
afterAll(async () => {
  await pipe.dispose();
  await rm(root, { recursive: true });
});

test('labels come in Transformers.js\'s shape: one text or several, one label or more, probabilities that add up', async () => {
  const all = await pipe('the cat', { top_k: null });
  expectTypeOf(all).toEqualTypeOf<TextClassificationOutput[]>();
  expect(all.map(({ label }) => label).toSorted()).toEqual(LABELS);
  expect(all.reduce((sum, { score }) => sum + score, 0)).toBeCloseTo(1, 12);
  expect(all.map(({ score }) => score)).toEqual(all.map(({ score }) => score).toSorted((a, b) => b - a));
  expect(await pipe('the cat')).toEqual(all.slice(0, 1));
  expect(await pipe('the cat', { top_k: 2 })).toEqual(all.slice(0, 2));
  const texts = ['the cat', 'a mat', 'the cat'];
  const each = await Promise.all(texts.map((text) => pipe(text)));
  expect(await pipe(texts)).toEqual(each.flat());
  expect(await pipe(texts, { top_k: 2 })).toEqual(await Promise.all(texts.map((text) => pipe(text, { top_k: 2 }))));
  // More than one batch.
  const many = Array.from({ length: 200 }, (_, i) => `the cat sat ${i}`);
  expect((await pipe(many)).slice(150)).toEqual(await pipe(many.slice(150)));
});

test('on its own thread, which is the default, it answers the same, and an abort and a disposal are heard', async () => {
  await using remote = await pipeline('text-classification', join(root, 'classifier'), { backend: 'reference' });
  expect(remote.info).toEqual(pipe.info);
  expect(await remote(['the cat', 'a mat'], { top_k: 3 })).toEqual(await pipe(['the cat', 'a mat'], { top_k: 3 }));
  const controller = new AbortController();
  const running = remote(Array.from({ length: 3000 }, (_, i) => `a mat ${i}`), { signal: controller.signal });
  controller.abort(new Error('enough'));
  await expect(running).rejects.toThrow('enough');
  expect(await remote('the cat')).toEqual(await pipe('the cat'));
  await remote.dispose();
  await expect(remote('the cat')).rejects.toThrow('has been disposed');
});

test('a text over the context is refused with the remedy, and its beginning classified where that is asked for', async () => {
  const long = 'x '.repeat(40);
  await expect(pipe(long)).rejects.toThrow('this model\'s context is 24: shorten it, or pass truncation: true');
  const [answer] = await pipe(long, { truncation: true });
  expect(LABELS).toContain(answer?.label);
});

test('what cannot be is refused with what can', async () => {
  await expect(pipe('')).rejects.toThrow('the text is empty');
  await expect(pipe([])).rejects.toThrow(TaskError);
  await expect(pipe([3] as unknown as string[])).rejects.toThrow('item 0 of the input is number');
  await expect(pipe('a', { top_k: 0 })).rejects.toThrow(OptionError);
  await expect(pipe('a', { topk: 1 } as object)).rejects.toThrow('did you mean top_k?');
  await expect(pipeline('text-classification', join(root, 'writer'), { backend: 'reference' })).rejects.toThrow('is no classifier');
  await expect(pipeline('text-generation', join(root, 'classifier'), { backend: 'reference' })).rejects.toThrow('is a classifier of 4 labels and writes no text');
  await expect(pipeline('text-classification', join(root, 'classifier'), { adapters: ['x'] })).rejects.toThrow('adapters are for models that write');
});
