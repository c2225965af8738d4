import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Arena, Random, ReferenceBackend } from '@parley/engine';
import { createBackend } from '@parley/engine/node';
import { llamaConfig, singleSequence, Transformer } from '@parley/model';
import { loadAdapter, loadModel, saveModel } from '@parley/model/node';
import { PARLEY_SPECIAL_TOKENS, CHATML_TEMPLATE, trainTokenizer } from '@parley/tokenizer';
import { saveTokenizer } from '@parley/tokenizer/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listCheckpoints } from './checkpoint.ts';
import type { TrainEvent } from './events.ts';
import { readMetrics } from './metrics.ts';
import { parseRecipe } from './recipe.ts';
import { run } from './run.ts';
import { paragraphs, tinyData } from './testing/texts.ts';

let folder = '';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-lora-'));
  for (const [name, text] of Object.entries(tinyData())) writeFileSync(join(folder, name), text);
  const tokenizer = await trainTokenizer(paragraphs(60), { vocabSize: 280, specialTokens: PARLEY_SPECIAL_TOKENS, pattern: 'gpt4', chatTemplate: CHATML_TEMPLATE });
  using model = Transformer.initialize(
    new ReferenceBackend(), llamaConfig({ vocabSize: 280, contextLength: 96, hiddenSize: 32, heads: 2, layers: 1, intermediateSize: 64 }), new Random(1),
  );
  await saveModel(model, join(folder, 'base'));
  await saveTokenizer(tokenizer, join(folder, 'base'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const LORA = 'lora: { rank: 4, dropout: 0.1 }, steps: 6, batch_tokens: 192, micro_batch_tokens: 96, learning_rate: 0.01, eval_every: 3, eval_tokens: 192, checkpoint_every: 2';
const recipeText = (options: { stages?: string[]; rest?: string; lora?: string } = {}): string => `
name: tiny
data: { held_out: 0.1, sources: [{ name: chats, path: chats.jsonl }] }
model: { from: ./base }
stages:
${(options.stages ?? [`{ name: talk, kind: finetune, ${options.lora ?? LORA} }`]).map((stage) => `  - ${stage}\n`).join('')}${options.rest ?? ''}`;

async function logits(model: Transformer): Promise<Float32Array> {
  using arena = new Arena(model.backend);
  return model.forward({ arena, tape: null }, singleSequence([5, 60, 70, 80, 90])).read();
}

const difference = (a: Float32Array, b: Float32Array): number => Math.max(...a.map((value, i) => Math.abs(value - (b[i] ?? NaN))));

/** Stops after a step and goes on, several times; what it came to. */
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

const weightsOf = (target: string): string => {
  const file = readdirSync(target).find((name) => name.endsWith('.safetensors')) ?? '';
  return readFileSync(join(target, file)).toString('base64');
};

test('a LoRA stage writes an adapter folder, leaves the base as it is, and lowers the loss; dropout and all resume to the same bits', async () => {
  await using backend = await createBackend({ threads: 2 });
  const output = join(folder, 'whole');
  const before = weightsOf(join(folder, 'base'));
  const result = await run({ recipe: parseRecipe(recipeText()), folder, output, backend });
  expect(result).toMatchObject({ ended: 'finished', modelFolder: join(output, 'adapter'), adapterOf: join(folder, 'base') });
  expect(readdirSync(join(output, 'adapter')).toSorted()).toEqual(['README.md', 'adapter_config.json', 'adapter_model.safetensors']);
  expect(weightsOf(join(folder, 'base'))).toBe(before);
  const losses = readMetrics(join(output, 'metrics.jsonl')).filter((line) => line.type === 'held-out').map((line) => line.loss);
  expect(losses.at(-1)).toBeLessThan((losses[0] ?? 0) - 0.01);
  expect(readFileSync(join(output, 'adapter', 'README.md'), 'utf8')).toContain('LoRA of rank 4, alpha 8, dropout 0.1, on all linear layers');
  // Checkpoints hold the adapter alone.
  const last = (await listCheckpoints(join(output, 'checkpoints'))).at(-1);
  expect(readFileSync(join(last?.folder ?? '', 'weights.safetensors')).length).toBeLessThan(30_000);

  await interrupted(recipeText(), join(folder, 'interrupted'), [1, 4]);
  expect(weightsOf(join(folder, 'interrupted', 'adapter'))).toBe(weightsOf(join(output, 'adapter')));
});

test('merged, the run ends in a model that answers as base and adapter do, within 1e-4', async () => {
  await using backend = await createBackend({ threads: 2 });
  const rest = 'export: { merge: true, dtype: f32 }\n';
  const result = await run({ recipe: parseRecipe(recipeText({ rest })), folder, output: join(folder, 'merged'), backend });
  expect(result.modelFolder).toBe(join(folder, 'merged', 'model'));
  expect(result.adapterOf).toBeUndefined();
  using merged = await loadModel(result.modelFolder ?? '', { backend });
  await run({ recipe: parseRecipe(recipeText({ rest: 'export: { dtype: f32 }\n' })), folder, output: join(folder, 'beside'), backend });
  using base = await loadModel(join(folder, 'base'), { backend });
  using adapter = await loadAdapter(join(folder, 'beside', 'adapter'), { backend, config: base.config });
  const plain = await logits(base);
  base.setAdapters([{ adapter }]);
  const beside = await logits(base);
  expect(difference(await logits(merged), beside)).toBeLessThan(1e-4);
  expect(difference(plain, beside)).toBeGreaterThan(0.05);
});

test('on a base in 8 bits an adapter is trained and merged into the base as it was', async () => {
  await using backend = await createBackend({ threads: 2 });
  const text = recipeText({ lora: LORA.replace('rank: 4', 'rank: 4, base_dtype: q8'), rest: 'export: { merge: true, dtype: f32 }\n' });
  const result = await run({ recipe: parseRecipe(text), folder, output: join(folder, 'q8'), backend });
  using merged = await loadModel(result.modelFolder ?? '', { backend });
  using f32 = await loadModel(join(folder, 'merged', 'model'), { backend });
  using base = await loadModel(join(folder, 'base'), { backend });
  // Rounding changes little of what is learned; nothing of what is not trained.
  const [a, b, c] = [await logits(merged), await logits(f32), await logits(base)];
  expect(difference(a, b)).toBeLessThan(0.2 * difference(b, c));
  expect(await merged.parameters.get('model.norm.weight')?.read()).toEqual(await base.parameters.get('model.norm.weight')?.read());
});

test('after a stage that trains the base, checkpoints hold both, and resuming gives the same bits', async () => {
  const full = '{ name: read, kind: finetune, steps: 2, batch_tokens: 96, learning_rate: 0.01, checkpoint_every: 2 }';
  const text = recipeText({ stages: [full, `{ name: talk, kind: finetune, ${LORA}, keep_checkpoints: 1 }`], rest: 'export: { merge: true, dtype: f32 }\n' });
  await interrupted(text, join(folder, 'two'), []);
  await interrupted(text, join(folder, 'two-interrupted'), [3]);
  expect(weightsOf(join(folder, 'two-interrupted', 'model'))).toBe(weightsOf(join(folder, 'two', 'model')));
});

test.each([
  [{ stages: [`{ name: a, kind: finetune, ${LORA} }`, '{ name: b, kind: finetune, steps: 2 }'] }, 'trains all weights after a stage that trains an adapter'],
  [{ stages: [`{ name: a, kind: finetune, ${LORA} }`, `{ name: b, kind: finetune, ${LORA.replace('rank: 4', 'rank: 2')} }`] }, 'has other lora settings than the stage before'],
  [{ stages: [`{ name: a, kind: finetune, optimizer: muon, ${LORA} }`] }, 'use adamw'],
  [{ stages: ['{ name: a, kind: finetune, steps: 2 }', `{ name: b, kind: finetune, ${LORA} }`] }, 'would be lost: set export.merge'],
  [{ stages: ['{ name: a, kind: finetune, steps: 2 }'], rest: 'export: { merge: true }\n' }, 'export.merge is for runs with an adapter'],
  [{ lora: LORA.replace('dropout', 'dropuot') }, 'did you mean "dropout"?'],
])('a recipe whose adapter cannot be is refused: %j', (options, message) => {
  expect(() => parseRecipe(recipeText(options))).toThrow(message);
});
