import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Arena, Random, ReferenceBackend } from '@parley/engine';
import { createBackend } from '@parley/engine/node';
import { directionalDerivative } from '@parley/engine/testing';
import { llamaConfig, singleSequence, Transformer } from '@parley/model';
import { loadModel, saveModel } from '@parley/model/node';
import { CHATML_TEMPLATE, PARLEY_SPECIAL_TOKENS, type Tokenizer, trainTokenizer } from '@parley/tokenizer';
import { saveTokenizer } from '@parley/tokenizer/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TrainEvent } from '../events.ts';
import { readMetrics } from '../metrics.ts';
import { parseRecipe } from '../recipe.ts';
import { run } from '../run.ts';
import { DpoObjective, preferenceLoss, referenceProbabilities } from './dpo.ts';
import { parsePreference, type PreferencePair, readPreferences } from './preferences.ts';

let folder = '';
let tokenizer: Tokenizer;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-dpo-'));
  const lines = Array.from({ length: 80 }, (_, i) => JSON.stringify({
    prompt: `How are you, number ${i}?`, chosen: i % 2 === 0 ? 'Well, thank you.' : 'Very well, thanks.', rejected: i % 3 === 0 ? 'Go away.' : 'Who asks?',
  }));
  writeFileSync(join(folder, 'pairs.jsonl'), lines.join('\n'));
  tokenizer = await trainTokenizer(lines, { vocabSize: 280, specialTokens: PARLEY_SPECIAL_TOKENS, pattern: 'gpt4', chatTemplate: CHATML_TEMPLATE });
  using model = Transformer.initialize(
    new ReferenceBackend(), llamaConfig({ vocabSize: 280, contextLength: 64, hiddenSize: 32, heads: 2, layers: 1, intermediateSize: 64 }), new Random(1),
  );
  await saveModel(model, join(folder, 'base'));
  await saveTokenizer(tokenizer, join(folder, 'base'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const options = () => ({ tokenizer, contextLength: 64, heldOut: 0, deduplicate: true, clean: true });
const source = () => [{ name: 'pairs', paths: [join(folder, 'pairs.jsonl')] }];

/** log π of what is spoken, from plain logits in float64. */
async function logProbability(model: Transformer, { ids, spoken }: PreferencePair['chosen']): Promise<number> {
  using arena = new Arena(model.backend);
  const logits = await model.forward({ arena, tape: null }, singleSequence(ids.subarray(0, ids.length - 1))).read();
  const width = model.config.vocabSize;
  let sum = 0;
  for (let i = 1; i < ids.length; i++) {
    if (spoken[i] !== 1) continue;
    const row = Float64Array.from(logits.subarray((i - 1) * width, i * width));
    sum += (row[ids[i] ?? 0] ?? 0) - Math.log(row.reduce((total, value) => total + Math.exp(value), 0));
  }
  return sum;
}

test('the loss is −log σ(z), ln 2 at the start, and its slope that of finite differences; smoothing moves its minimum', () => {
  expect(preferenceLoss(0).loss).toBeCloseTo(Math.LN2, 12);
  expect(preferenceLoss(1.5).loss).toBeCloseTo(-Math.log(1 / (1 + Math.exp(-1.5))), 12);
  expect(preferenceLoss(-800).loss).toBeCloseTo(800, 9);
  for (const smoothing of [0, 0.2]) {
    for (const z of [-3, -0.1, 0, 2]) {
      const numeric = (preferenceLoss(z + 1e-5, smoothing).loss - preferenceLoss(z - 1e-5, smoothing).loss) / 2e-5;
      expect(preferenceLoss(z, smoothing).slope).toBeCloseTo(numeric, 8);
    }
  }
  expect(preferenceLoss(Math.log(0.8 / 0.2), 0.2).slope).toBeCloseTo(0, 12);
});

test('loss and gradient are those of the paper\'s formula computed by hand: 1e-4 and 1e-3', async () => {
  const backend = new ReferenceBackend();
  const data = await readPreferences(source(), options());
  using model = await loadModel(join(folder, 'base'), { backend });
  const train = data.train.slice(0, 5);
  const [beta, smoothing] = [0.5, 0.1];
  // Any reference serves: as if the model had come from elsewhere.
  const reference = { train: train.map((_, i) => [-20 - i, -18 + 2 * i] as const), heldOut: [] };
  using objective = new DpoObjective({ model, train, heldOut: [], reference, beta, smoothing, microTokens: 120 });
  const byHand = async (): Promise<number> => {
    let total = 0;
    for (const [i, { chosen, rejected }] of train.entries()) {
      const [before = [0, 0]] = [reference.train[i]];
      const z = beta * (await logProbability(model, chosen) - before[0] - (await logProbability(model, rejected) - before[1]));
      total += -(1 - smoothing) * Math.log(1 / (1 + Math.exp(-z))) - smoothing * Math.log(1 / (1 + Math.exp(z)));
    }
    return total / train.length;
  };
  const { loss, scores } = await objective.accumulate([...train.keys()], new Random(1));
  expect(Math.abs(loss - await byHand())).toBeLessThan(1e-4);
  expect(scores['margin']).toBeCloseTo((scores['chosen_reward'] ?? 0) - (scores['rejected_reward'] ?? 0), 9);
  const random = new Random(2);
  for (const name of ['model.layers.0.mlp.down_proj.weight', 'model.norm.weight']) {
    const tensor = model.parameters.get(name);
    const [values, gradient] = [await tensor!.read(), await tensor!.grad!.read()];
    const direction = Float32Array.from(values, () => random.normal());
    const numeric = await directionalDerivative(async (distance) => {
      tensor!.write(values.map((value, i) => value + distance * (direction[i] ?? 0)));
      return await byHand();
    }, 1 / 512);
    tensor!.write(values);
    const analytic = gradient.reduce((sum, value, i) => sum + value * (direction[i] ?? 0), 0);
    expect(Math.abs(numeric - analytic) / Math.hypot(...gradient), name).toBeLessThan(1e-3);
  }
});

test('the reference is what the model says of the answers at first, and is kept with the run', async () => {
  const backend = new ReferenceBackend();
  const data = await readPreferences(source(), { ...options(), heldOut: 0.3 });
  using model = await loadModel(join(folder, 'base'), { backend });
  const place = { file: join(folder, 'reference.json'), microTokens: 100 };
  const reference = await referenceProbabilities(model, data, place);
  for (const i of [0, 7]) {
    expect(reference.train[i]?.[0]).toBeCloseTo(await logProbability(model, data.train[i]!.chosen), 3);
    expect(reference.train[i]?.[1]).toBeCloseTo(await logProbability(model, data.train[i]!.rejected), 3);
  }
  expect(reference.heldOut).toHaveLength(data.heldOut.length);
  model.parameters.get('model.norm.weight')?.write(new Float32Array(32).fill(3));
  expect((await referenceProbabilities(model, data, place)).train).toEqual(reference.train);
});

const recipeText = (stage = '', rest = ''): string => `
name: polite
data: { held_out: 0.2, sources: [{ name: pairs, path: pairs.jsonl }] }
model: { from: ./base }
stages: [{ name: prefer, kind: dpo, steps: 12, batch_items: 8, learning_rate: 0.003, eval_every: 4, checkpoint_every: 3${stage} }]
export: { dtype: f32${rest} }`;

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

test('a dpo stage makes preferred answers likelier beside the others, also held-out ones, and says so', async () => {
  await interrupted(recipeText(), join(folder, 'run'), []);
  const scores = readMetrics(join(folder, 'run', 'metrics.jsonl')).filter((line) => line.type === 'scores');
  expect(scores.at(-1)?.scores['accuracy']).toBeGreaterThan(0.9);
  expect(scores.at(-1)?.scores['margin']).toBeGreaterThan(scores[0]?.scores['margin'] ?? Infinity);
  expect(scores.at(-1)?.loss).toBeLessThan(0.6);
  const backend = new ReferenceBackend();
  using before = await loadModel(join(folder, 'base'), { backend });
  using after = await loadModel(join(folder, 'run', 'model'), { backend });
  const { train } = await readPreferences(source(), options());
  const ratio = async (model: Transformer): Promise<number> => await logProbability(model, train[3]!.chosen) - await logProbability(model, train[3]!.rejected);
  expect(await ratio(after)).toBeGreaterThan(await ratio(before) + 1);
  expect(readFileSync(join(folder, 'run', 'model', 'README.md'), 'utf8')).toContain('Trained on preferences (DPO, beta 0.1)');
});

test('with an adapter on a base in 8 bits, stopped and resumed, it comes to the same bits', async () => {
  const text = recipeText(', lora: { rank: 4, dropout: 0.1, base_dtype: q8 }, label_smoothing: 0.1, best_by: loss');
  await interrupted(text, join(folder, 'lora'), []);
  await interrupted(text, join(folder, 'lora-interrupted'), [2, 7]);
  const adapter = (output: string): string => readFileSync(join(folder, output, 'adapter', 'adapter_model.safetensors')).toString('base64');
  expect(adapter('lora-interrupted')).toBe(adapter('lora'));
});

test('preferences are read in the shapes that are about; only the judged answer counts as spoken', async () => {
  const place = { path: 'x.jsonl', line: 3 };
  const user = { role: 'user', content: 'Hi' } as const;
  const said = (content: string) => ({ role: 'assistant' as const, content });
  const want = { prompt: [user], chosen: [said('a')], rejected: [said('b')] };
  expect(parsePreference({ prompt: 'Hi', chosen: 'a', rejected: 'b' }, place)).toEqual(want);
  expect(parsePreference({ messages: [user], chosen: 'a', rejected: [said('b')] }, place)).toEqual(want);
  expect(parsePreference({ prompt: [user], chosen: [said('a')], rejected: 'b' }, place)).toEqual(want);
  expect(parsePreference({ chosen: [user, said('a')], rejected: [user, said('b')] }, place)).toEqual(want);
  expect(() => parsePreference({ prompt: 'Hi', chosen: 'a' }, place)).toThrow('x.jsonl');
  expect(() => parsePreference({ chosen: 'a', rejected: 'b' }, place)).toThrow('has no prompt');

  const long = { messages: [user, said('Hello you'), user], chosen: 'fine', rejected: 'bad' };
  writeFileSync(join(folder, 'odd.jsonl'), [
    long, long, { prompt: 'Hi', chosen: 'same', rejected: 'same' }, { prompt: 'word '.repeat(200), chosen: 'a', rejected: 'b' },
  ].map((line) => JSON.stringify(line)).join('\n'));
  const { train, notes } = await readPreferences([{ name: 'odd', paths: [join(folder, 'odd.jsonl')] }], options());
  expect(notes).toEqual(['odd: 1 pairs to train on, 0 held out; dropped: 1 duplicate, 1 over the context, 1 both answers the same']);
  const { ids, spoken } = train[0]!.chosen;
  expect(tokenizer.decode(ids.filter((_, i) => spoken[i] === 1), { skipSpecialTokens: true })).toBe('fine');
});

test.each([
  [recipeText(', class_weights: balanced'), 'has class_weights, which is for stages of kind classify'],
  [recipeText(', best_by: macro_f1'), 'preferences have not: choose accuracy or loss'],
  [recipeText().replace('path: pairs.jsonl', "path: pairs.jsonl, label: '{x}'"), 'has text or label'],
])('a recipe that asks for what is not there is refused: %#', (text, message) => {
  expect(() => parseRecipe(text)).toThrow(message);
});
