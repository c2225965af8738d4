import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random, ReferenceBackend } from '@parley/engine';
import { SequenceClassifier } from '@parley/model';
import { loadModel, saveClassifier } from '@parley/model/node';
import { loadTokenizer, saveTokenizer } from '@parley/tokenizer/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { UsageError } from '../errors.ts';
import { inProcess, makeModel, parley } from '../testing/cli.ts';
import { register } from './classify.ts';

let base = '';
let folder = '';
beforeAll(async () => {
  base = await makeModel();
  folder = await mkdtemp(join(tmpdir(), 'parley-cli-classify-'));
  using classifier = SequenceClassifier.initialize(await loadModel(base, { backend: new ReferenceBackend(), body: true }), ['yes', 'no', 'maybe'], new Random(1));
  await saveClassifier(classifier, folder);
  await saveTokenizer(await loadTokenizer(base), folder);
});
afterAll(async () => {
  for (const each of [base, folder]) await rm(each, { recursive: true });
});

const FLAGS = ['--backend', 'reference'];

test('texts come as arguments or as lines; answers as lines with tabs, or as JSON', async () => {
  const { stdout } = await inProcess(register, ['classify', 'the cat', 'the dog', '--model', folder, '--json', '--top-k', '2', ...FLAGS]);
  const lines = stdout.trim().split('\n').map((line) => JSON.parse(line) as { text: string; labels: { label: string; score: number }[] });
  expect(lines.map(({ text, labels }) => [text, labels.length])).toEqual([['the cat', 2], ['the dog', 2]]);
  const piped = await parley(['classify', '--model', folder, ...FLAGS], 'the cat\n\nthe dog\n');
  expect(piped).toEqual({ status: 0, stderr: '', stdout: lines.map(({ labels }) => `${labels[0]?.label}\t${labels[0]?.score.toFixed(4)}\n`).join('') });
});

test('a model that is no classifier, and more labels than there are, are refused', async () => {
  await expect(inProcess(register, ['classify', 'x', '--model', base, ...FLAGS])).rejects.toThrow('is no classifier');
  await expect(inProcess(register, ['classify', 'x', '--model', folder, '--top-k', '9', ...FLAGS])).rejects.toThrow(UsageError);
});
