import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Arena, Random, ReferenceBackend, Tape } from '@parley/engine';
import { directionalDerivative } from '@parley/engine/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Batch, readSafetensorsHeader, SequenceClassifier, singleSequence } from '../index.ts';
import { largestDifference, randomTokens, tinyConfigs, tinyModel } from '../testing/tiny.ts';
import { FileSource, loadClassifier, loadModel, saveClassifier, saveModel } from './index.ts';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'parley-classifier-'));
});
afterAll(async () => await rm(root, { recursive: true }));

const backend = new ReferenceBackend();
const LABELS = ['card_arrival', 'lost_card', 'other'];
const BATCH: Batch = {
  tokens: randomTokens(12, 41, 3), positions: Int32Array.of(0, 1, 2, 3, 4, 0, 1, 2, 0, 1, 2, 3),
  sequences: [{ start: 0, length: 5 }, { start: 5, length: 3 }, { start: 8, length: 4 }],
};

async function logitsOf(classifier: SequenceClassifier, batch = BATCH): Promise<Float32Array> {
  using arena = new Arena(classifier.backend);
  return await classifier.forward({ arena, tape: null }, batch).read();
}

/** A classifier on the body of a language model saved to a folder. */
async function onBody(name: keyof typeof tinyConfigs): Promise<SequenceClassifier> {
  const folder = join(root, `lm-${name.replace(' ', '-')}`);
  using model = tinyModel(backend, tinyConfigs[name]);
  await saveModel(model, folder);
  return SequenceClassifier.initialize(await loadModel(folder, { backend, body: true }), LABELS, new Random(5));
}

test.each(Object.keys(tinyConfigs) as (keyof typeof tinyConfigs)[])('%s: a classifier saved and loaded has the same bits, the head among them, and no language model\'s', async (name) => {
  const folder = join(root, name.replace(' ', '-'));
  using classifier = await onBody(name);
  expect(classifier.parameters.has('lm_head.weight')).toBe(false);
  const logits = await logitsOf(classifier);
  const before = backend.stats();
  await saveClassifier(classifier, folder);
  {
    using loaded = await loadClassifier(folder, { backend });
    expect(loaded.labels).toEqual(LABELS);
    expect(await logitsOf(loaded)).toEqual(logits);
  }
  expect(backend.stats().allocations).toBe(before.allocations);
  await expect(loadModel(folder, { backend })).rejects.toThrow('is a classifier of 3 labels and writes no text');
  await expect(loadClassifier(join(root, `lm-${name.replace(' ', '-')}`), { backend })).rejects.toThrow('is no classifier');
  const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as object;
  expect(config).toMatchObject({
    architectures: [name === 'gpt2' ? 'GPT2ForSequenceClassification' : 'LlamaForSequenceClassification'],
    id2label: { 0: 'card_arrival', 1: 'lost_card', 2: 'other' }, label2id: { card_arrival: 0, lost_card: 1, other: 2 },
  });
  await using file = await FileSource.open(join(folder, 'model.safetensors'));
  const { entries } = await readSafetensorsHeader(file);
  expect(entries.get('score.weight')?.shape).toEqual([3, 32]);
  expect(entries.has('lm_head.weight')).toBe(false);
});

test('logits are the head times the normalized state of each sequence\'s last token, within 1e-5, and a batch gives the bits of each alone', async () => {
  using classifier = await onBody('gpt2');
  const score = await classifier.score.read();
  const together = await logitsOf(classifier);
  using arena = new Arena(backend);
  for (const [index, { start, length }] of BATCH.sequences.entries()) {
    const alone = singleSequence(BATCH.tokens.subarray(start, start + length));
    expect(await logitsOf(classifier, alone)).toEqual(together.slice(3 * index, 3 * index + 3));
    const states = await classifier.body.hidden({ arena, tape: null }, alone).read();
    const last = states.subarray(states.length - 32);
    const want = LABELS.map((_, label) => last.reduce((sum, value, i) => sum + value * score[label * 32 + i]!, 0));
    expect(largestDifference(together.slice(3 * index, 3 * index + 3), want)).toBeLessThan(1e-5);
  }
});

test('gradients of head and body agree with finite differences within 1e-3, class weights and label smoothing included', async () => {
  using classifier = await onBody('llama');
  const [targets, weights, smoothing] = [Int32Array.of(0, 2, 1), Float32Array.of(1, 3, 0.5), 0.1];
  const objective = async (): Promise<number> => {
    const logits = await logitsOf(classifier);
    return targets.reduce((sum, target, s) => {
      const row = logits.slice(3 * s, 3 * s + 3);
      const z = Math.log(row.reduce((total, value) => total + Math.exp(value), 0));
      const spread = row.reduce((total, value) => total + (z - value), 0) / 3;
      return sum + (weights[s]! / 3) * ((1 - smoothing) * (z - row[target]!) + smoothing * spread);
    }, 0);
  };
  {
    using arena = new Arena(backend);
    const tape = new Tape();
    classifier.loss({ arena, tape }, BATCH, { targets, weights, smoothing });
    tape.backward();
  }
  const random = new Random(6);
  for (const name of ['score.weight', 'model.norm.weight', 'model.layers.1.mlp.down_proj.weight']) {
    const tensor = classifier.parameters.get(name)!;
    const [values, gradient] = [await tensor.read(), await tensor.grad!.read()];
    const direction = Float32Array.from(values, () => random.normal());
    const numeric = await directionalDerivative(async (distance) => {
      tensor.write(values.map((value, i) => value + distance * direction[i]!));
      return await objective();
    }, 1 / 256);
    tensor.write(values);
    const analytic = gradient.reduce((sum, value, i) => sum + value * direction[i]!, 0);
    expect(Math.abs(numeric - analytic) / Math.hypot(...gradient), name).toBeLessThan(1e-3);
  }
});

test('labels without names of their own, and targets that are none, are refused', async () => {
  using classifier = await onBody('llama');
  const { allocations } = backend.stats();
  expect(() => SequenceClassifier.initialize(classifier.body, ['a'], new Random(1))).toThrow('takes two and more');
  expect(() => SequenceClassifier.initialize(classifier.body, ['a', 'b', 'a'], new Random(1))).toThrow('two labels are called "a"');
  expect(backend.stats().allocations).toBe(allocations);
  using arena = new Arena(backend);
  expect(() => classifier.loss({ arena, tape: null }, BATCH, { targets: Int32Array.of(0, 3, 1) })).toThrow('label 3 is none of 3');
  expect(() => classifier.loss({ arena, tape: null }, BATCH, { targets: Int32Array.of(0) })).toThrow('3 sequences came with 1 labels');
});
