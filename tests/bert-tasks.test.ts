/** fill-mask and feature-extraction on the golden BERTs, held to PyTorch's numbers. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReferenceBackend } from '@parley/engine';
import { OptionError } from '@parley/generate';
import { embedSequences, singleSequence } from '@parley/model';
import { loadModel } from '@parley/model/node';
import { type FeatureExtractionPipeline, type FillMaskPipeline, pipeline, TaskError } from '@parley/tasks';
import { loadTokenizer } from '@parley/tokenizer/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bertStyle } from '../packages/tokenizer/src/testing/kinds.ts';

const WORDS = ['the', 'cat', 'sat', 'on', 'mat', '##s', '##ing', 'a', 'dog', '.', 'ran', 'hat', 'big', ...'bcdefghijklmnopqrstuvw'.split('')];
let root = '';
let fill: FillMaskPipeline;
let extract: FeatureExtractionPipeline;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'parley-bert-'));
  for (const name of ['bert-masked', 'bert-states']) {
    const folder = join(root, name);
    await cp(join(import.meta.dirname, 'golden', 'families', name), folder, { recursive: true });
    await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(bertStyle(WORDS)));
    await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify({ mask_token: '[MASK]', pad_token: '[PAD]', model_max_length: 32 }));
  }
  fill = await pipeline('fill-mask', join(root, 'bert-masked'), { backend: 'reference', worker: false });
  extract = await pipeline('feature-extraction', join(root, 'bert-states'), { backend: 'reference', worker: false });
});
afterAll(async () => {
  await Promise.all([fill.dispose(), extract.dispose()]);
  await rm(root, { recursive: true });
});

test('fill-mask gives the likeliest tokens with their probabilities among all, and the text with each in it', async () => {
  const answer = await fill('the [MASK] sat.', { top_k: 40 });
  expect(answer).toHaveLength(40);
  expect(answer.reduce((sum, { score }) => sum + score, 0)).toBeCloseTo(1, 5);
  expect(answer.map(({ score }) => score)).toEqual(answer.map(({ score }) => score).toSorted((a, b) => b - a));
  const dog = answer.find(({ token_str }) => token_str === 'dog')!;
  expect(dog).toMatchObject({ token: fill.tokenizer.tokenToId('dog'), sequence: 'the dog sat.' });
  expect(await fill('the [MASK] sat.')).toEqual(answer.slice(0, 5));
  expect(await fill(['the [MASK] sat.', '[MASK] dog'], { top_k: 2 })).toEqual([answer.slice(0, 2), await fill('[MASK] dog', { top_k: 2 })]);
});

test('fill-mask wants one mask in each text', async () => {
  await expect(fill('the cat sat')).rejects.toThrow('the text has 0 masks: write [MASK] once');
  await expect(fill(['a [MASK]', '[MASK] [MASK]'])).rejects.toThrow('text 1 has 2 masks');
  await expect(fill('a [MASK]', { top_k: 0 })).rejects.toThrow(OptionError);
  await expect(fill('a [MASK]', { topk: 3 } as object)).rejects.toThrow('top_k');
});

test('features have the shape and the values of the last states, pooled as asked', async () => {
  const texts = ['the cat', 'a big dog sat on the mat'];
  const tokens = await extract(texts);
  const lengths = texts.map((text) => extract.tokenizer.encode(text).length);
  expect(tokens).toMatchObject({ type: 'float32', dims: [2, Math.max(...lengths), 16] });
  const lists = tokens.tolist() as number[][][];
  expect(lists[0]!.slice(lengths[0]).flat().every((value) => value === 0)).toBe(true);

  const backend = new ReferenceBackend();
  using model = await loadModel(join(root, 'bert-states'), { backend });
  for (const [pooling, ours] of [['mean', 'mean'], ['cls', 'cls'], ['first_token', 'cls'], ['last_token', 'last']] as const) {
    for (const normalize of [true, false]) {
      const pooled = await extract(texts, { pooling, normalize });
      expect(pooled.dims).toEqual([2, 16]);
      const [second] = await embedSequences(model, singleSequence(extract.tokenizer.encode(texts[1]!)), { pooling: ours, normalize });
      expect((pooled.tolist() as number[][])[1]).toEqual([...second!]);
    }
  }
  const unit = await extract('the cat', { normalize: true });
  for (const row of (unit.tolist() as number[][][])[0]!) expect(Math.hypot(...row)).toBeCloseTo(1, 6);
});

test('a text over the context is refused, or cut with its last token kept', async () => {
  const long = Array<string>(40).fill('cat').join(' ');
  await expect(extract(long)).rejects.toThrow("has 42 tokens, this model's context is 32");
  const cut = await extract(long, { truncation: true, pooling: 'none' });
  expect(cut.dims).toEqual([1, 32, 16]);
  expect(cut.data).toEqual((await extract(Array<string>(30).fill('cat').join(' '))).data);
});

test('both on a thread of their own, and models that are not made for it', async () => {
  await using remote = await pipeline('fill-mask', join(root, 'bert-masked'), { backend: 'reference' });
  expect(await remote('the [MASK] sat.')).toEqual(await fill('the [MASK] sat.'));
  await using states = await pipeline('fill-mask', join(root, 'bert-states'), { backend: 'reference' });
  await expect(states('a [MASK]')).rejects.toThrow('no head that predicts tokens');
  await writeFile(join(root, 'bert-states', 'tokenizer_config.json'), '{}');
  await expect(pipeline('fill-mask', join(root, 'bert-states'), { backend: 'reference', worker: false })).rejects.toThrow(TaskError);
  expect((await loadTokenizer(join(root, 'bert-masked'))).maskTokenId).toBe(4);
});
